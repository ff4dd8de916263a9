"""Cells and times of Arrow columns as plain Python values: exact, and without a library that may round them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

Instant = int | float
"""Nanoseconds, or the number that a time column of numbers holds; minus infinity for what is true at all times."""

EVER = -math.inf
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9
# Integers carry no unit: from here on they can only be nanoseconds.
_NANOSECONDS_FROM = 10**17
_NARROW = 32


def instants(column: pa.Array | pa.ChunkedArray) -> list[Instant | None]:
    """Return times as nanoseconds (timestamps, dates) or as the numbers that they are; null and NaN are None."""
    kind = column.type
    scale = 1
    if pa.types.is_timestamp(kind):
        scale = _NANOSECONDS[kind.unit]
    elif pa.types.is_date(kind):
        scale = _DAY if pa.types.is_date32(kind) else 10**6
    return [None if time is None or time != time else time * scale for time in cells(column)]  # noqa: PLR0124


def counting(kind: pa.DataType) -> str:
    """Return how ages are counted that end at times of this type: ``ns``, ``float`` or ``integer``."""
    if pa.types.is_temporal(kind):
        return "ns"
    return "float" if pa.types.is_floating(kind) else "integer"


def is_too_old(label: Instant, event: Instant, limit: timedelta | None, *, counted: str) -> bool:
    """Return whether the limit is exceeded; times are ``counted`` in ns, in seconds as integer, or as float."""
    if limit is None:
        return False
    microseconds = limit // timedelta(microseconds=1)
    if counted == "float":
        age = 0.0 if label == event else label - event
        return math.isinf(age) or max(round(age * 1e6), age > 0) > microseconds
    scale = 1 if counted == "ns" or label >= _NANOSECONDS_FROM else 10**9
    return (label - event) * scale > microseconds * 1_000


def key_tuples(columns: Sequence[pa.Array | pa.ChunkedArray], rows: int) -> list[tuple[Any, ...]]:
    """Return the key of each row, with None for null and NaN; all have the empty key where there is no column."""
    parts = [[None if value != value else value for value in cells(column)] for column in columns]  # noqa: PLR0124
    return list(zip(*parts, strict=True)) if parts else [()] * rows


def cells(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return values in Python without loss: times as the integers that they are in their unit, NaN as NaN."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in cells(chunk)]
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return cells(column.storage)
    if pa.types.is_dictionary(kind):
        return cells(column.dictionary_decode())
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return list(column.view(pa.int32() if kind.bit_width == _NARROW else pa.int64()).to_pylist())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(column)
    return list(column.to_pylist())


def _lists(column: pa.Array) -> list[Any]:
    valid = column.is_valid()
    present = column.filter(valid)
    items = iter(cells(present.flatten()))
    size = column.type.list_size if pa.types.is_fixed_size_list(column.type) else None
    lengths = iter([size] * len(present) if size is not None else pc.list_value_length(present).to_pylist())
    return [[next(items) for _ in range(next(lengths))] if there else None for there in valid.to_pylist()]


def mark(value: Any) -> str:
    """Return a text that two values of one column share only if they are equal to the bit; all NaN are one."""
    return repr(value)
