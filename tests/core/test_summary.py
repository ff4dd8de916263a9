"""What a summary says of a table, and that summaries merge."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.summary import merge, summarize
from jukebox.errors import InvalidType

TYPES = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int8(): st.integers(-128, 127),
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=5),
    pa.large_binary(): st.binary(max_size=5),
    pa.dictionary(pa.int32(), pa.string()): st.text(max_size=2),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "America/New_York"): st.datetimes(),
    pa.date32(): st.dates(),
    pa.list_(pa.int64()): st.lists(st.integers(0, 9), max_size=3),
    pa.decimal128(9, 2): st.decimals(-999, 999, places=2),
    pa.duration("ms"): st.integers(-(2**40), 2**40),
    pa.null(): st.none(),
}


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    """An array of any of the types, with nulls."""
    kind = draw(st.sampled_from(list(TYPES)))
    return pa.array(draw(st.lists(st.none() | TYPES[kind], max_size=12)), kind)


@settings(max_examples=300, deadline=None)
@given(columns(), st.data())
def test_summaries_of_the_parts_merge_to_the_summary_of_the_whole(column: pa.Array, data: st.DataObject) -> None:
    """Wherever a table is cut, counts and extremes are the same, mean and deviation to rounding."""
    cut = data.draw(st.integers(0, len(column)))
    whole = pa.table({"c": column})
    parts = merge(summarize(whole.slice(0, cut)), summarize(whole.slice(cut)))
    assert same(parts["c"], summarize(whole)["c"])


@settings(max_examples=200, deadline=None)
@given(columns())
def test_a_summary_is_json_and_comes_back_from_it_unchanged(column: pa.Array) -> None:
    """There is no NaN, no infinity and no date object in a summary."""
    summary = summarize(pa.table({"c": column}))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_mean_and_deviation_are_those_of_numpy(values: list[float]) -> None:
    """The deviation is the population's."""
    told = summarize(pa.table({"c": values}))["c"]
    assert told["mean"] == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert told["std"] == pytest.approx(np.std(values), rel=1e-9, abs=1e-6)


def test_numbers_are_told_with_their_zeros_and_nulls() -> None:
    """A zero is a value, a null is not."""
    told = summarize(pa.table({"c": pa.array([0, None, 4, 8], pa.int32())}))["c"]
    assert told == {
        "rows": 4,
        "nulls": 1,
        "min": 0,
        "max": 8,
        "mean": 4.0,
        "std": math.sqrt(32 / 3),
        "zeros": 1,
    }


def test_values_that_are_not_finite_are_counted_apart() -> None:
    """NaN and both infinities stay out of the extremes and the mean."""
    told = summarize(pa.table({"c": [1.0, math.nan, math.inf, -math.inf, 3.0]}))["c"]
    assert (told["min"], told["max"], told["mean"], told["nans"], told["infinities"]) == (1.0, 3.0, 2.0, 1, 2)


def test_equal_values_have_their_value_as_mean_and_no_deviation() -> None:
    """No rounding shows where nothing varies, in one part or in many."""
    part = summarize(pa.table({"c": [0.1] * 1000}))
    merged = merge(merge(part, part), part)["c"]
    assert (merged["mean"], merged["std"], merged["rows"]) == (0.1, 0.0, 3000)


def test_the_greatest_integers_keep_every_digit() -> None:
    """Extremes never pass through floats."""
    told = summarize(pa.table({"c": pa.array([2**63 - 2, 2**63 - 1], pa.int64())}))["c"]
    assert (told["min"], told["max"]) == (2**63 - 2, 2**63 - 1)


def test_zoned_times_are_told_in_utc() -> None:
    """Two zones' texts compare as the moments that they are."""
    zoned = pa.array([datetime(2013, 3, 10, 12)], pa.timestamp("s")).cast(pa.timestamp("s", "America/New_York"))
    told = summarize(pa.table({"c": zoned}))["c"]
    assert told == {
        "rows": 1,
        "nulls": 0,
        "min": "2013-03-10T12:00:00+00:00",
        "max": "2013-03-10T12:00:00+00:00",
    }


def test_text_bytes_and_lists_are_told_by_their_lengths() -> None:
    """Text counts characters, not bytes."""
    table = pa.table({"t": ["äö", "", None], "b": [b"abc", b"a", None], "l": [[1, 2], None, []]})
    told = {name: (c["min_length"], c["max_length"], c["empty"]) for name, c in summarize(table).items()}
    assert told == {"t": (0, 2, 1), "b": (1, 3, 0), "l": (0, 2, 1)}


def test_dates_decimals_and_durations_have_a_summary() -> None:
    """Dates as text, decimals as floats, durations in their unit."""
    table = pa.table(
        {
            "date": [date(2013, 1, 1), date(2013, 12, 31)],
            "decimal": [Decimal("1.50"), Decimal("2.50")],
            "duration": pa.array([timedelta(seconds=1), timedelta(seconds=3)], pa.duration("ms")),
        }
    )
    told = {name: (column["min"], column["max"]) for name, column in summarize(table).items()}
    assert told == {"date": ("2013-01-01", "2013-12-31"), "decimal": (1.5, 2.5), "duration": (1000, 3000)}


def test_records_are_counted_and_no_more() -> None:
    """A struct has rows and nulls; nothing is made up about what is in it."""
    assert summarize(pa.table({"c": [{"a": 1}, None]}))["c"] == {"rows": 2, "nulls": 1}


def test_a_column_that_turned_into_text_is_refused() -> None:
    """Numbers in one part and text in the other have no common summary."""
    with pytest.raises(InvalidType, match="column 'c' holds numbers in one part and text or lists in the other"):
        merge(summarize(pa.table({"c": [1]})), summarize(pa.table({"c": ["1"]})))


def test_a_column_without_values_merges_with_any_other() -> None:
    """A part in which a column is all null takes nothing from the part that has values."""
    merged = merge(summarize(pa.table({"c": pa.nulls(2)})), summarize(pa.table({"c": [1, 3]})))["c"]
    assert (merged["rows"], merged["nulls"], merged["mean"]) == (4, 2, 2.0)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two columns' summaries are equal, floats that are sums to rounding."""
    scale = max([abs(b[end]) for end in ("min", "max") if isinstance(b.get(end), (int, float))], default=0)
    close = all(
        a.get(name) == b.get(name) or math.isclose(a[name], b[name], rel_tol=1e-9, abs_tol=scale * 1e-7)
        for name in ("mean", "std")
    )
    return close and a.keys() == b.keys() and all(a[k] == b[k] for k in b if k not in ("mean", "std"))
