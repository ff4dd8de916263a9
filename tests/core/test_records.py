"""Dotted paths into records."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core.records import reach
from jukebox.errors import InvalidType, MissingColumn

RECORD = pa.struct(
    [
        ("a", pa.struct([("b", pa.int64())])),
        ("tracks", pa.list_(pa.struct([("name", pa.string()), ("tags", pa.list_(pa.string()))]))),
        ("x.y", pa.int64()),
    ]
)
SCHEMA = pa.schema([("r", RECORD), ("r.a", pa.int64()), ("n", pa.int64())])
TRACK = st.none() | st.fixed_dictionaries({"name": st.none() | st.text(max_size=2), "tags": st.none()})
ROW = st.none() | st.fixed_dictionaries(
    {
        "a": st.none() | st.fixed_dictionaries({"b": st.none() | st.integers(0, 9)}),
        "tracks": st.none() | st.lists(TRACK, max_size=3),
        "x.y": st.none() | st.integers(0, 9),
    }
)


def got(value: Any, *names: str) -> Any:
    """Return what names lead to in a plain value, null where something on the way is."""
    if value is None or not names:
        return value
    if isinstance(value, list):
        return [got(each, *names) for each in value]
    return got(value[names[0]], *names[1:])


@given(st.lists(ROW, max_size=8), st.integers(0, 3))
def test_a_path_gives_what_python_gives(rows: list[Any], cut: int) -> None:
    """Through records, lists of them and names with dots, with nulls on every level, in slices too."""
    values = pa.array(rows, RECORD)
    schema = pa.schema([("r", RECORD)])
    for path, names in {"r.a.b": ("a", "b"), "r.tracks.name": ("tracks", "name"), "r.x.y": ("x.y",)}.items():
        reached = reach(path, schema)
        found = reached.of(values.slice(cut))
        assert found.to_pylist() == [got(row, *names) for row in rows[cut:]]
        assert found.type == reached.type


def test_lists_of_one_size_are_passed_through_too() -> None:
    """A list that is null has no place of its own in the answer."""
    kind = pa.list_(pa.struct([("n", pa.int64())]), 2)
    values = pa.array([[{"n": 1}, {"n": 2}], None, [{"n": 3}, None]], kind)
    assert reach("l.n", pa.schema([("l", kind)])).of(values).to_pylist() == [[1, 2], None, [3, None]]


def test_a_column_of_the_very_name_comes_first() -> None:
    """Names may hold dots, and the longest one that is there is meant."""
    assert (reach("r.a", SCHEMA).column, reach("r.a", SCHEMA).fields) == ("r.a", ())
    assert reach("r.x.y", SCHEMA).fields == ("x.y",)


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("m", MissingColumn, "'m' is not there; there are r, r.a, n"),
        ("r.q", MissingColumn, "'r.q' is not there; record 'r' has a, tracks, x.y"),
        ("n.m", InvalidType, "'n' is int64, no record, and 'n.m' goes on with 'm'"),
        ("r.tracks.tags", InvalidType, "'r.tracks.tags' is a list in a list of records"),
        ("r.tracks.name.x", InvalidType, "no record, and 'r.tracks.name.x' goes on with 'x'"),
        ("r.tracks.nam", MissingColumn, "record 'r.tracks' has name, tags"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, error: type[Exception], said: str) -> None:
    """The error names what is there instead."""
    with pytest.raises(error, match=said):
        reach(path, SCHEMA)
