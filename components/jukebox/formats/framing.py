"""The frames of a TFRecord file: length, its checksum, bytes, their checksum; plain or gzip.

A checksum is a masked CRC-32C. Lengths are little-endian and 8 bytes wide.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np
import pyarrow as pa

from jukebox.errors import CorruptData
from jukebox.formats.files import reading
from jukebox.formats.tfexample import by_size, join, large_binary, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD, FOOT = struct.Struct("<QI"), struct.Struct("<I")
GZIP = b"\x1f\x8b\x08"
READ_BYTES = 1 << 24
LONGEST = (1 << 31) - 1  # of a protocol buffer
MASK, WORD = 0xA282EAD8, 0xFFFFFFFF


def framed(records: pa.LargeBinaryArray) -> pa.Buffer:
    """Return the frames of all records, one after the other."""
    heads, _ = by_size(np.diff(offsets_of(records)), None, _head)
    checksums = np.array([google_crc32c.value(record) for record in records.to_pylist()], np.uint32)
    masked = ((checksums >> 15) | (checksums << 17)) + np.uint32(MASK)
    feet = large_binary(np.arange(len(records) + 1, dtype=np.int64) * 4, masked.astype("<u4"))
    data = join(heads, records, feet, rows=len(records)).buffers()[2]
    return pa.py_buffer(b"") if data is None else data


def records(path: Path) -> Iterator[list[bytes]]:
    """Yield the records of the file, in lists of some megabytes; a file of no bytes has none.

    Raises CorruptData naming the file and the place for a wrong checksum, a length without its bytes, or
    gzip that is cut off; the place counts bytes after unpacking.
    """
    held, start = b"", 0
    with reading(path, "TFRecord"):
        stream = pa.input_stream(str(path), compression="gzip" if _is_gzip(path) else None)
    with stream:
        while True:
            with reading(path, "TFRecord"):
                # What is held at least doubles: the bytes of a long record are copied twice, not n times.
                more = stream.read(max(READ_BYTES, len(held)))
                data = held + more
                found, used = _split(data, start, path)
                held, start = data[used:], start + used
                if not more and held:
                    raise _corrupt(path, start, f"the file ends {len(held)} bytes into a record")
            if found:
                yield found
            if not more:
                return


def _split(data: bytes, start: int, path: Path) -> tuple[list[bytes], int]:
    """Return the whole records in ``data``, which begins at ``start``, and how many bytes they take."""
    found: list[bytes] = []
    heads: dict[int, int] = {}
    at = 0
    while at + HEAD.size <= len(data):
        length, checksum = HEAD.unpack_from(data, at)
        if heads.get(length) != checksum:
            if length > LONGEST or _masked(data[at : at + 8]) != checksum:
                raise _corrupt(path, start + at, "the checksum of a length is wrong")
            heads[length] = checksum
        first = at + HEAD.size
        last = first + length
        if last + FOOT.size > len(data):
            break
        record = data[first:last]
        if FOOT.unpack_from(data, last)[0] != _masked(record):
            raise _corrupt(path, start + at, f"the checksum of a record of {length} bytes is wrong")
        found.append(record)
        at = last + FOOT.size
    return found, at


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        first = stream.read(HEAD.size)
    if not first.startswith(GZIP):
        return False
    # The length of a plain record may begin with the same bytes; its checksum then tells.
    return len(first) < HEAD.size or HEAD.unpack(first)[1] != _masked(first[:8])


def _head(length: int) -> bytes:
    width = struct.pack("<Q", length)
    return width + struct.pack("<I", _masked(width))


def _masked(data: bytes) -> int:
    checksum: int = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + MASK) & WORD


def _corrupt(path: Path, at: int, why: str) -> CorruptData:
    return CorruptData(f"{path} is not whole TFRecord: {why}, at byte {at}")
