"""The tables of a store and their versions: apart from each other, flipped, given back, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.errors import InvalidValue, NotRegistered
from jukebox.testing.stores import Suite, moments, raised

if TYPE_CHECKING:
    from pathlib import Path


class TablesSuite(Suite):
    """Tables do not see each other, and of a table's versions one is served."""

    def test_tables_do_not_see_each_other(self, tmp_path: Path) -> None:
        """The same key in two tables is two rows; a table that is not there is an error that names those which are."""
        store = self.store(tmp_path)
        self.write(store, "one", [("a", 5, 5, 1)])
        self.write(store, "two", [("a", 1, 1, 2)])
        assert (self.plays(store, "one", "a"), self.plays(store, "two", "a")) == (1, 2)
        assert list(store.tables()) == ["one", "two"]
        assert "one" in str(raised(NotRegistered, lambda: store.read("three", [{"user": "a"}])))

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
        assert "3" in str(raised(NotRegistered, lambda: store.serve("t", 3)))

    def test_a_version_that_is_never_served_makes_no_table(self, tmp_path: Path) -> None:
        """A first load that is to take over when it is whole is not seen before."""
        store = self.store(tmp_path)
        self.write(store, "other", [("a", 1, 1, 1)])
        rows = pa.table({"user": ["a"], "at": moments(1), "plays": [1]})
        store.write("t", rows, keys=["user"], event_time="at", version=1)
        assert "other" in str(raised(NotRegistered, lambda: store.read("t", [{"user": "a"}])))
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
        assert "served" in str(raised(InvalidValue, lambda: store.drop("t", 1)))
        store.drop("t", 2)
        assert (store.versions("t").held, self.plays(store, "t", "a")) == ((1,), 1)
        for _ in range(2):
            store.drop("t")
            assert "t2" in str(raised(NotRegistered, lambda: store.read("t", [{"user": "a"}])))
        assert (store.versions("t").held, self.plays(store, "t2", "a")) == ((), 1)
        self.write(store, "t", [("b", 1, 1, "new")])
        assert store.read("t", [{"user": "a"}])[0] is None
        assert self.plays(store, "t", "b") == "new"
