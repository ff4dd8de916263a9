"""Avro's object container files: a header, then blocks of rows, each with its number of rows and a mark at its end.

Blocks are packed one by one: null, deflate, snappy and zstandard, bzip2 and xz. The source is the Avro 1.12
specification. A file that is cut off between two blocks looks whole: the format has no end of file.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from jukebox.errors import CorruptData, InvalidValue, MissingDependency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAGIC, MARK_BYTES = b"Obj\x01", 16
CODEC, SCHEMA, NOTE = "avro.codec", "avro.schema", "jukebox.arrow_schema"
# A block is unpacked whole; writers make them of some kilobytes to some megabytes.
MOST_BYTES = 1 << 30
DEFLATE_LEVEL = 6
ZLIB_FOOT = 4


@dataclass(frozen=True)
class Header:
    """What stands before the blocks: notes by key, and the mark that ends each block."""

    notes: Mapping[str, bytes]
    mark: bytes

    @property
    def codec(self) -> str:
        """The name of the codec, which is null where none is named."""
        return self.notes.get(CODEC, b"null").decode(errors="replace")


@dataclass(frozen=True)
class Block:
    """A block's rows as their number and their bytes, and where in the file it begins."""

    rows: int
    data: bytes
    offset: int


def read_header(stream: BinaryIO, where: object) -> Header:
    """Return the header and leave the stream behind it; raises CorruptData."""
    if stream.read(len(MAGIC)) != MAGIC:
        raise corrupt(where, "it does not begin with 'Obj' and the byte 1", 0)
    notes = {}
    while (count := _number(stream, where)) != 0:
        if count < 0:
            count = -count
            _number(stream, where)
        for _ in range(count):
            key = _exactly(stream, _number(stream, where), where)
            notes[key.decode(errors="replace")] = _exactly(stream, _number(stream, where), where)
    if SCHEMA not in notes:
        raise corrupt(where, "its header has no schema", 0)
    header = Header(notes, _exactly(stream, MARK_BYTES, where))
    check_codec(header.codec, where)
    return header


def read_blocks(stream: BinaryIO, header: Header, where: object, *, least_bytes: int = 1) -> Iterator[Block]:
    """Yield the blocks that follow; ``least_bytes`` is what a row takes at least. Raises CorruptData."""
    while True:
        offset = stream.tell()
        if not stream.read(1):
            return
        stream.seek(offset)
        rows, size = _number(stream, where), _number(stream, where)
        if rows < 0 or size > MOST_BYTES:
            raise corrupt(where, f"a block claims {rows} rows in {size} bytes", offset)
        packed = _exactly(stream, size, where)
        if _exactly(stream, MARK_BYTES, where) != header.mark:
            raise corrupt(where, "a block does not end with the file's mark", offset)
        try:
            data = _UNPACK[header.codec](packed)
        except (zlib.error, lzma.LZMAError, ValueError, OSError, EOFError) as exc:
            raise corrupt(where, f"a block cannot be unpacked as {header.codec}: {exc}", offset) from exc
        if rows * least_bytes > len(data) or (least_bytes == 0 and rows > MOST_BYTES >> 10):
            raise corrupt(where, f"a block claims {rows} rows in {len(data)} bytes", offset)
        yield Block(rows, data, offset)


def header_bytes(header: Header) -> bytes:
    """Return the header as it stands in a file."""
    notes = b"".join(_text(key.encode()) + _text(value) for key, value in header.notes.items())
    return MAGIC + varint(len(header.notes)) + notes + varint(0) + header.mark


def block_bytes(rows: int, data: bytes, header: Header) -> bytes:
    """Return a block as it stands in a file."""
    packed = _PACK[header.codec](data)
    return b"".join((varint(rows), varint(len(packed)), packed, header.mark))


def varint(value: int) -> bytes:
    """Return a number as Avro writes it: zigzag, then seven bits a byte."""
    left = value << 1 if value >= 0 else (-value << 1) - 1
    digits = []
    while left >> 7:
        digits.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*digits, left])


def corrupt(where: object, why: str, offset: int) -> CorruptData:
    """Return the error that says why a file is not whole, and where in it."""
    return CorruptData(f"{where} is not whole Avro: {why}, at byte {offset}")


def check_codec(name: str, where: object) -> None:
    """Raise InvalidValue for a codec that is not known, MissingDependency for one that this pyarrow lacks."""
    if name not in _UNPACK:
        raise InvalidValue(f"{where} has the Avro codec '{name}'; those known are {', '.join(_UNPACK)}")
    library = {"snappy": "snappy", "zstandard": "zstd"}.get(name)
    if library is not None and not pa.Codec.is_available(library):
        raise MissingDependency(f"{where} has the Avro codec '{name}', and this pyarrow was built without {library}")


def _number(stream: BinaryIO, where: object) -> int:
    found = shift = 0
    start = stream.tell()
    while True:
        byte = stream.read(1)
        if not byte or shift > 63:  # noqa: PLR2004  bits of a long
            raise corrupt(where, "a number is cut off or too long", start)
        found |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:  # noqa: PLR2004  no more bytes follow
            return (found >> 1) ^ -(found & 1)
        shift += 7


def _exactly(stream: BinaryIO, size: int, where: object) -> bytes:
    start = stream.tell()
    # In pieces, so that a wrong size does not ask for more memory than there is file.
    found = stream.read(size) if 0 <= size <= MOST_BYTES else b""
    if len(found) != size:
        raise corrupt(where, f"{size} bytes are due and {len(found)} are there", start)
    return found


def _text(text: bytes) -> bytes:
    return varint(len(text)) + text


def _small(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES} bytes")
    return data


def _inflated(packed: bytes) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    data = _small(stream.decompress(packed, MOST_BYTES + 1))
    # fastavro leaves three bytes of zlib's checksum behind.
    if not stream.eof or len(stream.unused_data) > ZLIB_FOOT:
        raise ValueError("its end is not where the block's is")
    return data


def _deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(DEFLATE_LEVEL, wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def _unsnapped(packed: bytes) -> bytes:
    # Snappy's own length comes first, seven bits a byte; Avro adds a CRC-32 of what was packed.
    size = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(_leading(packed[:5])))
    if size > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES} bytes")
    data: bytes = pa.decompress(packed[:-4], size, "snappy", asbytes=True)
    if zlib.crc32(data).to_bytes(4, "big") != packed[-4:]:
        raise ValueError("its checksum is wrong")
    return data


def _leading(head: bytes) -> bytes:
    last = next((place for place, byte in enumerate(head) if byte < 0x80), None)  # noqa: PLR2004  no more bytes follow
    if last is None:
        raise ValueError("it has no length")
    return head[: last + 1]


def _snapped(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, "snappy", asbytes=True)
    return packed + zlib.crc32(data).to_bytes(4, "big")


def _from_zstandard(packed: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        return _small(stream.read(MOST_BYTES + 1))


def _whole(stream: bz2.BZ2Decompressor | lzma.LZMADecompressor, packed: bytes) -> bytes:
    data = _small(stream.decompress(packed, MOST_BYTES + 1))
    if not stream.eof or stream.unused_data:
        raise ValueError("its end is not where the block's is")
    return data


_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": _inflated,
    "snappy": _unsnapped,
    "zstandard": _from_zstandard,
    "bzip2": lambda packed: _whole(bz2.BZ2Decompressor(), packed),
    "xz": lambda packed: _whole(lzma.LZMADecompressor(), packed),
}
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": _deflated,
    "snappy": _snapped,
    "zstandard": lambda data: pa.compress(data, "zstd", asbytes=True),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
