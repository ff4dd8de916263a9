"""The stream on Beam leaves what the puller leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Source

from jukebox.engine.streaming_beam import WriteEvents, event_of_record, stream_on_beam
from jukebox.engine.streaming_events import Event
from jukebox.errors import InvalidValue, NotRegistered
from tests.engine.streaming_place import Stage, event, registered, utc

WAIT = 180  # seconds: the DirectRunner pulls for half a minute before it looks at its timers


def _told(number: int, data: bytes) -> Event:
    return Event(f"m{number}", data, utc(f"04T0{number}:00"))


@pytest.mark.parametrize("bucket", [False, True])
def test_late_repeated_and_refused_events_come_to_the_same(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: bool
) -> None:
    """An unbounded source, whose bundles hold an older event behind a newer one, one twice and one that is none."""
    table = f"{request.getfixturevalue('gs_bucket')}/plays" if bucket else None
    here = registered(Stage(tmp_path, "none", table=table))
    newer, older = event("ann", "03T08:00", 3), event("ann", "01T08:00", 1)
    sent = [_told(0, newer), _told(1, older), _told(2, b"{"), _told(3, event("bob", "02T08:00", 7))]
    source = Source().add_elements(sent[:2]).advance_processing_time(30)
    source = source.add_elements([*sent[2:], sent[0]]).advance_watermark_to_infinity()
    told = str(tmp_path / "refused")
    Path(told).mkdir()
    options = PipelineOptions(["--runner", "BundleBasedDirectRunner"])
    options.view_as(StandardOptions).streaming = True
    with Pipeline(options=options) as pipeline:
        refused = pipeline | source | WriteEvents(here.destination, rows=100, seconds=1, shares=1)
        # A file a message: Beam's own assertion looks at a stream before the timers of its micro-batches.
        refused | beam.Map(lambda each: (Path(told) / each.event.id).write_text(each.reason))
    (found,) = Path(told).iterdir()
    assert (found.name, found.read_text()[:13]) == ("m2", "it is no JSON")
    assert here.online("ann", "bob") == {"ann": (3, utc("03T08:00")), "bob": (7, utc("02T08:00"))}
    assert sorted(here.offline()) == [("ann", "01T08:00", 1), ("ann", "03T08:00", 3), ("bob", "02T08:00", 7)]
    assert here.joined(("ann", "02T00:00"), ("ann", "03T09:00"), ("bob", "03T00:00")) == [1, 3, 7]


def test_micro_batches_that_are_written_at_once_and_again_lose_and_double_nothing(
    tmp_path: Path, gs_bucket: str
) -> None:
    """Three workers of one table in a bucket, to each of which all of the events come."""
    here = registered(Stage(tmp_path, "none", table=f"{gs_bucket}/plays"))
    sent = [_told(n % 10, event(f"u{n % 5}", f"01T0{n % 10}:00", n)) for n in range(10)]
    options = PipelineOptions(["--runner", "BundleBasedDirectRunner", "--direct_num_workers", "3"])
    with Pipeline(options=options) as pipeline:
        for worker in range(3):
            source = f"events {worker}" >> beam.Create(sent)
            pipeline | source | f"write {worker}" >> WriteEvents(here.destination, rows=2, seconds=1, shares=3)
    assert sorted(n for _, _, n in here.offline()) == list(range(10))
    assert here.online("u0", "u4") == {"u0": (5, utc("01T05:00")), "u4": (9, utc("01T09:00"))}


@pytest.mark.heavy
def test_the_command_streams_a_subscription_on_beam(plays: Stage) -> None:
    """Flags after -- are Beam's: what was published is in both layouts, what is no event goes to the topic for it."""
    plays.publish(event("ann", "03T08:00", 3), event("ann", "01T08:00", 1), event("bob", "02T08:00", 7), b"{")
    to, refused = plays.destination, f"projects/{plays.project}/subscriptions/refused"
    command = ["jukebox", "stream", "--subscription", plays.subscription, "--data-endpoint", "plays"]
    command += ["--store", to.store, "--offline-table", to.offline_table, "--registry", to.registry]
    command += ["--dead-letter", refused.replace("subscriptions", "topics"), "--batch-seconds", "0.5"]
    command += ["--", "--direct_num_workers=1"]
    program = f"from jukebox.cli import main; import sys; sys.argv = {command!r}; main()"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as running:
        try:
            end = time.monotonic() + WAIT
            while len(plays.offline()) < 3 or plays.waiting(refused) != [b"{"]:
                assert running.poll() is None, running.communicate()
                assert time.monotonic() < end
                time.sleep(0.5)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=WAIT)
        finally:
            running.kill()
    assert running.returncode == 130
    assert "on Beam" in said
    assert "Traceback" not in said
    assert plays.online("ann", "bob") == {"ann": (3, utc("03T08:00")), "bob": (7, utc("02T08:00"))}
    assert plays.joined(("ann", "02T00:00"), ("ann", "03T09:00"), ("bob", "03T00:00")) == [1, 3, 7]


@pytest.mark.heavy
def test_without_a_topic_for_it_the_first_refused_message_fails_the_job(plays: Stage) -> None:
    """The error is the message's own, and not the runner's."""
    plays.publish(b"{")
    with pytest.raises(InvalidValue, match=r"is refused: it is no JSON.*a dead-letter topic would take it"):
        stream_on_beam(plays.subscription, plays.destination, [], seconds=0.2)


def test_an_endpoint_that_is_not_registered_is_told_before_anything_runs(tmp_path: Path) -> None:
    """Not by a worker, somewhere else and later."""
    here = registered(Stage(tmp_path, "none"))
    with pytest.raises(NotRegistered, match="no registered feature has the endpoint 'nothing'"):
        stream_on_beam(here.subscription, replace(here.destination, endpoint="nothing"), [])


def test_a_record_of_kafka_is_an_event_whose_id_is_its_place() -> None:
    """As Beam's connector gives it with metadata."""
    record = SimpleNamespace(topic="plays", partition=3, offset=17, timestamp=1_704_096_000_123, key=None, value=b"{}")
    when = datetime(2024, 1, 1, 8, 0, 0, 123_000, timezone.utc)
    assert event_of_record(record) == Event("plays/3/17", b"{}", when)
