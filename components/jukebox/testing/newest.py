"""Who wins among rows of a key, in whatever order and by whomever they are written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

from jukebox.testing.stores import Suite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class NewestSuite(Suite):
    """The newest (event time, created time) of each key stays."""

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


def _rank(row: tuple[str, int, int | None]) -> tuple[int, int]:
    return row[1], -99 if row[2] is None else row[2]
