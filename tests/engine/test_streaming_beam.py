"""The stream on Beam leaves what the puller leaves."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Source

from jukebox.engine.streaming_beam import WriteEvents
from jukebox.engine.streaming_events import Event
from tests.engine.streaming_place import Stage, event, registered, utc


def _told(number: int, data: bytes) -> Event:
    return Event(f"m{number}", data, utc(f"04T0{number}:00"))


def test_late_repeated_and_refused_events_come_to_the_same(tmp_path: Path) -> None:
    """An unbounded source, whose bundles hold an older event behind a newer one, one twice and one that is none."""
    here = registered(Stage(tmp_path, "none"))
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
