"""Where cells lie in a wide-column table: keys that can be read back, and places that are ordered as rows are newer."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core import rowkeys
from jukebox.core.coordinates import column, coordinates, entity_and_key, parts, prefixes, qualifier, row_key
from jukebox.core.layouts import layout_of
from jukebox.errors import CorruptData, InvalidValue

KEYS = st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1), st.binary(), st.booleans())
NAMES = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1)
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def placed(events: list[int], created: list[int | None] | None, unit: str = "us") -> list[tuple[int, bytes]]:
    """Return timestamp and rank of rows with these times, in ticks of the unit."""
    columns: dict[str, Any] = {"user": range(len(events)), "at": pa.array(events, pa.timestamp(unit, "UTC"))}
    if created is not None:
        columns["made"] = pa.array(created, pa.timestamp("ns", "UTC"))
    rows = pa.table(columns)
    made = None if created is None else "made"
    found = coordinates(layout_of(rows.schema, keys=["user"], event_time="at", created_time=made), rows)
    return list(zip(found.stamps, found.ranks, strict=True))


@given(st.text(), KEYS)
def test_a_row_key_can_be_read_back(entity: str, key: Any) -> None:
    """Entity and key, whatever bytes they hold; and it begins with one of the entity's prefixes."""
    made = row_key(entity, rowkeys.encode_one(key))
    assert entity_and_key(made) == (entity, key)
    assert any(made.startswith(start) for start in prefixes(entity))


@given(st.lists(KEYS, min_size=1, max_size=20))
def test_row_keys_of_many_rows_are_those_of_each(keys: list[Any]) -> None:
    """And within a salt they sort as the keys do."""
    rows = pa.table(dict(zip("abcd", (list(each) for each in zip(*keys, strict=True)), strict=True)))
    layout = layout_of(rows.schema, keys=list("abcd"), event_time=None, entity="user")
    found = coordinates(layout, rows).keys
    assert found == [row_key("user", rowkeys.encode_one(key)) for key in keys]
    order = sorted(range(len(keys)), key=lambda n: rowkeys.encode_one(keys[n]))
    assert [found[n][1:] for n in order] == sorted(key[1:] for key in found)


def test_salts_spread_neighbours() -> None:
    """A thousand numbers in a row lie under most of the 256 salts, and under none more than a few."""
    salts = [row_key("user", rowkeys.encode_one([n]))[0] for n in range(1_000)]
    assert len(set(salts)) > 200
    assert max(map(salts.count, set(salts))) < 20


TIMES = st.lists(st.tuples(st.integers(0, 5_000), st.none() | st.integers(-(2**62), 2**62)), min_size=1, max_size=30)


@given(TIMES)
def test_places_are_ordered_as_rows_are_newer(rows: list[tuple[int, int | None]]) -> None:
    """By event, then by created time, of which null is the lowest; and equal for equal pairs alone."""
    events, created = [event for event, _ in rows], [made for _, made in rows]
    found = placed(events, created)
    ranks = [(event, -(2**63) if made is None else made) for event, made in rows]
    for here, one in zip(found, ranks, strict=True):
        for there, other in zip(found, ranks, strict=True):
            assert (here < there, here == there) == (one < other, one == other)


@pytest.mark.parametrize("unit", UNITS)
def test_the_timestamp_is_the_event_in_whole_milliseconds(unit: str) -> None:
    """In microseconds, rounded down; what is left is the rank, and nothing where nothing is left."""
    tick = UNITS[unit]
    ticks = [0, 1_700_000_000 * (10**9 // tick), 1_700_000_000 * (10**9 // tick) + 1]
    found = placed(ticks, None, unit)
    assert [stamp for stamp, _ in found] == [each * tick // 10**6 * 1_000 for each in ticks]
    left = [each * tick % 10**6 // tick for each in ticks]
    assert [rank for _, rank in found] == [each.to_bytes(3, "big") if each else b"" for each in left]


def test_a_date_is_its_midnight() -> None:
    """Dates are whole days."""
    rows = pa.table({"user": [1], "at": pa.array([datetime(2024, 2, 29, tzinfo=timezone.utc).date()])})
    found = coordinates(layout_of(rows.schema, keys=["user"], event_time="at"), rows)
    assert (found.stamps, found.ranks) == ([1_709_164_800_000_000], [b""])


@given(NAMES, st.integers(1, 999), NAMES | st.just(""), st.binary(max_size=11))
def test_a_qualifier_can_be_taken_apart(table: str, version: int, feature: str, rank: bytes) -> None:
    """Whatever bytes the rank holds."""
    of = column(table, version)
    assert parts(qualifier(of, feature.encode(), rank)) == (of, feature.encode(), rank)


def test_what_is_no_row_key_is_refused() -> None:
    """Other programs' rows, and the row of layouts."""
    for raw in (b"\0jukebox", b"x", b"\x07user#7"):
        with pytest.raises((CorruptData, ValueError)):
            entity_and_key(raw)


@pytest.mark.parametrize("name", ["", "a\nb", "\0"])
def test_a_table_has_a_name_without_control_characters(name: str) -> None:
    """They part a qualifier's words."""
    with pytest.raises(InvalidValue):
        column(name, 1)
