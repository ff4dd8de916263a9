"""The newest row of every key."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.engine import newest as module
from jukebox.engine.newest import Newest, newest_per_key
from jukebox.errors import InvalidType, InvalidValue, MissingColumn

SCHEMA = pa.schema(
    [
        ("a", pa.int32()),
        ("b", pa.string()),
        ("at", pa.timestamp("s")),
        ("made", pa.timestamp("ms")),
        ("row", pa.int64()),
    ]
)
ROW = st.tuples(
    st.none() | st.integers(0, 2),
    st.none() | st.sampled_from(["x", "x1", ""]),
    st.none() | st.integers(-2, 2),
    st.none() | st.integers(-2, 2),
)


def batch_of(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows of (a, b, at, made, row) as a batch."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def oracle(rows: list[tuple[Any, ...]], allowed: set[tuple[int, str]] | None) -> list[int]:
    """The numbers of the newest rows, one row at a time."""
    best: dict[tuple[int, str], tuple[Any, ...]] = {}
    for a, b, at, made, number in rows:
        if None not in (a, b, at, made) and (allowed is None or (a, b) in allowed):
            best[a, b] = max(best.get((a, b), (-9, -9, -9)), (at, made, number))
    return sorted(number for _, _, number in best.values())


def reduced(rows: list[tuple[Any, ...]], cuts: list[int], only: pa.Table | None = None) -> Newest:
    """The reduction of the rows, cut into batches."""
    places = [0, *sorted(cuts), len(rows)]
    batches = [batch_of(rows[first:last]) for first, last in pairwise(places)]
    return newest_per_key(iter(batches), keys=["a", "b"], event_time="at", created_time="made", only=only)


@settings(deadline=None)
@given(st.lists(ROW, max_size=30), st.data())
def test_the_newest_row_of_each_key_is_kept(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
    """For any batches, and any size of the steps, the answer is that of one row at a time, and the counts add up."""
    numbered = [(*row, number) for number, row in enumerate(rows)]
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4))
    allowed = data.draw(st.none() | st.sets(st.tuples(st.integers(0, 3), st.sampled_from(["x", "1x"])), max_size=3))
    only = (
        None
        if allowed is None
        else pa.table(
            {
                "a": pa.array([a for a, _ in allowed] + [None], pa.uint64()),
                "b": pa.array([b for _, b in allowed] + ["x"], pa.large_string()),
            }
        )
    )
    before = module._ROWS_AT_ONCE  # small steps, so that few rows make many
    module._ROWS_AT_ONCE = data.draw(st.sampled_from([1, 5, before]))
    try:
        result = reduced(numbered, cuts, only)
    finally:
        module._ROWS_AT_ONCE = before
    assert result.rows["row"].to_pylist() == oracle(numbered, allowed)
    assert result.read == len(rows)
    assert result.null_keys == sum(None in row[:2] for row in rows)
    assert result.null_times == sum(None in row[2:] and None not in row[:2] for row in rows)
    assert result.older >= 0


def test_composite_keys_compare_as_columns() -> None:
    """("1", "23") and ("12", "3") are two keys."""
    table = pa.table({"a": ["1", "12"], "b": ["23", "3"], "at": pa.array([1, 2], pa.timestamp("s"))})
    assert newest_per_key(table, keys=["a", "b"], event_time="at").rows.num_rows == 2


def test_without_an_event_time_the_last_row_is_newest() -> None:
    """A static table keeps the last row of each key in the order of reading."""
    table = pa.table({"tail": ["N1", "N2", "N1"], "seats": [1, 2, 3]})
    result = newest_per_key(table, keys=["tail"], event_time=None)
    assert result.rows.to_pydict() == {"tail": ["N2", "N1"], "seats": [2, 3]}
    assert result.older == 1


def test_dictionary_columns_of_several_batches_meet() -> None:
    """Batches with dictionaries of their own are one column."""
    parts = [pa.array(texts).dictionary_encode() for texts in (["x", "y"], ["z", "x"])]
    batches = [
        pa.RecordBatch.from_arrays([part, pa.array([0, 1]).cast(pa.timestamp("s")), part], ["k", "at", "v"])
        for part in parts
    ]
    result = newest_per_key(batches, keys=["k"], event_time="at").rows
    assert result["v"].to_pylist() == result["k"].to_pylist() == ["y", "z", "x"]


def test_filter_keys_say_what_does_not_fit() -> None:
    """A filter without the key, or with a key of another type, is an error that names both."""
    table = pa.table({"user": [1], "at": pa.array([1], pa.timestamp("s"))})
    with pytest.raises(MissingColumn, match=r"'user'.*usr"):
        newest_per_key(table, keys=["user"], event_time="at", only=pa.table({"usr": [1]}))
    with pytest.raises(InvalidType, match="'user' is integer in the rows and text"):
        newest_per_key(table, keys=["user"], event_time="at", only=pa.table({"user": ["1"]}))


def test_columns_that_are_not_there_are_refused() -> None:
    """A missing key, a time that is none, and no batch at all are errors."""
    table = pa.table({"user": [1], "at": ["noon"]})
    with pytest.raises(MissingColumn, match="'usr'"):
        newest_per_key(table, keys=["usr"], event_time="at")
    with pytest.raises(InvalidType, match="'at' is string"):
        newest_per_key(table, keys=["user"], event_time="at")
    with pytest.raises(InvalidValue, match="no batch"):
        newest_per_key([], keys=["user"], event_time="at")


def test_a_table_without_rows_has_no_newest() -> None:
    """Columns without rows are fine."""
    table = pa.table({"user": [1], "at": pa.array([1], pa.timestamp("s"))})[:0]
    result = newest_per_key(table, keys=["user"], event_time="at")
    assert (result.rows.num_rows, result.read) == (0, 0)
    assert result.rows.schema == table.schema


def test_millions_of_rows_of_few_keys_are_never_all_held() -> None:
    """What is kept between batches is bounded by the keys: 3 million rows of 1,000 keys pass through."""
    rng = np.random.default_rng(7)

    def batches() -> Any:
        for day in range(30):
            keys = rng.integers(0, 1_000, 100_000)
            at = pa.array(np.full(100_000, day)).cast(pa.timestamp("s"))
            yield pa.RecordBatch.from_arrays([pa.array(keys), at], ["user", "at"])

    result = newest_per_key(batches(), keys=["user"], event_time="at")
    assert (result.rows.num_rows, result.read) == (1_000, 3_000_000)
    assert set(result.rows["at"].cast(pa.int64()).to_pylist()) == {29}
