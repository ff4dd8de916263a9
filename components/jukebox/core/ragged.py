"""Many byte strings in one buffer, built column by column: what row keys and cells are packed with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Whole = NDArray[np.int64]
    Truths = NDArray[np.bool_]


@dataclass(frozen=True)
class Ragged:
    """Byte strings without gaps: string i is ``data[offsets[i]:offsets[i + 1]]``, and ``offsets[0]`` is 0."""

    data: Bytes
    offsets: Whole

    @cached_property
    def lengths(self) -> Whole:
        """The length of each string."""
        return np.diff(self.offsets)

    @property
    def width(self) -> int | None:
        """The length that all strings share, None where they differ or there are none."""
        lengths = self.lengths
        return int(lengths[0]) if len(lengths) > 0 and bool((lengths == lengths[0]).all()) else None

    def spread(self, valid: Truths) -> Ragged:
        """Return the strings at the places that are ``valid``, in order, and empty ones at all others."""
        return Ragged(self.data, self.offsets[_starts(valid.astype(np.int64))])

    def grouped(self, offsets: Whole) -> Ragged:
        """Return strings of which the i-th is what lay from string ``offsets[i]`` to ``offsets[i + 1]``."""
        return Ragged(self.data, self.offsets[offsets])

    def to_bytes(self) -> list[bytes]:
        """Return the strings as Python's."""
        data, places = self.data.tobytes(), self.offsets.tolist()
        return [data[start:end] for start, end in pairwise(places)]

    def to_arrow(self) -> pa.LargeBinaryArray:
        """Return the strings as an Arrow array without nulls."""
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(pa.large_binary(), len(self.offsets) - 1, buffers)


# From so many bytes a string on, to copy strings one by one costs less than an index of all their bytes.
_WIDE = 256


def _starts(lengths: Whole) -> Whole:
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def fixed(matrix: NDArray[Any]) -> Ragged:
    """Return a string of each row of a matrix of bytes."""
    rows, width = matrix.shape
    data = np.ascontiguousarray(matrix, dtype=np.uint8).reshape(-1)
    return Ragged(data, np.arange(rows + 1, dtype=np.int64) * width)


def numbers(values: NDArray[Any], code: str) -> Ragged:
    """Return each number in the layout that a NumPy type code names, such as ``>i8``."""
    plain = np.ascontiguousarray(values.astype(code, copy=False))
    return fixed(plain.view(np.uint8).reshape(len(plain), plain.itemsize))


def constant(value: int, rows: int) -> Ragged:
    """Return ``rows`` strings of one and the same byte."""
    return fixed(np.full((rows, 1), value, np.uint8))


def of_binary(array: pa.Array) -> Ragged:
    """Return the bytes of an array of text or byte strings that holds no null."""
    if str(array.type).endswith("_view"):
        # Arrow casts views only in its newest versions.
        array = pa.array(array.to_pylist(), pa.large_string() if "string" in str(array.type) else pa.large_binary())
    wide = array.cast(pa.large_binary())
    _, places, data = wide.buffers()
    if len(wide) == 0 or data is None:
        return Ragged(np.zeros(0, np.uint8), np.zeros(len(wide) + 1, np.int64))
    offsets = np.frombuffer(places, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    return Ragged(np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0])


def of_fixed_width(array: pa.Array) -> Ragged:
    """Return the little-endian bytes of each value of an array of whole bytes that holds no null."""
    width = array.type.bit_width // 8
    data = array.buffers()[1]
    if len(array) == 0 or data is None:
        return fixed(np.zeros((len(array), width), np.uint8))
    flat = np.frombuffer(data, np.uint8)[array.offset * width : (array.offset + len(array)) * width]
    return fixed(flat.reshape(len(array), width))


def varints(values: Whole) -> Ragged:
    """Return each number, none of them negative, in groups of seven bits, the lowest first (LEB128)."""
    most = int(values.max()) if len(values) > 0 else 0
    groups = values[:, None] >> (np.arange(max(1, -(-most.bit_length() // 7)), dtype=np.int64) * 7)
    used = groups > 0
    used[:, 0] = True
    matrix = (groups & 0x7F).astype(np.uint8)
    matrix[:, :-1] |= used[:, 1:] * np.uint8(0x80)
    return Ragged(matrix[used], _starts(used.sum(axis=1)))


def joined(parts: Sequence[Ragged]) -> Ragged:
    """Return strings of which the i-th is the i-th of every part, one after another."""
    lengths = np.sum([part.lengths for part in parts], axis=0, dtype=np.int64)
    offsets = _starts(lengths)
    data = np.empty(int(offsets[-1]), np.uint8)
    place = offsets[:-1].copy()
    for part in parts:
        width = part.width
        if len(part.data) > _WIDE * len(part.lengths):
            _copy(part, data, place)
        elif width is not None:
            data[place[:, None] + np.arange(width)] = part.data.reshape(-1, width) if width > 0 else 0
        else:
            shift = np.repeat(place - part.offsets[:-1], part.lengths)
            data[shift + np.arange(len(part.data))] = part.data
        place += part.lengths
    return Ragged(data, offsets)


def _copy(part: Ragged, data: Bytes, places: Whole) -> None:
    for place, (start, end) in zip(places.tolist(), pairwise(part.offsets.tolist()), strict=True):
        data[place : place + end - start] = part.data[start:end]
