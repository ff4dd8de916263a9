"""``jukebox stream``: feature events from Pub/Sub to the online store and the offline table."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jukebox.cli.arguments import DEFAULT_STORE, AsJson, Registry, Text
from jukebox.errors import InvalidValue, reason
from jukebox.stores import DEFAULT_REGISTRY, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.engine.streaming import Destination
    from jukebox.engine.streaming_puller import Batching


def stream(
    *,
    subscription: Annotated[str, typer.Option(help="projects/PROJECT/subscriptions/NAME, whose messages are events.")],
    data_endpoint: Annotated[str, typer.Option(help="The data endpoint whose rows the events are.")],
    offline_table: Annotated[str, typer.Option(help="The feature table that the events are appended to.")],
    store: Annotated[
        str, typer.Option(envvar="JUKEBOX_STORE", help="sqlite://PATH or bigtable://PROJECT/INSTANCE/TABLE.")
    ] = DEFAULT_STORE,
    table: Annotated[Text, typer.Option(help="The online table; by default that of a load of the features.")] = None,
    features: Annotated[
        Text, typer.Option(help='The source map as JSON, {"feature": "column"}; by default all of the endpoint.')
    ] = None,
    message_format: Annotated[
        Text, typer.Option(help="json or avro; by default the endpoint's format where it is one of them, else json.")
    ] = None,
    avro_schema: Annotated[
        Text, typer.Option(help="A file, .avsc: the schema of messages that are bare Avro data.")
    ] = None,
    batch_rows: Annotated[int, typer.Option(help="Messages that make a micro-batch whole.")] = 5_000,
    batch_seconds: Annotated[float, typer.Option(help="Seconds after its first message that it is whole too.")] = 5.0,
    lease_seconds: Annotated[int, typer.Option(help="Seconds until what a dead process held is delivered again.")] = 60,
    dead_letter: Annotated[
        Text, typer.Option(help="projects/PROJECT/topics/NAME, which takes the messages that are refused.")
    ] = None,
    tries: Annotated[int, typer.Option(help="Without it, how often a message may be refused before the end.")] = 5,
    idle: Annotated[
        float | None, typer.Option(help="End when so many seconds brought nothing; by default never.")
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
    beam: Annotated[
        list[str] | None, typer.Argument(metavar="[-- BEAM…]", help="Flags of Beam, which runs the stream then.")
    ] = None,
) -> None:
    r"""Write feature events to the online store and the offline table, and acknowledge them then, until SIGTERM.

    [dim]jukebox stream --subscription projects/my-project/subscriptions/plays --data-endpoint plays \
      --store bigtable://my-project/features --offline-table tables/plays[/]

    After -- stand flags of Beam, and the same runs as a pipeline of Beam:

    [dim]… -- --runner=DataflowRunner --project=my-project --region=europe-west1 --temp_location=gs://my-bucket/tmp[/]
    """
    from jukebox.cli import options
    from jukebox.engine.streaming import Destination
    from jukebox.engine.streaming_puller import Batching

    batching = Batching(rows=batch_rows, seconds=batch_seconds, lease=lease_seconds, tries=tries, idle=idle)
    to = Destination(
        endpoint=data_endpoint,
        store=place(store),
        offline_table=place(offline_table),
        registry=options.there(registry),
        features=options.json_object("--features", features),
        table=table,
        encoding=message_format,
        schema=None if avro_schema is None else _schema(avro_schema),
    )
    if beam:
        _on_beam(subscription, to, beam, batching, dead_letter)
    else:
        _pulled(subscription, to, batching, dead_letter, as_json=as_json)


def _pulled(subscription: str, to: Destination, batching: Batching, dead_letter: str | None, *, as_json: bool) -> None:
    from jukebox.engine.streaming import Sink
    from jukebox.engine.streaming_puller import Puller
    from jukebox.stores.pubsub import Subscription, Topic

    with (
        closing(Subscription(subscription)) as source,
        nullcontext() if dead_letter is None else closing(Topic(dead_letter)) as topic,
        closing(Sink(to)) as sink,
        _stopped() as stop,
    ):
        if topic is not None:
            topic.require()
        puller = Puller(source, sink, batching, dead_letter=topic, told=_warn)
        typer.echo(f"streaming from {subscription}; SIGTERM or Ctrl-C ends it after the batch in hand", err=True)
        done = puller.run(stop)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(
            f"{done.pulled} messages: {done.rows} rows written, {done.repeated} there already, {done.refused} refused"
        )


def _on_beam(subscription: str, to: Destination, flags: list[str], batching: Batching, dead_letter: str | None) -> None:
    from jukebox.engine.streaming_beam import stream_on_beam
    from jukebox.engine.streaming_puller import Batching
    from jukebox.stores.pubsub import Subscription, Topic

    own = {"lease": "--lease-seconds", "tries": "--tries", "idle": "--idle"}
    for name, option in own.items():
        if getattr(batching, name) != getattr(Batching(), name):
            raise InvalidValue(f"{option} is for a stream without Beam; with Beam the runner acknowledges messages")
    Subscription(subscription).close()
    if dead_letter is not None:
        with closing(Topic(dead_letter)) as topic:
            topic.require()
    typer.echo(f"streaming from {subscription} on Beam, until the job is drained or cancelled", err=True)
    stream_on_beam(subscription, to, flags, dead_letter=dead_letter, rows=batching.rows, seconds=batching.seconds)


def _warn(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Yield a flag that SIGTERM and SIGINT set; a second SIGINT interrupts as ever."""
    stop = threading.Event()

    def set_it(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {each: signal.signal(each, set_it) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _schema(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as exc:
        raise InvalidValue(f"--avro-schema {path} cannot be read: {reason(exc)}") from exc
    if not isinstance(found, dict):
        raise InvalidValue(f"--avro-schema {path} holds no record's schema")
    return found
