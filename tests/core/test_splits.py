"""Which rows are trained on: by time or by a hash, the same in every run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core.splits import Split
from jukebox.errors import InvalidType, InvalidValue, MissingColumn

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def at(minutes: list[int]) -> pa.Array:
    """Return instants."""
    return pa.array([START + timedelta(minutes=minute) for minute in minutes], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("time", Split()),
        ("time:0.5", Split("time", 0.5)),
        ("hash:0.9", Split("hash", 0.9)),
        ("hash:0.9:user,item", Split("hash", 0.9, ("user", "item"))),
    ],
)
def test_a_rule_is_read_from_its_text_and_back(text: str, split: Split) -> None:
    """What a manifest holds is what made it."""
    assert Split.parse(text) == split == Split.parse(str(split))


@pytest.mark.parametrize(
    "text", ["", "random:0.8", "time:0", "time:1", "time:x", "time:0.8:user", "hash:-1", "hash:nan"]
)
def test_a_text_that_is_no_rule_is_refused(text: str) -> None:
    """The error shows how rules are written."""
    with pytest.raises(InvalidValue, match=f"'{text}' is no split; it is written time:0.8, hash:0.8"):
        Split.parse(text)


@given(st.lists(st.integers(0, 20), max_size=30), st.floats(0.01, 0.99))
def test_by_time_no_row_of_train_is_as_late_as_any_of_eval(minutes: list[int], share: float) -> None:
    """Equal times are never parted, train has at most its share, and eval is not empty where there are rows."""
    table = pa.table({"at": pa.chunked_array([at(minutes[:7]), at(minutes[7:])])})
    mask = Split("time", share).train_mask(table, "at")
    times = np.array(minutes)
    assert len(mask) == len(minutes)
    assert mask.sum() <= share * len(minutes)
    assert not len(minutes) or times[mask].max(initial=-1) < times[~mask].min()


@given(st.lists(st.tuples(st.none() | st.text(max_size=2), st.none() | st.integers(0, 5)), min_size=1, max_size=30))
def test_by_hash_rows_with_equal_columns_go_to_one_side(rows: list[tuple[str | None, int | None]]) -> None:
    """Whatever their order, their neighbours and the layout of their text; other columns do not count."""
    users, items = zip(*rows, strict=True)
    table = pa.table(
        {"user": pa.array(users, pa.string()), "item": pa.array(items, pa.int64()), "row": range(len(rows))}
    )
    split = Split("hash", 0.5, ("user", "item"))
    mask = split.train_mask(table, "at")
    sides = dict(zip(rows, mask, strict=True))
    assert [sides[row] for row in rows] == mask.tolist()
    turned = table.take(pa.array(range(len(rows) - 1, -1, -1)))
    assert split.train_mask(turned, "at").tolist() == mask[::-1].tolist()
    halves = [pa.array(part, pa.string()).dictionary_encode() for part in (users[:9], users[9:])]
    for layout in (table["user"].cast(pa.large_string()), pa.chunked_array(halves)):
        assert split.train_mask(table.set_column(0, "user", layout), "at").tolist() == mask.tolist()


def test_by_hash_the_share_is_kept_and_the_sides_are_known() -> None:
    """Of ten thousand rows about four fifths are trained on; the first ten rows go where they always went."""
    table = pa.table({"user": [f"u{n}" for n in range(10_000)]})
    mask = Split.parse("hash:0.8:user").train_mask(table, "at")
    assert mask.mean() == pytest.approx(0.8, abs=0.01)
    assert mask[:10].astype(int).tolist() == [1, 0, 1, 1, 0, 1, 1, 0, 1, 1]


def test_times_are_hashed_as_numbers_and_not_as_any_version_spells_them() -> None:
    """Nanoseconds, zones and dates included: the hash of a time is that of its count."""
    counts = pa.array([0, 1_700_000_000_123_456_789, None, -1], pa.int64())
    split = Split("hash", 0.5, ("x",))
    expected = split.train_mask(pa.table({"x": counts}), "at").tolist()
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "Europe/Berlin"), pa.duration("us"), pa.timestamp("ns", "UTC")):
        assert split.train_mask(pa.table({"x": counts.cast(kind)}), "at").tolist() == expected
    days = pa.array([1, 2, None], pa.int32())
    numbers = split.train_mask(pa.table({"x": days}), "at").tolist()
    assert split.train_mask(pa.table({"x": days.cast(pa.date32())}), "at").tolist() == numbers


def test_a_rule_without_columns_takes_all_that_it_is_given() -> None:
    """Named then, so that the rule means the same of a table with more columns."""
    assert Split("hash").over(["a", "b"]) == Split("hash", 0.8, ("a", "b"))
    assert Split("hash", 0.8, ("c",)).over(["a"]).columns == ("c",)
    assert Split("time").over(["a"]) == Split("time")
    table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": pa.nulls(3)})
    whole = Split("hash", 0.5).train_mask(table, "at").tolist()
    assert whole == Split("hash", 0.5).over(["a", "b", "c"]).train_mask(table, "at").tolist()


def test_columns_that_are_not_there_or_have_no_hash_are_refused() -> None:
    """With the names of those that there are."""
    table = pa.table({"a": [1], "list": [[1]]})
    with pytest.raises(MissingColumn, match="column 'user' of the split is not in the labels; they have a, list"):
        Split.parse("hash:0.8:user").train_mask(table, "a")
    with pytest.raises(InvalidType, match="column 'list' holds list<item: int64>, which has no hash"):
        Split.parse("hash:0.8").train_mask(table, "a")
