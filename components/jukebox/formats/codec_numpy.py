"""The compiled codec's functions once more: encoding in NumPy, a column at a time; splitting and decoding in Python.

They take and give the same, byte for byte; ``_codec.pyi`` has their types and ``_codec_*.c`` their layouts.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.formats.codec_python import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Sizes = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_] | None

__all__ = ["checksum", "decode", "encode", "split"]

BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3
FIRST, SECOND = b"\x0a", b"\x12"  # tags of a message's fields 1 and 2, both with a length
HEAD, FOOT = struct.Struct("<QI"), struct.Struct("<I")
LONGEST = (1 << 31) - 1  # of a protocol buffer
MASK, WORD = 0xA282EAD8, 0xFFFFFFFF
# Up to here a table of all sizes is cheaper than sorting them.
SMALL = 1 << 16


def checksum(data: bytes, without_instruction: bool = False) -> int:  # noqa: ARG001 - as the compiled one has it
    """Return the CRC-32C of the bytes."""
    return int(google_crc32c.value(bytes(data)))


def split(data: bytes) -> tuple[bytes, int]:
    """Return where each whole record begins and ends, i8[n, 2], and how many bytes their frames take.

    Raises ValueError(reason, position, records before it) for a wrong checksum.
    """
    spans: list[int] = []
    heads: dict[int, int] = {}
    at = 0
    while at + HEAD.size <= len(data):
        length, head = HEAD.unpack_from(data, at)
        if heads.get(length) != head:
            if length > LONGEST or _masked(data[at : at + 8]) != head:
                raise ValueError("the checksum of a length is wrong", at, len(spans) // 2)
            heads[length] = head
        first = at + HEAD.size
        last = first + length
        if last + FOOT.size > len(data):
            break
        if FOOT.unpack_from(data, last)[0] != _masked(data[first:last]):
            raise ValueError("the checksum of a record is wrong", at, len(spans) // 2)
        spans += (first, last)
        at = last + FOOT.size
    return np.array(spans, np.int64).tobytes(), at


def encode(rows: int, columns: Sequence[tuple[Any, ...]], framed: bool, ends: Sizes) -> bytes:
    """Return the examples one after the other, in frames or without, and write where each of them ends."""
    pieces: list[Any] = []
    total = np.zeros(rows, np.int64)
    for name, kind, valid, counts, values, offsets in columns:
        payload, sizes = _payloads(rows, kind, valid, counts, values, offsets)
        heads, head_sizes = _by_size(sizes, valid, _head_of(name, kind))
        pieces += [heads, payload]
        total += head_sizes + sizes
    if total.max(initial=0) > LONGEST - 6:
        raise ValueError(f"a row takes more than {LONGEST} bytes")
    outer, _ = _by_size(total, None, lambda size: FIRST + _varint(size))
    records = _join(outer, *pieces, rows=rows)
    if framed:
        records = _framed(records)
    ends[:] = _offsets_of(records)
    data = records.buffers()[2]
    # Of no rows Arrow's buffer is longer than they are.
    return b"" if data is None else data.slice(0, int(ends[-1])).to_pybytes()


def _framed(records: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    heads, _ = _by_size(np.diff(_offsets_of(records)), None, _frame_head)
    checksums = np.array([checksum(record) for record in records.to_pylist()], np.uint32)
    masked = ((checksums >> 15) | (checksums << 17)) + np.uint32(MASK)
    feet = _large_binary(np.arange(len(records) + 1, dtype=np.int64) * 4, masked.astype("<u4"))
    return _join(heads, records, feet, rows=len(records))


def _frame_head(length: int) -> bytes:
    width = struct.pack("<Q", length)
    return width + struct.pack("<I", _masked(width))


def _masked(data: bytes) -> int:
    crc = checksum(data)
    return ((crc >> 15 | crc << 17) + MASK) & WORD


def _payloads(
    rows: int, kind: int, valid: Mask, counts: Sizes | None, values: Any, offsets: Sizes | None
) -> tuple[pa.LargeBinaryArray, Sizes]:
    """Return the values of each row as bytes, null where it has no such key, and how many they are."""
    data, starts = _encoded(kind, values, offsets)
    if counts is not None:
        starts = starts[_offsets_from(counts)]
    sizes = np.zeros(rows, np.int64)
    sizes[slice(None) if valid is None else valid] = np.diff(starts)
    return _large_binary(_offsets_from(sizes), data, valid), sizes


def _encoded(kind: int, values: Any, offsets: Sizes | None) -> tuple[Any, Sizes]:
    """Return the bytes of all values one after the other, and where each begins."""
    if offsets is not None:
        texts = _large_binary(offsets, values)
        heads, _ = _by_size(np.diff(offsets), None, lambda size: FIRST + _varint(size))
        texts = _join(heads, texts, rows=len(texts))
        data = texts.buffers()[2]
        return np.empty(0, np.uint8) if data is None else data, _offsets_of(texts)
    if kind == FLOAT_LIST:
        return values, np.arange(len(values) + 1, dtype=np.int64) * 4
    data, sizes = _varints(values)
    return data, _offsets_from(sizes)


def _varints(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], Sizes]:
    """Return the values as base-128 varints one after the other, and the bytes of each: 1 to 10."""
    left = values.view(np.uint64)
    sizes = np.ones(len(left), np.int64)
    most = len(_varint(int(left.max(initial=0))))
    digits = np.empty((len(left), most), np.uint8)
    for place in range(most):
        digits[:, place] = left
        left = left >> np.uint64(7)
        more = left != 0
        digits[:, place] &= 0x7F
        digits[:, place] |= more.view(np.uint8) << 7
        sizes += more
    if sizes.min(initial=most) == most:
        return digits.reshape(-1), sizes
    return digits[np.arange(most) < sizes[:, None]], sizes


def _by_size(sizes: Sizes, valid: Mask, head: Callable[[int], bytes]) -> tuple[Any, Sizes]:
    """Return ``head(size)`` for each row (null where not valid), and its length, calling it once a size."""
    if sizes.max(initial=0) < SMALL:
        present = np.flatnonzero(np.bincount(sizes))
        places = np.zeros(SMALL, np.int32)
        places[present] = np.arange(len(present), dtype=np.int32)
        index = places[sizes]
    else:
        present, index = np.unique(sizes, return_inverse=True)
    heads = [head(size) for size in present.tolist()]
    lengths = np.array([len(each) for each in heads], np.int64)
    if valid is None and len(heads) == 1:
        return pa.scalar(heads[0], pa.large_binary()), lengths[index]
    taken = pa.array(index, mask=None if valid is None else ~valid)
    return pa.array(heads, pa.large_binary()).take(taken), lengths[index] * (1 if valid is None else valid)


def _head_of(name: bytes, kind: int) -> Callable[[int], bytes]:
    """Return what stands before a row's ``size`` bytes of values, up to the entry of the map of features."""
    key = FIRST + _varint(len(name)) + name

    def head(size: int) -> bytes:
        packed = b"" if kind == BYTES_LIST or size == 0 else FIRST + _varint(size)
        values = bytes([kind << 3 | 2]) + _varint(len(packed) + size) + packed
        feature = SECOND + _varint(len(values) + size) + values
        return FIRST + _varint(len(key) + len(feature) + size) + key + feature

    return head


def _varint(value: int) -> bytes:
    digits = []
    while value >> 7:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _join(*pieces: Any, rows: int) -> pa.LargeBinaryArray:
    """Return the pieces of each row put together, nulls left out; a scalar stands in every row."""
    # An array among the pieces, or scalars alone would be joined to one scalar.
    empty = _large_binary(np.zeros(rows + 1, np.int64), b"")
    separator = pa.scalar(b"", pa.large_binary())
    return pc.binary_join_element_wise(*pieces, empty, separator, null_handling="skip")


def _large_binary(offsets: Sizes, data: Any, valid: Mask = None) -> pa.LargeBinaryArray:
    mask = None if valid is None else pa.array(valid).buffers()[1]
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _offsets_of(array: pa.LargeBinaryArray) -> Sizes:
    return np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, array.offset * 8)


def _offsets_from(sizes: Sizes) -> Sizes:
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
