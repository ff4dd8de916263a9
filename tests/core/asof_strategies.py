"""Random labels and feature tables that meet each other: few keys, few instants, many types."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from jukebox.core.asof import Features

ENDS = [2**63 - 1, 2**63 - 2, -(2**63) + 1, -(2**63) + 2]
NEAR = [
    0,
    1,
    -1,
    999,
    1_000,
    1_001,
    10**6,
    10**9 - 1,
    10**9,
    -(10**9),
    10**9 + 1,
    86_400 * 10**9,
    86_401 * 10**9,
]
LIMITS = [
    None,
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(milliseconds=1),
    timedelta(seconds=1),
    timedelta(1),
]

NAIVE = [pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")] + [pa.date32(), pa.date64()]
ZONED = [pa.timestamp(unit, tz) for unit in ("s", "us", "ns") for tz in ("UTC", "Europe/Berlin")]
WHOLE = [pa.int8(), pa.int32(), pa.int64(), pa.uint16()]
REAL = [pa.float32(), pa.float64()]
TEXTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
WIDTHS = [pa.int8(), pa.int64(), pa.uint8(), pa.uint64(), pa.dictionary(pa.int32(), pa.int64())]

# Types of keys that meet, and values that are told apart by their types or not at all.
KEYS: list[tuple[list[pa.DataType], list[Any]]] = [
    (TEXTS, ["", "a", "b", "a|b", "|", "a\x00", "é", "e\u0301", "ß", "1", "null"]),
    (WIDTHS, [0, 1, 2, 127]),
    ([pa.int64()], [2**63 - 1, 2**63 - 2, -(2**63), 2**53, 2**53 + 1]),
    ([pa.uint64()], [2**64 - 1, 2**63, 2**63 - 1, 0]),
    ([pa.binary(), pa.large_binary()], [b"", b"\x00", b"\x00\x00", b"a"]),
    ([pa.binary(2)], [b"\x00\x00", b"ab"]),
    ([pa.bool_()], [True, False]),
    ([pa.date32()], [date(1970, 1, 1), date(2024, 2, 29)]),
    ([pa.timestamp("ms", "UTC")], [0, 1, 10**12]),
    ([pa.decimal128(6, 2)], [Decimal("0.00"), Decimal("1.50"), Decimal("-1.50")]),
    ([pa.float64()], [0.0, -0.0, 1.5, float("nan"), float("inf")]),
    ([pa.null(), pa.string()], [None]),
]

# Types of values that pass through, and values that a detour by way of Python, floats or microseconds would change.
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int64(), [2**63 - 1, -(2**63), 2**53 + 1, 0]),
    (pa.uint64(), [2**64 - 1, 2**63, 0]),
    (pa.int8(), [-128, 127, 0]),
    (pa.float64(), [0.0, -0.0, float("nan"), float("inf"), 0.1]),
    (pa.float32(), [0.5, -0.0, float("nan")]),
    (pa.bool_(), [True, False]),
    (pa.timestamp("ns"), [2**63 - 1, 1_700_000_000_000_000_001, -1]),
    (pa.timestamp("ns", "Europe/Berlin"), [1_700_000_000_000_000_001, 0]),
    (pa.date32(), [date(2024, 2, 29), date(1, 1, 1)]),
    (pa.large_string(), ["", "é", "a|b"]),
    (pa.binary(), [b"", b"\x00", b"\xff\x00"]),
    (pa.binary(3), [b"abc", b"\x00\x00\x00"]),
    (pa.decimal128(20, 2), [Decimal("123456789012345678.01"), Decimal("-0.01")]),
    (pa.list_(pa.int64()), [[], [None], [2**63 - 1, 2**53 + 1]]),
    (pa.list_(pa.string()), [[], [""], ["a", None, "b"]]),
    (pa.list_(pa.float32(), 2), [[0.5, 1.5], [-0.0, None]]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", "", "b"]),
    (pa.struct([("a", pa.int64()), ("b", pa.string())]), [{"a": 2**53 + 1, "b": None}, {"a": None, "b": ""}]),
    (pa.null(), [None]),
]


def time_values(kind: pa.DataType, *, ends: bool) -> st.SearchStrategy[Any]:
    """Return ticks of a time type: instants that units share, their neighbours, and the ends of the type."""
    if pa.types.is_floating(kind):
        return st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, -1.0, 1e9, 86_400.0, float("inf"), float("-inf")])
    if pa.types.is_integer(kind):
        near = [0, 1, 2, 3, 60, 100] + ([86_400, 10**17, 10**17 + 1, 2**63 - 1] if kind == pa.int64() else [])
        far = [-(2**63) + 1, 2**53, 2**53 + 1] if kind == pa.int64() and ends else []
        return st.sampled_from(near + far)
    if pa.types.is_date32(kind):
        return st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)] if ends else [0, 1, -1])
    tick = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[getattr(kind, "unit", "ms")]
    if pa.types.is_date64(kind):
        return st.sampled_from([0, 86_400_000, -86_400_000])
    shared = [instant // tick for instant in NEAR]
    return st.sampled_from(shared + ENDS) if ends else st.sampled_from(shared)


def time_array(ticks: list[Any], kind: pa.DataType) -> pa.Array:
    """Return ticks as a time column."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pa.array(ticks, kind)
    return pa.array(ticks, pa.int32() if pa.types.is_date32(kind) else pa.int64()).view(kind)


@st.composite
def times(draw: st.DrawFn, kind: pa.DataType, rows: int, *, nulls: bool, ends: bool) -> pa.Array:
    """Draw a time column."""
    one = time_values(kind, ends=ends)
    if nulls:
        one = st.one_of(one, one, one, st.none(), *([st.just(float("nan"))] if pa.types.is_floating(kind) else []))
    return time_array(draw(st.lists(one, min_size=rows, max_size=rows)), kind)


@st.composite
def column_of(draw: st.DrawFn, kind: pa.DataType, pool: list[Any], rows: int) -> pa.Array:
    """Draw a column of keys or values, one in some null."""
    one = st.one_of(st.sampled_from(pool), st.sampled_from(pool), st.sampled_from(pool), st.none())
    return array(draw(st.lists(one, min_size=rows, max_size=rows)), kind)


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return Python's values as an array of any type."""
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    return pa.array(values, kind)


@st.composite
def requests(draw: st.DrawFn, tables: int = 2) -> tuple[pa.Table, list[Features], dict[str, bool]]:
    """Draw labels with their time in ``at``, up to ``tables`` feature tables, and the rules of the join."""
    kinds = draw(st.sampled_from([NAIVE, ZONED, WHOLE, REAL]))
    limited = draw(st.booleans())
    # Integers between seconds and nanoseconds are refused with a max_age.
    ends = not (limited and kinds is WHOLE)
    pools = draw(st.lists(st.sampled_from(KEYS), max_size=2))
    rows = draw(st.integers(0, 8))
    columns = {"row": pa.array(range(rows), pa.int64())}
    for place, (types, pool) in enumerate(pools):
        columns[f"key{place}"] = draw(column_of(draw(st.sampled_from(types)), pool, rows))
    columns["at"] = draw(times(draw(st.sampled_from(kinds)), rows, nulls=False, ends=ends))
    features = []
    for number in range(draw(st.integers(1, tables))):
        used = draw(st.sampled_from([pools, pools, pools[:1], []]))
        asked = draw(feature_tables(kinds, used, ends=ends))
        names = {f"{output}{number}": column for output, column in asked.values.items()}
        last = draw(st.sampled_from([(), (), tuple(names)[1:2], tuple(names)[1:]]))
        limit = draw(limits(list(names))) if limited and asked.event_time is not None else None
        features.append(replace(asked, values=names, last_non_null=last, max_age=limit))
    return pa.table(columns), features, {"allow_exact": draw(st.booleans()), "as_known": draw(st.booleans())}


@st.composite
def feature_tables(
    draw: st.DrawFn, kinds: list[pa.DataType], pools: list[tuple[list[pa.DataType], list[Any]]], *, ends: bool
) -> Features:
    """Draw one feature table with columns ``n`` (the row's number), ``text`` (null in some) and ``value`` (any type).

    One in five is true at all times.
    """
    rows = draw(st.integers(0, 12))
    columns = {"n": pa.array(range(rows), pa.int64())}
    for place, (types, pool) in enumerate(pools):
        columns[f"k{place}"] = draw(column_of(draw(st.sampled_from(types)), pool, rows))
    columns["ts"] = draw(times(draw(st.sampled_from(kinds)), rows, nulls=True, ends=ends))
    columns["made"] = draw(times(draw(st.sampled_from(kinds)), rows, nulls=True, ends=ends))
    columns["text"] = pa.array([None if row % 3 == 0 else f"v{row}" for row in range(rows)], pa.string())
    columns["value"] = draw(column_of(*draw(st.sampled_from(VALUES)), rows))
    return Features(
        pa.table(columns),
        keys={f"key{place}": f"k{place}" for place in range(len(pools))},
        event_time=draw(st.sampled_from(["ts"] * 4 + [None])),
        created_time=draw(st.sampled_from([None, "made"])),
        values={"n": "n", "text": "text", "value": "value"},
    )


@st.composite
def limits(draw: st.DrawFn, outputs: list[str]) -> Any:
    """Draw one limit for all outputs, or some outputs' own."""
    if draw(st.booleans()):
        return draw(st.sampled_from(LIMITS))
    return draw(st.dictionaries(st.sampled_from(outputs), st.sampled_from(LIMITS)))


@st.composite
def cut(draw: st.DrawFn, table: pa.Table) -> list[pa.RecordBatch]:
    """Draw a way to cut a table into record batches, some of them empty."""
    ends = sorted([0, *draw(st.lists(st.integers(0, len(table)), max_size=4)), len(table)])
    parts = [table.slice(low, high - low).combine_chunks() for low, high in pairwise(ends)]
    return [pa.RecordBatch.from_arrays([one(column) for column in part.columns], schema=table.schema) for part in parts]


def one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, an empty one too."""
    return pa.concat_arrays(column.chunks) if column.num_chunks > 0 else pa.array([], column.type)
