"""The same stream on Beam: events grouped into micro-batches, each written to both layouts by a worker.

A runner may try a micro-batch again; what the offline table tells of is not written twice. Messages are acknowledged
by the runner. Dataflow does so when they are in its own durable state, and Flink with a checkpoint; the Python
DirectRunner does it before anything is written, so that it loses what it held when it dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from zlib import crc32

from jukebox.engine.streaming import Sink
from jukebox.engine.streaming_events import Event, published_order
from jukebox.errors import InvalidValue, MissingDependency

try:
    import apache_beam as beam
    from apache_beam.metrics import Metrics
except ImportError as exc:
    raise MissingDependency.of("apache-beam", "beam") from exc

from jukebox.engine import beam_running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.engine.streaming import Destination

_NAMESPACE = "jukebox.stream"
# The one runner of Beam for Python that reads a subscription in this process; the others wait for ever, or refuse.
_LOCAL = "BundleBasedDirectRunner"


@dataclass(frozen=True)
class Refused:
    """An event that is no row of its endpoint, and why."""

    event: Event
    reason: str


class Write(beam.DoFn):  # type: ignore[misc]
    """Writes a micro-batch to both layouts; yields what is refused."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._rows, self._repeated = (Metrics.counter(_NAMESPACE, name) for name in ("rows", "repeated"))

    def setup(self) -> None:
        """Open both layouts, once a worker."""
        self._sink = Sink(self._to)

    def teardown(self) -> None:
        """Close them."""
        self._sink.close()

    def process(self, batch: tuple[int, Iterable[Event]]) -> Iterator[Refused]:
        """Write the events, the last published of equal times being the one that counts."""
        events = sorted(batch[1], key=published_order)
        taken = self._sink.take(events)
        self._rows.inc(taken.rows)
        self._repeated.inc(taken.repeated)
        for at, why in taken.refused.items():
            yield Refused(events[at], why)


class WriteEvents(beam.PTransform):  # type: ignore[misc]
    """Makes both layouts hold a collection of ``Event``, in micro-batches; what comes out is refused.

    A micro-batch is whole at ``rows`` events, or ``seconds`` after its first one. ``shares`` micro-batches are written
    at once. Workers must reach the offline table, at gs:// or on a file system of all of them, and the registry.
    """

    def __init__(self, to: Destination, *, rows: int = 5_000, seconds: float = 5.0, shares: int = 4) -> None:
        super().__init__()
        self._to, self._rows, self._seconds, self._shares = to, rows, seconds, shares

    def expand(self, events: Any) -> Any:
        """Return the refused events."""
        shares = self._shares
        return (
            events
            | "Share"
            >> beam.Map(lambda event: (crc32(event.id.encode()) % shares, event)).with_output_types(tuple[int, Event])
            | "Micro-batches" >> beam.GroupIntoBatches(self._rows, max_buffering_duration_secs=self._seconds)
            | "Write" >> beam.ParDo(Write(self._to))
        )


def stream_on_beam(
    subscription: str,
    to: Destination,
    beam_pipeline_args: Sequence[str],
    *,
    dead_letter: str | None = None,
    rows: int = 5_000,
    seconds: float = 5.0,
) -> None:
    """Stream the messages of a Pub/Sub subscription until the job is drained or cancelled.

    Without ``--runner`` it runs here, in this process, until that ends. ``dead_letter`` is the topic of the refused;
    without one the first of them fails the job. A micro-batch is whole at ``rows`` messages, or ``seconds`` after its
    first. Raises NotRegistered and InvalidValue as ``Sink`` does, before anything runs, and JobFailed.
    """
    Sink(to).close()
    pipeline = beam_running.pipeline([*beam_pipeline_args, "--streaming"], local=_LOCAL)
    refused = (
        pipeline
        | "Read" >> beam.io.ReadFromPubSub(subscription=subscription, with_attributes=True)
        | "Events" >> beam.Map(event_of)
        | WriteEvents(to, rows=rows, seconds=seconds)
    )
    if dead_letter is None:
        refused | "Fail" >> beam.Map(_fail)
    else:
        told = refused | "Messages" >> beam.Map(_message)
        told | "Dead letters" >> beam.io.WriteToPubSub(dead_letter, with_attributes=True)
    beam_running.run(pipeline)


def event_of(message: Any) -> Event:
    """Return the event that a message of Beam's Pub/Sub connector, read with attributes, holds."""
    return Event(message.message_id, message.data, message.publish_time)


def event_of_record(record: Any) -> Event:
    """Return the event that a record of Beam's Kafka connector, read with metadata, holds.

    Its id is the record's topic, partition and offset, which are the same when it is read again; it was published at
    the record's timestamp.
    """
    published = datetime.fromtimestamp(record.timestamp / 1_000, timezone.utc)
    return Event(f"{record.topic}/{record.partition}/{record.offset}", bytes(record.value), published)


def _fail(refused: Refused) -> None:
    raise InvalidValue(f"message {refused.event.id} is refused: {refused.reason}; a dead-letter topic would take it")


def _message(refused: Refused) -> Any:
    about = {"jukebox_error": refused.reason[:250], "jukebox_message_id": refused.event.id}
    return beam.io.PubsubMessage(refused.event.data, about)
