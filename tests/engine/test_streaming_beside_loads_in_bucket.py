"""Online loads and a stream whose offline table lies in a bucket, where no load waits for an append."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jukebox.engine.streaming import Sink
from jukebox.engine.streaming_events import Event
from jukebox.engine.streaming_parts import GrowingTable
from tests.engine.streaming_place import START, Stage, event, load_online, loaded, utc


@pytest.fixture
def in_bucket(gs_bucket: str, tmp_path: Path) -> Stage:
    """A table in a bucket, where no load waits for an append."""
    return loaded(Stage(tmp_path, "none", None, f"{gs_bucket}/plays"))


def test_a_version_that_comes_and_is_served_during_an_append_has_the_rows(
    in_bucket: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream had looked for versions before it was there, and the load at the partition before the rows were."""
    real = GrowingTable.append

    def slow(*given: Any) -> Any:
        load_online(in_bucket, replace=True)
        return real(*given)

    monkeypatch.setattr(GrowingTable, "append", slow)
    with closing(Sink(in_bucket.destination)) as sink:
        sink.take([Event("a", event("u1", "01T08:00", 7), utc("01T08:00"))])
    assert in_bucket.online("u1") == {"u1": (7, utc("01T08:00"))}


def test_a_stream_that_dies_right_after_such_an_append_is_completed_by_the_next(
    in_bucket: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is delivered again: it makes no row, and the version has the one that it lacked."""
    real, sent = GrowingTable.append, [Event("a", event("u1", "01T08:00", 7), utc("01T08:00"))]

    def last(*given: Any) -> Any:
        load_online(in_bucket, replace=True)
        real(*given)
        raise KeyboardInterrupt

    with closing(Sink(in_bucket.destination)) as sink, monkeypatch.context() as patched:
        patched.setattr(GrowingTable, "append", last)
        with pytest.raises(KeyboardInterrupt):
            sink.take(sent)
    assert in_bucket.online("u1") == {"u1": (-1, START)}
    with closing(Sink(in_bucket.destination)) as sink:
        taken = sink.take(sent)
    assert (taken.rows, taken.repeated) == (0, 1)
    assert in_bucket.online("u1") == {"u1": (7, utc("01T08:00"))}
    assert sorted(n for _, _, n in in_bucket.offline()) == [-1] * 20 + [7]
