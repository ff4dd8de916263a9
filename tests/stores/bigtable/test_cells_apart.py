"""Cells that hold a feature each, beside packed ones in the same table: whoever wrote last of the newest is read."""

from __future__ import annotations

from itertools import count

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jukebox.stores import open_online

START = 1_700_000_000_000_000
SHAPES = ("", "?cells=columns")


def rows_of(user: str, micros: int, value: int) -> pa.Table:
    """One row of two features."""
    at = pa.array([START + micros], pa.timestamp("us", "UTC"))
    return pa.table({"user": [user], "at": at, "value": [value], "twice": [2 * value]})


def test_packed_cells_and_cells_apart_settle_who_is_newest(bigtable: str) -> None:
    """Any order of writes in either shape, of events between milliseconds and of corrections of the same event."""
    stores, names = [open_online(bigtable + shape) for shape in SHAPES], count()
    writes = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0, 1, 2, 1_000])), min_size=1, max_size=7)

    @settings(max_examples=40, deadline=None)
    @example([(0, 1_000), (1, 0)])
    @example([(0, 0), (1, 0)])
    @example([(1, 1), (0, 1), (1, 1)])
    @given(writes)
    def holds(order: list[tuple[int, int]]) -> None:
        user = f"u{next(names)}"
        for number, (shape, micros) in enumerate(order):
            stores[shape].write("t", rows_of(user, micros, number), keys=["user"], event_time="at")
        newest = max(micros for _, micros in order)
        last = max(number for number, (_, micros) in enumerate(order) if micros == newest)
        for store in stores:
            [found] = store.read("t", [{"user": user}])
            assert found is not None
            assert found.values == {"value": last, "twice": 2 * last}

    holds()


def test_rows_without_features_are_rows_all_the_same(bigtable: str) -> None:
    """A cell a feature would be no cell, and a key that was loaded would pass for one that is unknown."""
    for shape in SHAPES:
        store = open_online(bigtable + shape)
        rows = rows_of("a", 0, 0).select(["user", "at"])
        store.write(f"t{shape[1:]}", rows, keys=["user"], event_time="at")
        [there, missing] = store.read(f"t{shape[1:]}", [{"user": "a"}, {"user": "b"}])
        assert there is not None
        assert (there.event_time, there.values) == (START * 1_000, {})
        assert missing is None
