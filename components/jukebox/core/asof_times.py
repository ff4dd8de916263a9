"""Time columns as whole numbers that compare exactly, whatever their units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]
Mask: TypeAlias = "Truths | None"

LOWEST, GREATEST = -(2**63), 2**63 - 1
SECOND = 10**9
DAY = 86_400 * SECOND
# Integers carry no unit. Up here they can only be nanoseconds (1973 and later), never seconds of any calendar.
NANOSECONDS_FROM = 10**17
SECONDS_TO = 10**11
_LONG = 8  # bytes


@dataclass(frozen=True)
class Clock:
    """What a time column counts: ``kind`` is what may meet, ``tick`` the nanoseconds in one step."""

    kind: str
    tick: int


def clock(kind: pa.DataType) -> Clock | None:
    """Return the clock of a column type, or None where the type is no time.

    Timestamps are ``naive`` or ``zoned``; a date is its midnight, naive; signed integers and unsigned ones
    below 64 bits are ``integer``, float32 and float64 ``float``: both seconds since the epoch.
    """
    if pa.types.is_timestamp(kind):
        tick = {"s": SECOND, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
        return Clock("naive" if kind.tz is None else "zoned", tick)
    if pa.types.is_date(kind):
        return Clock("naive", DAY if pa.types.is_date32(kind) else 10**6)
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return Clock("integer", SECOND)
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return Clock("float", SECOND)
    return None


def ticks(column: pa.ChunkedArray) -> tuple[Integers, Truths]:
    """Return the column as ordered integers, and which of them are known.

    Floats become integers of the same order, -0.0 equal to 0.0; NaN is not known, as null is not.
    """
    numbers, known = counted(column)
    return numbers, np.ones(len(numbers), np.bool_) if known is None else known


def counted(column: pa.ChunkedArray) -> tuple[Integers, Mask]:
    """Return what ``ticks`` returns, with None where all are known; what is not known is any number."""
    array = combined(column)
    known = known_of(array)
    if pa.types.is_floating(array.type):
        filled = array.cast(pa.float64()).fill_null(0.0)
        numbers = np.asarray(filled.to_numpy(zero_copy_only=False))
        real = ~np.isnan(numbers)
        return ordered(numbers), real if known is None else known & real
    return integers(array), known


def known_of(array: pa.Array) -> Mask:
    """Return which values are no nulls, or None where all are."""
    if array.null_count == 0:
        return None
    bits = array.buffers()[0]
    if bits is None or isinstance(array, pa.ExtensionArray):
        return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    start, skipped = divmod(array.offset, 8)
    some = np.frombuffer(bits, np.uint8)[start : start + (skipped + len(array) + 7) // 8]
    return np.unpackbits(some, bitorder="little")[skipped : skipped + len(array)].view(np.bool_)


def as_arrow(numbers: Integers, known: Mask = None) -> pa.Array:
    """Return int64 numbers as an Arrow array; pyarrow's own conversion imports pandas first, for half a second."""
    bits = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(numbers), [bits, pa.py_buffer(np.ascontiguousarray(numbers))])


def integers(array: pa.Array) -> Integers:
    """Return whole numbers, times or bools as int64, those of uint64 by their bits; nulls are any number."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return np.asarray(array.cast(pa.uint8()).fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    if array.buffers()[1] is None:
        return np.zeros(len(array), np.int64)
    sign = "u" if pa.types.is_unsigned_integer(kind) else "i"
    width = kind.bit_width // 8
    numbers = np.frombuffer(array.buffers()[1], f"{sign}{width}")[array.offset : array.offset + len(array)]
    return numbers.view(np.int64) if width == _LONG else numbers.astype(np.int64)


def combined(column: pa.ChunkedArray) -> pa.Array:
    """Return the column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks > 1 else pa.nulls(0, column.type)


def ordered(numbers: NDArray[np.float64]) -> Integers:
    """Return int64 numbers that are ordered as the floats are."""
    bits = (numbers + 0.0).view(np.int64)
    return bits ^ ((bits >> 63) & GREATEST)


def floats(codes: Integers) -> NDArray[np.float64]:
    """Return the floats whose ``ordered`` integers these are."""
    return (codes ^ ((codes >> 63) & GREATEST)).view(np.float64)


def threshold(times: Integers, ours: Clock, theirs: Clock, *, exact: bool) -> tuple[Integers, Mask]:
    """Return for each time the least label time at which it is past, and which are past at some label time.

    ``ours`` is the clock of ``times``, ``theirs`` the labels'. Without ``exact`` a label time must be later.
    No product overflows: what lies beyond int64 is never past, or always. Where all are past at some time there is
    no mask.
    """
    if ours.tick == theirs.tick and exact:
        return times, None
    if ours.tick < theirs.tick:
        ratio = theirs.tick // ours.tick
        least, rest = np.divmod(times, ratio)
        later = (rest != 0) | (not exact)
        return np.asarray(least + later, np.int64), None
    ratio = ours.tick // theirs.tick
    top, bottom = GREATEST // ratio, -(2**63 // ratio)
    possible: Truths = times <= top
    before_all = times < bottom
    least = np.where(before_all, LOWEST, np.clip(times, bottom, top) * ratio) if ratio > 1 else times
    if exact:
        return least, possible
    possible &= least < GREATEST
    return np.asarray(least + (possible & ~before_all), np.int64), possible
