"""What every online store must do, as tests that a plug-in's author runs: subclass the suite and say how to open one.

::

    class TestMyStore(OnlineStoreSuite):
        def store(self, tmp_path):
            return MyStore(tmp_path)

It takes pytest and Hypothesis.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NotRegistered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jukebox.core.layouts import Row
    from jukebox.stores import OnlineStore, Written

MOMENT = datetime(2024, 2, 29, 12, 0, 0, 123_456, tzinfo=timezone.utc)
_AT = pa.timestamp("us", "UTC")


def moments(*seconds: float | None) -> pa.Array:
    """Return times that lie ``seconds`` after one moment, None where there is none."""
    return pa.array([None if s is None else MOMENT + timedelta(seconds=s) for s in seconds], _AT)


def _nanoseconds(seconds: int) -> int:
    return (int(MOMENT.timestamp()) + seconds) * 10**9 + 123_456_000


class OnlineStoreSuite:
    """The behaviour of an OnlineStore; ``store`` returns an empty one, or one in which no test has written.

    ``counts`` says whether the store looks at what it holds before it writes, so that it can count what changed.
    """

    counts = True

    def store(self, tmp_path: Path) -> OnlineStore:
        """Return the store to test."""
        raise NotImplementedError

    def write(self, store: OnlineStore, table: str, rows: Sequence[tuple[Any, int, int | None, Any]]) -> Written:
        """Write rows of (user, seconds of the event, seconds of its creation, plays)."""
        users, events, created, plays = (list(column) for column in zip(*rows, strict=True))
        columns = {"user": pa.array(users), "at": moments(*events), "made": moments(*created), "plays": pa.array(plays)}
        return store.write(table, pa.table(columns), keys=["user"], event_time="at", created_time="made")

    def plays(self, store: OnlineStore, table: str, user: Any) -> Any:
        """Return the plays that the store holds for a user."""
        return _there(store.read(table, [{"user": user}]))["plays"]

    def test_a_row_comes_back_with_its_times_and_values(self, tmp_path: Path) -> None:
        """What was written is what is read, with times in nanoseconds since 1970."""
        store = self.store(tmp_path)
        assert self.write(store, "t", [("a", 1, 2, 7)]).written == 1
        [row] = store.read("t", [{"user": "a"}])
        assert row is not None
        assert (row.event_time, row.created_time, row.values) == (_nanoseconds(1), _nanoseconds(2), {"plays": 7})

    def test_rows_come_in_the_order_asked_and_none_where_there_is_none(self, tmp_path: Path) -> None:
        """Keys that are not there, null or asked for twice each get their own answer."""
        store = self.store(tmp_path)
        users = [f"u{i}" for i in range(2_000)]
        self.write(store, "t", [(user, 0, 0, i) for i, user in enumerate(users)])
        asked = ["u1999", "nobody", "u3", None, "u3"]
        found = store.read("t", [{"user": user} for user in asked])
        assert [None if row is None else row.values["plays"] for row in found] == [1999, None, 3, None, 3]
        assert len(store.read("t", [{"user": user} for user in users])) == len(users)
        assert list(store.read("t", [])) == []

    def test_older_never_overwrites_newer(self, tmp_path: Path) -> None:
        """An older event, and an older creation of the same event, are counted and left out."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 10, 10, 1)])
        late = self.write(store, "t", [("a", 9, 99, 2), ("b", 1, 1, 3)])
        again = [self.write(store, "t", [("a", 10, created, 4)]) for created in (9, None)]
        assert self.plays(store, "t", "a") == 1
        assert late.given == len("ab")
        if self.counts:
            assert (late.written, late.older, late.unchanged) == (1, 1, 0)
            assert [each.older for each in again] == [1, 1]

    def test_the_last_of_one_write_wins_among_equal_times(self, tmp_path: Path) -> None:
        """Of equal (event, created) in one write the last row stays, and the others count as older."""
        store = self.store(tmp_path)
        written = self.write(store, "t", [("a", 1, 1, "first"), ("a", 1, 1, "last"), ("a", 0, 5, "older")])
        assert (written.written, written.older) == (1, 2)
        assert self.plays(store, "t", "a") == "last"

    def test_a_correction_of_the_same_event_replaces_it(self, tmp_path: Path) -> None:
        """A later write with equal (event, created) and other values wins."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 1, 1, "wrong")])
        assert self.write(store, "t", [("a", 1, 1, "right")]).written == 1
        assert self.plays(store, "t", "a") == "right"

    def test_the_same_write_again_changes_nothing(self, tmp_path: Path) -> None:
        """After a rerun all rows are as they were, and count as unchanged."""
        store = self.store(tmp_path)
        rows = [("a", 1, 1, 1), ("b", 2, None, None)]
        users = [{"user": "a"}, {"user": "b"}]
        self.write(store, "t", rows)
        before = store.read("t", users)
        again = self.write(store, "t", rows)
        assert store.read("t", users) == before
        assert again.older == 0
        if self.counts:
            assert (again.written, again.unchanged) == (0, 2)

    def test_newest_wins_in_whatever_order_writes_arrive(self, tmp_path: Path) -> None:
        """Any order of rows with distinct times, cut into any writes, leaves the same row of each key."""
        from hypothesis import given, settings
        from hypothesis import strategies as st

        store, names = self.store(tmp_path), count()
        row = st.tuples(st.sampled_from("abc"), st.integers(-3, 3), st.none() | st.integers(-3, 3))
        some_rows = st.lists(row, min_size=1, max_size=12, unique=True)

        @settings(max_examples=25, deadline=None)
        @given(some_rows.flatmap(st.permutations), st.integers(1, 12))
        def holds(rows: Sequence[tuple[str, int, int | None]], size: int) -> None:
            table, ids = f"permuted {next(names)}", {row: place for place, row in enumerate(sorted(rows, key=_rank))}
            for start in range(0, len(rows), size):
                self.write(store, table, [(*row, ids[row]) for row in rows[start : start + size]])
            for user in {user for user, _, _ in rows}:
                assert self.plays(store, table, user) == max(place for row, place in ids.items() if row[0] == user)

        holds()

    def test_two_writers_at_once_lose_nothing(self, tmp_path: Path) -> None:
        """Loads of two dates at the same time leave the newer row of every key."""
        store = self.store(tmp_path)
        self.write(store, "t", [("first", 0, 0, 0)])
        loads = [[(f"u{i}", day, day, day) for i in range(3_000)] for day in (2, 1)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda rows: self.write(store, "t", rows), loads))
        found = store.read("t", [{"user": f"u{i}"} for i in range(3_000)])
        assert {None if row is None else row.values["plays"] for row in found} == {2}

    def test_tables_do_not_see_each_other(self, tmp_path: Path) -> None:
        """The same key in two tables is two rows; a table that is not there is an error that names those which are."""
        store = self.store(tmp_path)
        self.write(store, "one", [("a", 5, 5, 1)])
        self.write(store, "two", [("a", 1, 1, 2)])
        assert (self.plays(store, "one", "a"), self.plays(store, "two", "a")) == (1, 2)
        assert list(store.tables()) == ["one", "two"]
        assert "one" in str(_raised(NotRegistered, lambda: store.read("three", [{"user": "a"}])))

    def test_keys_of_any_kind_find_their_row(self, tmp_path: Path) -> None:
        """Composite keys of text, bytes, integers, bools, dates and times are told apart, NUL and ``#`` in them too."""
        store = self.store(tmp_path)
        day = MOMENT.date()
        keys = [("a#b", b"\0", 2**63 - 1, True, day, MOMENT), ("a", b"#b\0", -(2**63), False, day, MOMENT)]
        keys += [("a\0", b"", 0, True, day, MOMENT), ("å" * 1_900, b"\xff" * 100, 0, True, day, MOMENT)]
        names = ["text", "bytes", "number", "bool", "day", "at"]
        columns = dict(zip(names, (pa.array(column) for column in zip(*keys, strict=True)), strict=True))
        store.write("t", pa.table({**columns, "value": range(len(keys))}), keys=names, event_time=None)
        found = store.read("t", [dict(zip(names, key, strict=True)) for key in keys])
        assert [None if row is None else row.values["value"] for row in found] == list(range(len(keys)))

    def test_static_rows_are_replaced_by_the_last_write(self, tmp_path: Path) -> None:
        """Without an event time the last write wins, and the row has no times."""
        store = self.store(tmp_path)
        for seats in (100, 150):
            store.write("planes", pa.table({"tail": ["N1"], "seats": [seats]}), keys=["tail"], event_time=None)
        [row] = store.read("planes", [{"tail": "N1"}])
        assert row is not None
        assert (row.event_time, row.created_time, row.values) == (None, None, {"seats": 150})

    def test_values_are_exact(self, tmp_path: Path) -> None:
        """Great integers, empty and missing values, bytes, lists and zoned times come back as they were."""
        store = self.store(tmp_path)
        values: dict[str, list[Any]] = {
            "big": [2**63 - 1, None],
            "text": ["", None],
            "raw": [b"\0\xff", None],
            "flag": [False, None],
            "list": [[0.5, None], []],
            "at": [MOMENT, None],
            "none": [None, None],
        }
        store.write("t", pa.table({"user": ["a", "b"], **values}), keys=["user"], event_time=None)
        for place, row in enumerate(store.read("t", [{"user": "a"}, {"user": "b"}])):
            assert row is not None
            assert row.values == {name: column[place] for name, column in values.items()}

    def test_other_columns_and_types_are_refused_and_change_nothing(self, tmp_path: Path) -> None:
        """A table's columns are those of its first write: a change goes to another table."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 1, 1, 1)])
        assert "plays" in str(_raised(InvalidType, lambda: self.write(store, "t", [("a", 2, 2, "many")])))
        rows = pa.table({"user": ["a"], "at": moments(3), "made": moments(3), "skips": [1]})
        wrong: dict[str, Any] = {"keys": ["user"], "event_time": "at", "created_time": "made"}
        assert "skips" in str(_raised(InvalidType, lambda: store.write("t", rows, **wrong)))
        assert self.plays(store, "t", "a") == 1

    def test_keys_and_times_may_not_be_null(self, tmp_path: Path) -> None:
        """A null in a key or an event time is refused by name, before anything is written."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 1, 1, 1)])
        wrong: list[tuple[str, Any]] = [("user", (None, 1, 1, 1)), ("at", ("a", None, 1, 1))]
        for column, row in wrong:
            write: Any = partial(self.write, store, "t", [("b", 2, 2, 2), row])
            assert f"'{column}'" in str(_raised(InvalidValue, write))
        assert store.read("t", [{"user": "b"}])[0] is None

    def test_an_entity_that_does_not_fit_is_refused(self, tmp_path: Path) -> None:
        """A missing key and a key of another type are errors, never a miss."""
        store = self.store(tmp_path)
        self.write(store, "t", [("7", 1, 1, 1)])
        assert "usr" in str(_raised(MissingColumn, lambda: store.read("t", [{"usr": "7"}])))
        assert "7" in str(_raised(InvalidType, lambda: store.read("t", [{"user": 7}])))

    def test_several_tables_are_read_in_one_round(self, tmp_path: Path) -> None:
        """Each table gives the rows of its entities in the order asked; two may hold the same keys, or others."""
        store = self.store(tmp_path)
        self.write(store, "one", [("a", 1, 1, 1), ("b", 1, 1, 2)])
        self.write(store, "two", [("a", 2, 2, 3)])
        store.write("seats", pa.table({"tail": [7], "seats": [100]}), keys=["tail"], event_time=None, entity="aircraft")
        asked: list[tuple[str, list[dict[str, Any]]]] = [
            ("two", [{"user": "a"}, {"user": "b"}]),
            ("seats", [{"tail": 7}, {"tail": 8}]),
            ("one", [{"user": "b"}, {"user": "a"}]),
        ]
        found = store.read_tables(asked)
        values = [[None if row is None else row.values for row in rows] for rows in found]
        assert values == [[{"plays": 3}, None], [{"seats": 100}, None], [{"plays": 2}, {"plays": 1}]]

    def test_a_new_version_takes_over_in_one_moment_and_gives_back(self, tmp_path: Path) -> None:
        """What is written to another version is not seen until it is served, other columns and types included."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 5, 5, 1), ("b", 5, 5, 1)])
        rows = pa.table({"user": ["a"], "at": moments(1), "plays": ["many"]})
        store.write("t", rows, keys=["user"], event_time="at", version=2)
        assert (store.versions("t").current, store.versions("t").held) == (1, (1, 2))
        assert self.plays(store, "t", "a") == 1
        store.serve("t", 2)
        assert self.plays(store, "t", "a") == "many"
        assert store.layout("t").value_names == ("plays",)
        assert store.read("t", [{"user": "b"}])[0] is None
        store.serve("t", 1)
        assert self.plays(store, "t", "a") == 1
        assert "3" in str(_raised(NotRegistered, lambda: store.serve("t", 3)))

    def test_a_version_that_is_never_served_makes_no_table(self, tmp_path: Path) -> None:
        """A first load that is to take over when it is whole is not seen before."""
        store = self.store(tmp_path)
        self.write(store, "other", [("a", 1, 1, 1)])
        rows = pa.table({"user": ["a"], "at": moments(1), "plays": [1]})
        store.write("t", rows, keys=["user"], event_time="at", version=1)
        assert "other" in str(_raised(NotRegistered, lambda: store.read("t", [{"user": "a"}])))
        assert (store.versions("t").current, store.versions("t").held) == (None, (1,))
        assert list(store.tables()) == ["other"]
        store.serve("t", 1)

    def test_what_is_dropped_is_gone_and_nothing_else(self, tmp_path: Path) -> None:
        """A table goes with its versions, a version alone if it is not served; a table of the name begins anew."""
        store = self.store(tmp_path)
        for table in ("t", "t2"):
            self.write(store, table, [("a", 5, 5, 1), ("b", 5, 5, 1)])
        rows = pa.table({"user": ["a"], "at": moments(1), "plays": [2]})
        store.write("t", rows, keys=["user"], event_time="at", version=2)
        assert "served" in str(_raised(InvalidValue, lambda: store.drop("t", 1)))
        store.drop("t", 2)
        assert (store.versions("t").held, self.plays(store, "t", "a")) == ((1,), 1)
        for _ in range(2):
            store.drop("t")
            assert "t2" in str(_raised(NotRegistered, lambda: store.read("t", [{"user": "a"}])))
        assert (store.versions("t").held, self.plays(store, "t2", "a")) == ((), 1)
        self.write(store, "t", [("b", 1, 1, "new")])
        assert store.read("t", [{"user": "a"}])[0] is None
        assert self.plays(store, "t", "b") == "new"


def _rank(row: tuple[str, int, int | None]) -> tuple[int, int]:
    return row[1], -99 if row[2] is None else row[2]


def _there(rows: Sequence[Row | None]) -> Any:
    [row] = rows
    assert row is not None
    return row.values


def _raised(kind: type[Exception], call: Callable[[], object]) -> Exception:
    import pytest

    with pytest.raises(kind) as caught:
        call()
    return caught.value
