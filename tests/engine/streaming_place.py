"""Topics and subscriptions of an emulator, an endpoint of events, and a stream between them."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.cloud import pubsub

from jukebox import offline_load, online_load, point_in_time_join, register_features
from jukebox.engine.streaming import Destination, Sink
from jukebox.engine.streaming_puller import Batching, Puller, Streamed
from jukebox.formats import parquet
from jukebox.storage import place_of
from jukebox.stores import open_online
from jukebox.stores.pubsub import Subscription, Topic
from jukebox.tables import partitions

DECLARED = """\
endpoints:
  - {name: plays, uri: "plays/{date}.parquet", format: parquet, event_time: at, time_zone: UTC,
     keys: [{column: user, primitive_entity: user, identifier: string}]}
features:
  - {name: /user/plays/plays, endpoint: plays, column: n, data_type: int64}
  - {name: /user/plays/share, endpoint: plays, column: share, data_type: float64}
"""
PLAYS = "/entity/user/component/plays/name/plays"
USERS = [f"u{n}" for n in range(20)]
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
FAST = Batching(rows=100, seconds=0.2, lease=10, tries=2, idle=20)


def event(user: str, at: str, n: Any, **more: Any) -> bytes:
    """Return a message: a user's plays at a time of January 2024, ``02T07:30``."""
    return json.dumps({"user": user, "at": f"2024-01-{at}:00Z", "n": n, "share": 0.5} | more).encode()


@dataclass(frozen=True)
class Stage:
    """A topic with a subscription, a registry, an online store and an offline table, of their own."""

    root: Path
    project: str
    store: str | None = None
    table: str | None = None

    @property
    def subscription(self) -> str:
        """The subscription's name."""
        return f"projects/{self.project}/subscriptions/plays"

    @property
    def topic(self) -> str:
        """The topic's name."""
        return f"projects/{self.project}/topics/plays"

    @property
    def destination(self) -> Destination:
        """Where the events go."""
        root = self.root
        store = self.store or f"sqlite://{root}/online.db"
        table = self.table or f"{root}/table"
        return Destination("plays", store, table, f"mlmd+sqlite://{root}/registry.db")

    def publish(self, *events: bytes, ordered: bool = False) -> None:
        """Publish events; ``ordered`` ones one after the other, so that their times of publication differ."""
        with closing(Topic(self.topic)) as topic:
            for some in [[each] for each in events] if ordered else [events]:
                topic.publish([(each, {}) for each in some])

    def stream(
        self, batching: Batching = FAST, *, until: int | None = None, dead_letter: str | None = None, **more: Any
    ) -> Streamed:
        """Stream until so many messages came, or nothing comes."""
        stop = threading.Event()

        def enough(done: Streamed) -> None:
            if until is not None and done.pulled >= until:
                stop.set()

        with closing(Subscription(self.subscription)) as source, closing(Sink(self.destination)) as sink:
            topic = None if dead_letter is None else Topic(dead_letter)
            return Puller(source, sink, batching, dead_letter=topic, progress=enough, **more).run(stop)

    def online(self, *users: str) -> dict[str, tuple[Any, datetime]]:
        """Return plays and event time of users, as they are served."""
        with closing(open_online(self.destination.store)) as store:
            (name,) = store.tables()
            rows = store.read(name, [{"user": user} for user in users])
        return {
            u: (r.values["plays"], _instant(r.event_time)) for u, r in zip(users, rows, strict=True) if r is not None
        }

    def offline(self) -> list[tuple[str, str, int]]:
        """Return the rows of the offline table: user, day and time, plays."""
        found = []
        for part in partitions(self.destination.offline_table).values():
            rows = pa.Table.from_batches(parquet.read(place_of(part.uri) / part.details["data"])).to_pylist()
            assert part.rows == len(rows)
            found += [(row["user"], row["at"].strftime("%dT%H:%M"), row["plays"]) for row in rows]
        return found

    def joined(self, *labels: tuple[str, str]) -> list[Any]:
        """Return the plays of users as of times."""
        moments = [datetime.fromisoformat(f"2024-01-{text}:00+00:00") for _, text in labels]
        table = pa.table({"user": [user for user, _ in labels], "t": pa.array(moments, pa.timestamp("us", "UTC"))})
        parquet.write(self.root / "labels.parquet", table.to_batches(), schema=table.schema)
        made = self.root / f"training-{uuid.uuid4().hex}"
        point_in_time_join.run(
            labels=str(self.root / "labels.parquet"),
            label_time="t",
            features=[PLAYS],
            registry=self.destination.registry,
            out=str(made),
        )
        return pa.Table.from_batches(parquet.read(made / "training_set.parquet"))["plays"].to_pylist()

    def waiting(self, name: str | None = None) -> list[bytes]:
        """Return what a subscription delivers now, and have it delivered again."""
        with closing(Subscription(name or self.subscription)) as source:
            found = source.pull(100, 2)
            source.lease(found, 0)
        return [message.data for message in found]


def stage(root: Path, declared: str = DECLARED, store: str | None = None, table: str | None = None) -> Stage:
    """Return a stage below ``root`` that is set: topic, subscription, features registered."""
    made = Stage(root, f"jukebox-{uuid.uuid4().hex[:12]}", store, table)
    publisher, subscriber = pubsub.PublisherClient(), pubsub.SubscriberClient()
    for kind in ("plays", "refused"):
        topic = f"projects/{made.project}/topics/{kind}"
        publisher.create_topic(name=topic)
        name = f"projects/{made.project}/subscriptions/{kind}"
        subscriber.create_subscription(request={"name": name, "topic": topic, "ack_deadline_seconds": 10})
    subscriber.close()
    registered(made, declared)
    return made


def registered(made: Stage, declared: str = DECLARED) -> Stage:
    """Return a stage whose features are registered; topic and subscription it has none."""
    file = made.root / "features.yaml"
    file.write_text(declared)
    register_features.run(features=str(file), registry=made.destination.registry, out=str(made.root / "feature_set"))
    return made


def deliver(here: Stage, rows: list[tuple[str, datetime, int]]) -> None:
    """Make the source's first day hold rows of user, time and plays."""
    users, times, plays = zip(*rows, strict=True)
    at = pa.array(times, pa.timestamp("us", "UTC"))
    table = pa.table({"user": users, "at": at, "n": pa.array(plays, pa.int64()), "share": [0.5] * len(rows)})
    parquet.write(here.root / "plays" / "2024-01-01.parquet", table.to_batches(), schema=table.schema)


def load_offline(here: Stage) -> None:
    """Load the first day into the offline table."""
    to = here.destination
    offline_load.run(
        endpoint="plays", source=str(here.root), date="2024-01-01", registry=to.registry, out=to.offline_table
    )


def load_online(here: Stage, **about: Any) -> Any:
    """Load the features into the online store."""
    to = here.destination
    return online_load.run(store=to.store, registry=to.registry, feature_table=to.offline_table, **about)


def loaded(made: Stage) -> Stage:
    """Return a stage whose features are registered, and whose first day is loaded into both layouts."""
    registered(made)
    deliver(made, [(user, START, -1) for user in USERS])
    load_offline(made)
    load_online(made)
    return made


def utc(text: str) -> datetime:
    """Return a time of January 2024, ``02T07:30``."""
    return datetime.fromisoformat(f"2024-01-{text}:00").replace(tzinfo=timezone.utc)


def _instant(nanoseconds: int | None) -> datetime:
    assert nanoseconds is not None
    return datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc)
