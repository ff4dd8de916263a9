"""The frames of a TFRecord file: length, its checksum, bytes, their checksum; plain or gzip.

A checksum is a masked CRC-32C. Lengths are little-endian and 8 bytes wide.
https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.errors import CorruptData
from jukebox.formats.codec import coder
from jukebox.formats.files import reading
from jukebox.storage import readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from jukebox.storage import Place

HEAD_BYTES = 12
GZIP = b"\x1f\x8b\x08"
READ_BYTES = 1 << 22


@dataclass(frozen=True)
class Block:
    """Some megabytes of a file: record i is ``data[spans[i, 0]:spans[i, 1]]``.

    ``start`` is where the data begins in the file, counted after unpacking, and ``first`` the first record's number.
    """

    path: Place
    data: bytes
    spans: npt.NDArray[np.int64]
    start: int
    first: int

    def __len__(self) -> int:
        return len(self.spans)

    def slice(self, first: int, last: int) -> Block:
        """Return the block with the records from ``first`` up to ``last``, counted within it."""
        return replace(self, spans=self.spans[first:last], first=self.first + first)

    def corrupt(self, what: str, why: str, row: int, at: int) -> CorruptData:
        """Return the error for a fault at the byte ``at`` of the data, in the block's record ``row``."""
        place = f"at byte {self.start + at}, in record {self.first + row}"
        return CorruptData(f"{self.path} is not whole {what}: {why}, {place}")


def records(path: Place) -> Iterator[list[bytes]]:
    """Yield the records of the file, in lists of some megabytes; raises what ``blocks`` does."""
    for block in blocks(path):
        yield [block.data[first:last] for first, last in block.spans.tolist()]


def blocks(path: Place) -> Iterator[Block]:
    """Yield the file in blocks of whole records; a file of no bytes has none.

    Raises CorruptData naming the file and the place for a wrong checksum, a length without its bytes, or
    gzip that is cut off; the place counts bytes after unpacking.
    """
    held, start, first = b"", 0, 0
    with reading(path, "TFRecord"):
        stream = pa.input_stream(readable(path), compression="gzip" if _is_gzip(path) else None)
    with stream:
        while True:
            with reading(path, "TFRecord"):
                # What is held at least doubles: the bytes of a long record are copied twice, not n times.
                more = stream.read(max(READ_BYTES, len(held)))
            block, used = _split(Block(path, held + more, np.zeros((0, 2), np.int64), start, first))
            held = block.data[used:]
            if not more and held:
                raise block.corrupt("TFRecord", f"the file ends {len(held)} bytes into a record", len(block), used)
            start, first = start + used, first + len(block)
            if len(block) > 0:
                yield block
            if not more:
                return


def _split(block: Block) -> tuple[Block, int]:
    """Return the block with the spans of its whole records, and how many bytes they take."""
    try:
        spans, used = coder.split(block.data)
    except ValueError as exc:
        why, at, before = exc.args
        raise block.corrupt("TFRecord", why, before, at) from exc
    return replace(block, spans=np.frombuffer(spans, np.int64).reshape(-1, 2)), used


def _is_gzip(path: Place) -> bool:
    with path.open("rb") as stream:
        first = stream.read(HEAD_BYTES)
    if not first.startswith(GZIP):
        return False
    # The length of a plain record may begin with the same bytes; its checksum then tells.
    return len(first) < HEAD_BYTES or struct.unpack("<I", first[8:])[0] != _masked(first[:8])


def _masked(data: bytes) -> int:
    crc: int = coder.checksum(data, False)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
