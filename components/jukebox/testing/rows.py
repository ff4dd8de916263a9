"""What a row is: keys, times and values of any type, which come back as they were or are refused."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, MissingColumn
from jukebox.testing.stores import MOMENT, Suite, moments, nanoseconds, raised

if TYPE_CHECKING:
    from pathlib import Path


class RowsSuite(Suite):
    """Rows come back exact, and what is none of the table's is refused."""

    def test_a_row_comes_back_with_its_times_and_values(self, tmp_path: Path) -> None:
        """What was written is what is read, with times in nanoseconds since 1970."""
        store = self.store(tmp_path)
        assert self.write(store, "t", [("a", 1, 2, 7)]).written == 1
        [row] = store.read("t", [{"user": "a"}])
        assert row is not None
        assert (row.event_time, row.created_time, row.values) == (nanoseconds(1), nanoseconds(2), {"plays": 7})

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
        """Great integers, NaN, empty and missing values, bytes, lists and zoned times come back as they were."""
        store = self.store(tmp_path)
        values: dict[str, list[Any]] = {
            "big": [2**63 - 1, None],
            "text": ["", None],
            "raw": [b"\0\xff", None],
            "nothing": [b"", None],
            "flag": [False, None],
            "list": [[0.5, None], []],
            "at": [MOMENT, None],
            "none": [None, None],
        }
        rows = pa.table({"user": ["a", "b"], "nan": [math.nan, None], **values})
        store.write("t", rows, keys=["user"], event_time=None)
        for place, row in enumerate(store.read("t", [{"user": "a"}, {"user": "b"}])):
            assert row is not None
            found = row.values
            nan = found.pop("nan")
            assert nan is None if place else math.isnan(nan)
            assert found == {name: column[place] for name, column in values.items()}

    def test_other_columns_and_types_are_refused_and_change_nothing(self, tmp_path: Path) -> None:
        """A table's columns are those of its first write: a change goes to another table."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 1, 1, 1)])
        assert "plays" in str(raised(InvalidType, lambda: self.write(store, "t", [("a", 2, 2, "many")])))
        rows = pa.table({"user": ["a"], "at": moments(3), "made": moments(3), "skips": [1]})
        wrong: dict[str, Any] = {"keys": ["user"], "event_time": "at", "created_time": "made"}
        assert "skips" in str(raised(InvalidType, lambda: store.write("t", rows, **wrong)))
        assert self.plays(store, "t", "a") == 1

    def test_keys_and_times_may_not_be_null(self, tmp_path: Path) -> None:
        """A null in a key or an event time is refused by name, before anything is written."""
        store = self.store(tmp_path)
        self.write(store, "t", [("a", 1, 1, 1)])
        wrong: list[tuple[str, Any]] = [("user", (None, 1, 1, 1)), ("at", ("a", None, 1, 1))]
        for column, row in wrong:
            write: Any = partial(self.write, store, "t", [("b", 2, 2, 2), row])
            assert f"'{column}'" in str(raised(InvalidValue, write))
        assert store.read("t", [{"user": "b"}])[0] is None

    def test_an_entity_that_does_not_fit_is_refused(self, tmp_path: Path) -> None:
        """A missing key and a key of another type are errors, never a miss."""
        store = self.store(tmp_path)
        self.write(store, "t", [("7", 1, 1, 1)])
        assert "usr" in str(raised(MissingColumn, lambda: store.read("t", [{"usr": "7"}])))
        assert "7" in str(raised(InvalidType, lambda: store.read("t", [{"user": 7}])))
