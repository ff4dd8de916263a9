"""The join's rules once more, row by row in plain Python: slow, and simple enough to be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.asof import Features

TICKS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@dataclass(frozen=True)
class Answers:
    """What the rules say of one feature table: rows by output column, and the labels with a newer unknown row."""

    rows: dict[str, list[int | None]]
    known: list[int | None]
    newer_unknown: int


def instants(column: pa.ChunkedArray) -> list[int | float | None]:
    """Return times as nanoseconds (timestamps, dates) or as the numbers that they are; NaN is None."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return [None if t is None else t * TICKS[kind.unit] for t in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_date32(kind):
        days = column.cast(pa.int32()).to_pylist()
        return [None if day is None else day * 86_400 * 10**9 for day in days]
    if pa.types.is_date64(kind):
        return [None if t is None else t * 10**6 for t in column.cast(pa.int64()).to_pylist()]
    return [None if t is None or math.isnan(t) else t for t in column.to_pylist()]


def is_too_old(label: float, event: float, limit: timedelta | None, *, counted: str) -> bool:
    """Return whether the limit is exceeded; times are ``counted`` in ns, in seconds as int, or as float."""
    if limit is None:
        return False
    if counted == "float":
        age = 0.0 if label == event else label - event
        return math.isinf(age) or max(round(age * 1e6), age > 0) > limit // timedelta(microseconds=1)
    scale = 1 if counted == "ns" or label >= 10**17 else 10**9
    return (label - event) * scale > (limit // timedelta(microseconds=1)) * 1_000


def keys_equal(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Return whether all key columns are there and equal."""
    return all(a is not None and b is not None and a == b for a, b in zip(ours, theirs, strict=True))


def answers(labels: pa.Table, asked: Features, label_time: str, *, allow_exact: bool, as_known: bool) -> Answers:
    """Return the row of ``asked.table`` (a Table) that answers each label, for each output column."""
    table = asked.table
    assert isinstance(table, pa.Table)
    at = instants(labels[label_time])
    event = instants(table[asked.event_time])
    created = [None] * len(table) if asked.created_time is None else instants(table[asked.created_time])
    ours = list(zip(*(labels[name].to_pylist() for name in asked.keys), strict=True)) or [()] * len(labels)
    theirs = list(zip(*(table[name].to_pylist() for name in asked.keys.values()), strict=True)) or [()] * len(table)
    hides = as_known and asked.created_time is not None
    known: list[int | None] = []
    newer = 0
    for label, time in enumerate(at):
        assert time is not None
        past = [
            row
            for row, when in enumerate(event)
            if when is not None
            and (when < time or (allow_exact and when == time))
            and keys_equal(ours[label], theirs[row])
        ]
        seen = [row for row in past if not hides or ((c := created[row]) is not None and c <= time)]
        best = max(seen, key=lambda row: (event[row], created[row] is not None, created[row] or 0, row), default=None)
        known.append(best)
        newer += hides and any(best is None or event[row] > event[best] for row in past)  # type: ignore[operator]
    counted = {"i": "integer", "u": "integer", "f": "float", "d": "float", "h": "float"}.get(
        str(labels.schema.field(label_time).type)[0], "ns"
    )
    if pa.types.is_date(labels.schema.field(label_time).type):
        counted = "ns"
    rows = {}
    for output in asked.values:
        limit = asked.limit(output)
        rows[output] = [
            None if row is None or is_too_old(at[label], event[row], limit, counted=counted) else row  # type: ignore[arg-type]
            for label, row in enumerate(known)
        ]
    return Answers(rows, known, newer)
