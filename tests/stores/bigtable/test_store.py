"""What a store on Bigtable does beside the public suite: times, keys, sizes, versions, garbage and removal."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jukebox
from jukebox.errors import InvalidValue, NotRegistered
from jukebox.stores import open_online
from jukebox.stores.bigtable import BigtableStore, cells
from jukebox.stores.bigtable.places import parsed

MOMENT = datetime(2024, 2, 29, tzinfo=timezone.utc)


def row(at: Any, value: Any, user: Any = "a", unit: str = "us") -> pa.Table:
    """One row."""
    return pa.table({"user": [user], "at": pa.array([at], pa.timestamp(unit, "UTC")), "value": [value]})


def write(store: BigtableStore, rows: pa.Table, table: str = "t") -> Any:
    """Write rows of user, at and value."""
    return store.write(table, rows, keys=["user"], event_time="at")


def value(store: BigtableStore, user: Any = "a", table: str = "t") -> Any:
    """Return the value of a user."""
    [found] = store.read(table, [{"user": user}])
    return None if found is None else found.values["value"]


def stored(store: BigtableStore, entity: str = "user") -> int:
    """Return how many cells all rows of an entity have, versions that await garbage collection included."""
    from jukebox.core.coordinates import prefixes

    every = {"pass_all_filter": True}
    return sum(len(found) for _, found in cells.scan(store._connection, prefixes(entity), every))


def test_newest_wins_within_a_millisecond_in_whatever_order(bigtable: str) -> None:
    """Events a few microseconds apart, some of them in whole milliseconds, in any order and any cut into writes."""
    store, names = open_online(bigtable), count()
    events = st.lists(st.integers(0, 2_100), min_size=1, max_size=8, unique=True)

    @settings(max_examples=30, deadline=None)
    @given(events.flatmap(st.permutations))
    def holds(order: list[int]) -> None:
        user = f"u{next(names)}"
        for micros in order:
            write(store, row(MOMENT + timedelta(microseconds=micros), micros, user))
        assert value(store, user) == max(order)

    holds()


def test_rows_of_one_millisecond_leave_no_garbage(bigtable: str) -> None:
    """A row between milliseconds takes away those that it beats; a plain one leaves at most what stood before."""
    store = open_online(bigtable)
    for micros in (1, 2, 5_003, 9_001):
        write(store, row(MOMENT + timedelta(microseconds=micros), micros))
        assert stored(store) == 1
    assert write(store, row(MOMENT + timedelta(microseconds=7), 7)).older == 1
    assert (stored(store), value(store)) == (1, 9_001)


def test_a_time_before_1970_is_refused_by_name_and_changes_nothing(bigtable: str) -> None:
    """One row of many, and a time beyond the calendar, are told with the column."""
    store = open_online(bigtable)
    early = pa.concat_tables([row(MOMENT, 1, "b"), row(datetime(1969, 12, 31, tzinfo=timezone.utc), 2)])
    with pytest.raises(
        InvalidValue, match=r"event time 'at' holds 1 values before 1970 and 0 after 9999, .*1969-12-31"
    ):
        write(store, early)
    with pytest.raises(InvalidValue, match=r"0 values before 1970 and 1 after 9999"):
        write(store, row(2**50, 1, unit="s"))
    write(store, row(datetime(1970, 1, 1, tzinfo=timezone.utc), 3))
    assert (value(store), value(store, "b")) == (3, None)


def test_a_created_time_before_1970_is_no_trouble(bigtable: str) -> None:
    """It ranks below later ones, and above null."""
    store = open_online(bigtable)
    for made, told in ((None, "null"), (datetime(1960, 1, 1, tzinfo=timezone.utc), "1960"), (None, "null")):
        rows = row(MOMENT, told).append_column("made", pa.array([made], pa.timestamp("us", "UTC")))
        store.write("t", rows, keys=["user"], event_time="at", created_time="made")
    assert value(store) == "1960"


def test_keys_up_to_bigtables_length_are_kept_and_longer_ones_refused(bigtable: str) -> None:
    """4 KB less what entity and salt take is the longest; nothing of a load with a longer one is written."""
    store = open_online(bigtable)
    longest = "x" * (4_096 - len(b"\0\x28user\0\1\x28\0\1"))
    write(store, row(MOMENT, 1, longest))
    assert value(store, longest) == 1
    with pytest.raises(InvalidValue, match=r"1 keys are longer than Bigtable's 4,096 bytes.*of 4,097 bytes"):
        write(store, pa.concat_tables([row(MOMENT, 2, "other"), row(MOMENT, 2, longest + "x")]))
    assert (value(store, "other"), value(store, longest + "x")) == (None, None)


@pytest.mark.parametrize("key", ["a#b", "a\0b", "\0", "", "å∂🎵", "a/b@1", "\x01\x02"])
def test_any_text_is_a_key(bigtable: str, key: str) -> None:
    """And is told back as it was."""
    store = open_online(bigtable)
    write(store, row(MOMENT, 1, key))
    assert value(store, key) == 1
    assert list(store.keys("user")) == [(key,)]


def test_huge_rows_and_empty_values_come_back(bigtable: str) -> None:
    """20 MB beside nothing at all, in one load, cut into requests; NaN is NaN, and null is not absent."""
    store = open_online(bigtable)
    blobs = [b"x" * 20 * 2**20, b"", None, b"y" * 5 * 2**20]
    rows = pa.table(
        {"user": range(4), "at": pa.array([MOMENT] * 4), "value": blobs, "score": [math.nan, 0.0, None, 1.0]}
    )
    write(store, rows)
    found = store.read("t", [{"user": user} for user in range(5)])
    assert [None if each is None else each.values["value"] for each in found] == [*blobs, None]
    assert found[2] is not None
    assert found[4] is None
    assert math.isnan(found[0].values["score"])


def test_another_reader_sees_a_flip_when_its_knowledge_is_no_longer_fresh(bigtable: str) -> None:
    """Until then it reads the former version, whole; with the read that finds out it reads the new one."""
    store = open_online(bigtable)
    lasting, fleeting = BigtableStore(parsed(bigtable)), BigtableStore(parsed(bigtable), fresh_for=0)
    write(store, row(MOMENT, "old"))
    assert {value(each) for each in (lasting, fleeting)} == {"old"}
    store.write("t", row(MOMENT, "new"), keys=["user"], event_time="at", version=2)
    store.serve("t", 2)
    assert (value(store), value(lasting), value(fleeting)) == ("new", "old", "new")
    assert lasting.tables() == ["t"]
    assert value(lasting) == "new"


def test_a_version_that_is_gone_is_not_taken_for_keys_that_are_unknown(
    bigtable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a row is not there a reader looks whether its version still is: it follows, or says what is gone."""
    monkeypatch.setattr("jukebox.stores.bigtable.store._DOUBTFUL_AFTER", 0.0)
    store, reader = open_online(bigtable), BigtableStore(parsed(bigtable), fresh_for=600)
    write(store, row(MOMENT, "old"))
    assert value(reader) == "old"
    store.write("t", row(MOMENT, "new"), keys=["user"], event_time="at", version=2)
    store.serve("t", 2)
    assert value(reader) == "old"
    store.drop("t", 1)
    assert value(reader) == "new"
    assert value(reader, "nobody") is None
    store.drop("t")
    with pytest.raises(NotRegistered, match="online table 't' is not in"):
        value(reader)


def test_a_layout_is_that_of_a_version_that_is_served_by_now(bigtable: str) -> None:
    """When the knowledge is no longer fresh, without a read."""
    store, fleeting = open_online(bigtable), BigtableStore(parsed(bigtable), fresh_for=0)
    write(store, row(MOMENT, 1))
    assert fleeting.layout("t").value_names == ("value",)
    other = row(MOMENT, 1).rename_columns([*row(MOMENT, 1).column_names[:-1], "other"])
    store.write("t", other, keys=["user"], event_time="at", version=2)
    store.serve("t", 2)
    assert fleeting.layout("t").value_names == ("other",)


def test_an_entity_is_audited_and_forgotten_across_tables(bigtable: str) -> None:
    """All keys of an entity are listed, and a row goes with what every table holds of it."""
    store = open_online(bigtable)
    for table in ("one", "two"):
        write(store, pa.concat_tables([row(MOMENT, 1, "a"), row(MOMENT, 1, "b")]), table)
    store.write("planes", pa.table({"tail": [7], "seats": [1]}), keys=["tail"], event_time=None, entity="aircraft")
    assert sorted(store.keys("user")) == [("a",), ("b",)]
    store.forget("user", [("a",), ("nobody",)])
    assert sorted(store.keys("user")) == [("b",)]
    assert [value(store, "a", table) for table in ("one", "two")] == [None, None]
    assert list(store.keys("aircraft")) == [(7,)]


def test_one_row_holds_the_tables_of_an_entity(bigtable: str) -> None:
    """Three feature sets of a user are three cells of one row, each under its table and version."""
    store = open_online(bigtable)
    for table in ("one", "two", "three"):
        write(store, row(MOMENT, table), table)
    from jukebox.core.coordinates import prefixes

    [(_, found)] = cells.scan(store._connection, prefixes("user"), {"pass_all_filter": True})
    assert sorted(cell.qualifier for cell in found) == [b"one@1", b"three@1", b"two@1"]
    assert {cell.stamp for cell in found} == {int(MOMENT.timestamp()) * 10**6}


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb"])
def test_a_table_name_with_control_characters_is_refused(bigtable: str, name: str) -> None:
    """They part the words of a qualifier."""
    with pytest.raises(InvalidValue, match="is no name of an online table"):
        write(open_online(bigtable), row(MOMENT, 1), name)


def test_progress_is_told_up_to_the_last_row(bigtable: str) -> None:
    """The count of rows that are done with never falls, and ends at all of them."""
    told: list[tuple[int, int]] = []
    rows = pa.table({"user": range(25_000), "at": pa.array([MOMENT] * 25_000), "plays": range(25_000)})
    store = open_online(bigtable)
    store.write("t", rows, keys=["user"], event_time="at", progress=lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert len(told) > 1
    assert told[-1] == (25_000, 25_000)


@pytest.mark.parametrize("days", [(1, 2), (2, 1)])
def test_first_loads_of_two_dates_at_once_leave_the_newer_rows(bigtable: str, days: tuple[int, int]) -> None:
    """Both make the table, its layout and the same rows, in whole milliseconds, and neither loses to the other."""

    def load(day: int) -> int:
        times = pa.array([MOMENT + timedelta(days=day)] * 5_000)
        rows = pa.table({"user": range(5_000), "at": times, "value": [day] * 5_000})
        return write(open_online(bigtable), rows).written

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(load, days)) == [5_000, 5_000]
    found = open_online(bigtable).read("t", [{"user": user} for user in range(5_000)])
    assert {None if each is None else each.values["value"] for each in found} == {2}


def test_many_writers_of_one_millisecond_lose_no_row(bigtable: str) -> None:
    """Eight writers of the same keys, microseconds apart, at once: the newest stands, and the next load tidies up."""

    def load(micros: int) -> None:
        rows = [row(MOMENT + timedelta(microseconds=micros), micros, f"u{n}") for n in range(50)]
        write(open_online(bigtable), pa.concat_tables(rows))

    store = open_online(bigtable)
    load(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, range(1, 9)))
    assert [value(store, f"u{n}") for n in range(50)] == [8] * 50
    load(9)
    assert [value(store, f"u{n}") for n in range(50)] == [9] * 50
    assert stored(store) == 50


def test_google_cloud_is_imported_where_it_is_used_alone() -> None:
    """A store is opened lazily, and nothing else of Jukebox needs Google's libraries."""
    root = Path(jukebox.__file__).parent
    used = re.compile(r"^\s*(from|import) google\.cloud", re.MULTILINE)
    importing = {str(path.relative_to(root)) for path in root.rglob("*.py") if used.search(path.read_text())}
    allowed = ("stores/bigtable/", "stores/pubsub", "formats/bigquery", "storage/conditional")
    assert {path for path in importing if not path.startswith(allowed)} == set()
    assert any(path.startswith("stores/bigtable/") for path in importing)
