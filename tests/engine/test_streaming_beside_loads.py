"""Loads and a stream that write the same features at once: the newest wins everywhere, and nothing is lost."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.engine import catalog, feature_tables, online_tables
from jukebox.engine.streaming import Sink
from jukebox.engine.streaming_events import Event
from jukebox.stores import open_online
from tests.engine.streaming_place import (
    START,
    USERS,
    Stage,
    deliver,
    event,
    load_offline,
    load_online,
    loaded,
    utc,
)


@pytest.fixture(params=["sqlite", "bigtable", "gs"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """An endpoint whose first day is loaded into both layouts, with each kind of store."""
    store = request.getfixturevalue("bigtable") if request.param == "bigtable" else None
    table = f"{request.getfixturevalue('gs_bucket')}/plays" if request.param == "gs" else None
    return loaded(Stage(tmp_path, "none", store, table))


def sent(number: int, user: str, at: datetime) -> Event:
    """An event, whose number is its id and its plays."""
    data = json.dumps({"user": user, "at": at.isoformat(), "n": number, "share": 0.5}).encode()
    return Event(f"m{number}", data, at)


class Streaming(threading.Thread):
    """Events of several days, in batches and out of order, until it is told to end."""

    def __init__(self, here: Stage, days: int, first: int = 0) -> None:
        super().__init__()
        self.here, self.days, self.first = here, days, first
        self.events: list[tuple[str, datetime, int]] = []
        self.ending, self.turn, self.failed = threading.Event(), threading.Lock(), []

    def run(self) -> None:
        """Stream."""
        try:
            with closing(Sink(self.here.destination)) as sink:
                while not self.ending.is_set() and len(self.events) < 3_000:
                    some = [self._next(self.first + len(self.events) + n) for n in range(7)]
                    with self.turn:
                        assert sink.take([sent(n, user, at) for user, at, n in some]).rows == len(some)
                        self.events += some
        except BaseException as exc:
            self.failed.append(exc)
            raise

    def _next(self, number: int) -> tuple[str, datetime, int]:
        # 7,919 is prime: the times jump to and fro, and no two are the same.
        return USERS[number * 13 % 20], START + timedelta(seconds=1 + number * 7_919 % (self.days * 86_000)), number

    def ended(self) -> list[tuple[str, datetime, int]]:
        """End it, and return what it has streamed."""
        self.ending.set()
        self.join()
        assert not self.failed
        return self.events


def newest(rows: list[tuple[str, datetime, int]]) -> dict[str, tuple[int, datetime]]:
    """Return plays and time of each user's newest row."""
    best: dict[str, tuple[str, datetime, int]] = {}
    for row in rows:
        if row[0] not in best or row[1] > best[row[0]][1]:
            best[row[0]] = row
    return {user: (plays, at) for user, (_, at, plays) in best.items()}


def test_online_loads_and_flips_beside_a_stream_lose_nothing_of_it(here: Stage) -> None:
    """Loads of a date and of all, into the served version and a new one, six rounds: served is what is newest.

    The version that is gone back to has it too, and the offline table holds every event once.
    """
    stream = Streaming(here, days=3)
    stream.start()
    for _ in range(6):
        for about in ({}, {"date": "2024-01-01"}, {"replace": True}, {"date": "2024-01-01", "replace": True}):
            load_online(here, **about)
    events = stream.ended()
    assert len(events) > 20
    expected = newest([*((user, START, -1) for user in USERS), *events])
    assert here.online(*USERS) == expected
    with closing(open_online(here.destination.store)) as store:
        (name,) = store.tables()
        held = store.versions(name).held
        assert len(held) == 2
        store.serve(name, held[0])
    assert here.online(*USERS) == expected
    assert sorted(row[2] for row in here.offline()) == sorted([-1] * 20 + [n for _, _, n in events])


def test_offline_loads_beside_a_stream_keep_what_comes_meanwhile(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that tells of all that was streamed when a load begins, loaded six times while the stream goes on."""
    stream, begin = Streaming(here, days=1), feature_tables.streamed_ids

    def begun(folder: Any) -> Any:
        found = begin(folder)
        stream.turn.release()
        return found

    monkeypatch.setattr(feature_tables, "streamed_ids", begun)
    stream.start()
    for _ in range(6):
        stream.turn.acquire()
        deliver(here, [*((user, START, -1) for user in USERS), *stream.events])
        load_offline(here)
    events = stream.ended()
    assert len(events) > 20
    assert {n for _, _, n in here.offline()} == {-1, *(n for _, _, n in events)}
    expected = newest([*((user, START, -1) for user in USERS), *events])
    assert here.online(*USERS) == expected
    assert here.joined(*((user, "03T00:00") for user in USERS)) == [expected[user][0] for user in USERS]
    load_online(here, replace=True)
    assert here.online(*USERS) == expected


def test_a_replacement_of_a_date_takes_along_what_was_streamed_of_later_ones(here: Stage) -> None:
    """What a stream has appended to dates that were not asked for stays served; dates that were loaded do not."""
    with closing(Sink(here.destination)) as sink:
        sink.take([Event("a", event("u1", "02T08:00", 7), utc("02T08:00"))])
    made = load_online(here, date="2024-01-01", replace=True)
    assert here.online("u1", "u2") == {"u1": (7, utc("02T08:00")), "u2": (-1, START)}
    assert [source.uri.split("date=")[1][:10] for source in made.inputs] == ["2024-01-01", "2024-01-02"]


def test_what_is_streamed_while_a_new_version_is_written_is_in_it(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of a new date that comes right before the flip, and one that comes right after it."""
    to, write = here.destination, online_tables._write
    with closing(Sink(to)) as sink:

        def slow(*given: Any) -> Any:
            done = write(*given)
            sink.take([Event("a", event("u1", "02T08:00", 7), utc("02T08:00"))])
            return done

        monkeypatch.setattr(online_tables, "_write", slow)
        load_online(here, replace=True)
        assert here.online("u1") == {"u1": (7, utc("02T08:00"))}
        sink.take([Event("b", event("u1", "02T09:00", 8), utc("02T09:00"))])
    assert here.online("u1") == {"u1": (8, utc("02T09:00"))}


def test_a_replacement_that_fails_leaves_no_version_behind(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream has nothing more to write to than before, and what was served is served."""

    def fail(*_: Any) -> Any:
        raise OSError("the network is gone")

    monkeypatch.setattr(online_tables, "_write", fail)
    with pytest.raises(OSError, match="network"):
        load_online(here, replace=True)
    with closing(open_online(here.destination.store)) as store:
        (name,) = store.tables()
        assert store.versions(name).held == (1,)
    assert here.online("u1") == {"u1": (-1, START)}


def test_a_version_that_was_dropped_is_not_made_anew_by_a_late_write(here: Stage) -> None:
    """A stream that looked before the drop passes it over."""
    with closing(Sink(here.destination)) as sink:
        for _ in range(2):
            load_online(here, replace=True)
        rows = pa.table(
            {"user": ["u1"], "at": pa.array([utc("02T08:00")], pa.timestamp("us", "UTC")), "plays": [7], "share": [0.5]}
        )
        sink._put(rows, 1)
    with closing(open_online(here.destination.store)) as store:
        (name,) = store.tables()
        assert store.versions(name).held == (2, 3)


def test_a_date_that_comes_while_features_are_looked_up_makes_no_second_table(
    here: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both features are loaded into one online table, though the first was looked up before the date was known."""
    real, seen = catalog.partitions_of, []

    def slow(*given: Any) -> Any:
        found = real(*given)
        if not seen:
            seen.append(found)
            with closing(Sink(here.destination)) as sink:
                sink.take([Event("a", event("u1", "02T08:00", 7), utc("02T08:00"))])
        return found

    monkeypatch.setattr(catalog, "partitions_of", slow)
    made = load_online(here)
    assert [len(table["features"]) for table in made.details["tables"]] == [2]
    assert here.online("u1") == {"u1": (7, utc("02T08:00"))}


def test_two_streams_and_flips_of_a_version_lose_nothing(here: Stage) -> None:
    """Two processes' worth of streams to the same table, while its version is replaced six times."""
    streams = [Streaming(here, days=2, first=first) for first in (0, 100_000)]
    for each in streams:
        each.start()
    for _ in range(6):
        load_online(here, replace=True)
    events = [row for each in streams for row in each.ended()]
    assert here.online(*USERS) == newest([*((user, START, -1) for user in USERS), *events])
    assert sorted(row[2] for row in here.offline()) == sorted([-1] * 20 + [n for _, _, n in events])


def test_a_flip_between_the_two_writes_of_a_batch_has_the_batch(here: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version was not there when the online table was written, nor the rows offline when the load looked."""
    real = Sink._write_online

    def slow(*given: Any) -> Any:
        done = real(*given)
        load_online(here, replace=True)
        return done

    monkeypatch.setattr(Sink, "_write_online", slow)
    with closing(Sink(here.destination)) as sink:
        sink.take([Event("a", event("u1", "02T08:00", 7), utc("02T08:00"))])
    assert here.online("u1") == {"u1": (7, utc("02T08:00"))}
