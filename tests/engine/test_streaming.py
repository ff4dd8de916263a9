"""A stream writes events to both layouts and acknowledges them then, whatever their order, whatever dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jukebox.engine.streaming_puller import Batching
from jukebox.errors import InvalidValue, JukeboxError, NotRegistered, StorageError
from jukebox.stores.bigtable.connection import Connection
from tests.emulators import Emulator
from tests.engine.streaming_killed import STEPS
from tests.engine.streaming_place import Stage, event, stage, utc

IDLE = Batching(rows=100, seconds=0.2, lease=10, idle=1)


@pytest.fixture(params=["sqlite", "bigtable", "gs"])
def anywhere(request: pytest.FixtureRequest, plays: Stage) -> Stage:
    """The same with each kind of online store, and with the offline table in a bucket."""
    if request.param == "gs":
        return replace(plays, table=f"{request.getfixturevalue('gs_bucket')}/plays")
    return plays if request.param == "sqlite" else replace(plays, store=request.getfixturevalue("bigtable"))


def test_events_are_served_at_once_and_join_point_in_time_later(anywhere: Stage) -> None:
    """The newest of each key is online, all of them are offline, and a join as of a time gets what was true then."""
    anywhere.publish(event("ann", "01T08:00", 1), event("bob", "01T09:00", 5), event("ann", "02T08:00", 2))
    done = anywhere.stream(until=3)
    assert (done.pulled, done.rows, done.repeated, done.refused) == (3, 3, 0, 0)
    assert anywhere.online("ann", "bob") == {"ann": (2, utc("02T08:00")), "bob": (5, utc("01T09:00"))}
    assert sorted(anywhere.offline()) == [("ann", "01T08:00", 1), ("ann", "02T08:00", 2), ("bob", "01T09:00", 5)]
    assert anywhere.joined(("ann", "01T12:00"), ("ann", "02T08:00"), ("bob", "01T08:59")) == [1, 2, None]
    assert anywhere.waiting() == []


def test_late_and_out_of_order_events_are_right(anywhere: Stage) -> None:
    """An older event that comes later replaces nothing online and is found offline as of its own time."""
    anywhere.publish(event("ann", "03T08:00", 3), event("ann", "02T08:00", 2), ordered=True)
    anywhere.stream(until=2)
    anywhere.publish(event("ann", "01T08:00", 1))
    anywhere.stream(until=1)
    assert anywhere.online("ann") == {"ann": (3, utc("03T08:00"))}
    assert anywhere.joined(*[("ann", f"0{day}T09:00") for day in (1, 2, 3)]) == [1, 2, 3]


def test_the_last_published_of_two_events_of_one_time_wins_in_both_layouts(anywhere: Stage) -> None:
    """A correction is what counts, online and offline."""
    anywhere.publish(*(event("ann", "01T08:00", n) for n in range(5)), ordered=True)
    anywhere.stream(until=5)
    assert anywhere.online("ann") == {"ann": (4, utc("01T08:00"))}
    assert anywhere.joined(("ann", "01T09:00")) == [4]


def test_a_kill_after_any_step_loses_nothing_and_doubles_nothing(
    pubsub, tmp_path: Path, monkeypatch, bigtable, gs_bucket
) -> None:
    """A process that is killed after the pull, a write or the acknowledgement leaves what another one completes."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.host)
    stages = {(step, ""): _published(tmp_path / step) for step in STEPS}
    for step in ("online", "offline"):  # the two writes
        stages[step, "bigtable"] = _published(tmp_path / f"{step}-bigtable", f"{bigtable}-{step}")
        stages[step, "gs"] = _published(tmp_path / f"{step}-gs", table=f"{gs_bucket}/{step}")
    script = str(Path(__file__).with_name("streaming_killed.py"))
    died = {
        which: subprocess.Popen(
            [sys.executable, script, str(each.root), each.project, to.store, to.offline_table, which[0]]
        )
        for which, each in stages.items()
        for to in [each.destination]
    }
    assert {which: process.wait() for which, process in died.items()} == dict.fromkeys(stages, -signal.SIGKILL)
    time.sleep(11)  # until the leases of the dead have ended
    users = [f"u{n}" for n in range(20)]
    for (step, _), plays in stages.items():
        done = plays.stream(IDLE) if step == "ack" else plays.stream(until=20)
        assert sorted(plays.offline()) == sorted((user, _at(n), n) for n, user in enumerate(users))
        assert plays.online(*users) == {user: (n, utc(_at(n))) for n, user in enumerate(users)}
        assert plays.joined(*((user, "05T00:00") for user in users)) == list(range(20))
        assert done.rows + done.repeated == (0 if step == "ack" else 20)
        assert (done.repeated > 0) == (step in {"offline", "registry"})


def _published(root: Path, store: str | None = None, table: str | None = None) -> Stage:
    root.mkdir()
    made = stage(root, store=store, table=table)
    made.publish(*(event(f"u{n}", _at(n), n) for n in range(20)))
    return made


def _at(number: int) -> str:
    return f"0{1 + number % 3}T08:00"


def test_messages_that_are_refused_go_to_the_dead_letter_topic_by_name(plays: Stage) -> None:
    """The rest of their batch is written, and they carry the reason."""
    bad = [b"{", b"[]", event("ann", "01T08:00", "many"), event("ann", "01T08:00", 1.5), b'{"user": "ann", "n": 1}']
    said: list[str] = []
    plays.publish(*bad, event("bob", "01T08:00", 7))
    dead = f"projects/{plays.project}/topics/refused"
    done = plays.stream(until=6, dead_letter=dead, told=said.append)
    assert (done.rows, done.refused, done.dead_lettered) == (1, 5, 5)
    assert plays.offline() == [("bob", "01T08:00", 7)]
    assert sorted(plays.waiting(f"projects/{plays.project}/subscriptions/refused")) == sorted(bad)
    assert plays.waiting() == []
    for reason in ("no JSON", "not a record", "'n' is declared int64 and holds 'many'", "holds 1.5", "has no 'at'"):
        assert any(reason in line for line in said)


def test_without_a_dead_letter_topic_a_refused_message_is_tried_and_then_ends_the_stream(plays: Stage) -> None:
    """The error names the message and the reason, what is right has been written, and the message stays."""
    plays.publish(event("ann", "01T08:00", "x"), event("bob", "01T08:00", 7))
    with pytest.raises(InvalidValue, match="was refused 2 times: column 'n' is declared int64 and holds 'x'"):
        plays.stream(Batching(rows=100, seconds=0.2, lease=10, tries=2, retry=1, idle=15))
    assert plays.offline() == [("bob", "01T08:00", 7)]
    assert plays.waiting() == [event("ann", "01T08:00", "x")]


def test_sigterm_ends_a_stream_after_the_batch_in_hand(plays: Stage) -> None:
    """Nothing that was pulled waits for a lease to end."""
    plays.publish(*(event(f"u{n}", "01T08:00", n) for n in range(10)))
    to = plays.destination
    command = ["jukebox", "stream", "--subscription", plays.subscription, "--data-endpoint", "plays", "--json"]
    command += ["--store", to.store, "--offline-table", to.offline_table, "--registry", to.registry]
    command += ["--batch-seconds", "30", "--lease-seconds", "600"]
    program = f"from jukebox.cli import main; import sys; sys.argv = {command!r}; main()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        assert any(b"streaming from" in line for line in running.stderr)
        time.sleep(2)
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert b'"rows": 10' in out
    assert len(plays.offline()) == 10
    assert plays.waiting() == []


def test_a_store_that_fails_leaves_everything_unacknowledged(plays: Stage) -> None:
    """What cannot be written is delivered again, and at once."""
    plays.publish(event("ann", "01T08:00", 1))
    (plays.root / "table").write_text("in the way")
    with pytest.raises(StorageError):
        plays.stream()
    (plays.root / "table").unlink()
    done = plays.stream(until=1)
    assert (done.rows, plays.offline()) == (1, [("ann", "01T08:00", 1)])


def test_a_store_that_dies_and_comes_back_empty_is_one_error_and_the_batch_is_given_back(
    plays: Stage, mortal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bigtable's emulator is killed and started again while rows are on their way: the next stream completes them."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    here = replace(plays, store="bigtable://p/i/t")
    sent = [event(f"u{n}", "01T08:00", n) for n in range(50)]
    here.publish(*sent)
    call, died = Connection.call, []

    def dying(self: Connection, method: str, *rest: Any, **more: Any) -> Any:
        if method == "MutateRows" and not died:
            mortal.kill()
            mortal.start()
            died.append(method)
        return call(self, method, *rest, **more)

    monkeypatch.setattr(Connection, "call", dying)
    with pytest.raises(JukeboxError, match="bigtable://p/i/t"):
        here.stream()
    assert died
    assert not (here.root / "table").exists()
    assert here.stream(Batching(rows=100, seconds=0.5, lease=10, idle=20), until=50).rows == 50
    assert here.online(*(f"u{n}" for n in range(50))) == {f"u{n}": (n, utc("01T08:00")) for n in range(50)}
    assert len(here.offline()) == 50


def test_a_subscription_that_is_not_there_is_named(plays: Stage) -> None:
    """No library's traceback is shown."""
    with pytest.raises(NotRegistered, match="subscriptions/nothing is not there"):
        _Nothing(plays.root, plays.project).stream()


def test_batching_that_no_stream_can_do_is_refused() -> None:
    """Rows, seconds, lease and tries have bounds."""
    wrong = [{"rows": 0}, {"seconds": -1.0}, {"seconds": float("nan")}, {"lease": 601}, {"tries": 0}, {"idle": -1}]
    for each in wrong:
        with pytest.raises(InvalidValue):
            Batching(**each)


class _Nothing(Stage):
    @property
    def subscription(self) -> str:
        return f"projects/{self.project}/subscriptions/nothing"
