"""Feature events in micro-batches to both layouts: the online table first, then the offline table.

A message that the offline table tells of is in both, so that it can be acknowledged; one that it does not tell of is
written to both, the online table for the second time perhaps, where the newest row wins and the same row changes
nothing. So a process may die between any two steps: what was not acknowledged is delivered again, nothing is lost, and
nothing is there twice.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from jukebox.engine.catalog import features_of_endpoint
from jukebox.engine.delivered import about_delivery, make_known
from jukebox.engine.online_tables import online_name
from jukebox.engine.sources import Delivery
from jukebox.engine.streaming_events import ENCODINGS, Event, Events
from jukebox.engine.streaming_parts import GrowingTable
from jukebox.errors import InvalidValue, NotRegistered
from jukebox.stores import OnlineSource, Recorded, open_online, open_registry, place
from jukebox.tables import combined, partitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.stores import OnlineStore, Registry


@dataclass(frozen=True)
class Destination:
    """Where the events of an endpoint go, and how they are read: what one process hands to another.

    ``encoding`` is by default the endpoint's format where that is JSON or Avro, and else JSON; ``schema`` is that of
    Avro's writer. ``table`` is the online table, by default that of a load of the same features.
    """

    endpoint: str
    store: str
    offline_table: str
    registry: str
    features: Mapping[str, str] | None = None
    table: str | None = None
    encoding: str | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Taken:
    """What became of a micro-batch: the positions of events that are in both layouts, and why others are refused.

    ``repeated`` of those in both layouts were there already; ``rows`` went to the offline table.
    """

    done: tuple[int, ...]
    refused: Mapping[int, str] = field(default_factory=dict)
    rows: int = 0
    repeated: int = 0


class Sink:
    """Both layouts of an endpoint's features, open for events.

    Raises NotRegistered for an endpoint that is not registered, InvalidValue for one whose rows are no events.
    """

    def __init__(self, to: Destination) -> None:
        self._registry: Registry = open_registry(to.registry, writes="a stream")
        members = features_of_endpoint(self._registry, to.endpoint, to.features)
        endpoint = members[0].feature.endpoint
        delivery = Delivery(endpoint, members, "")
        encoding = to.encoding or (endpoint.format if endpoint.format in ENCODINGS else "json")
        self._events = Events(delivery, encoding, to.schema)
        self._about = about_delivery(delivery)
        self._zone = ZoneInfo(endpoint.time_zone or "UTC")
        self._versions = tuple(member.versioned for member in members)
        self._store, self._name = to.store, to.table or online_name(endpoint.name, self._versions)
        self._layout: dict[str, Any] = {
            "keys": endpoint.entity_keys,
            "event_time": delivery.event_time,
            "created_time": delivery.created_time,
            "entity": members[0].name.entity,
        }
        self._offline = GrowingTable(place(to.offline_table), self._about, self._events.schema)
        self._online: OnlineStore = open_online(to.store)
        self._rows = 0
        if partitions(self._offline.root):
            # A process that died may have written a date that the registry was not told of.
            make_known(self._registry, self._offline.root, self._about)

    def take(self, events: Sequence[Event]) -> Taken:
        """Make both layouts hold events, those that are no rows aside; of equal times the later in ``events`` wins.

        Raises what the stores raise; the same events again complete what broke off.
        """
        rows, places, refused = self._events.rows(events)
        groups = self._by_day(rows, [events[place].id for place in places])
        fresh = sorted(at for _, those in groups for at in those)
        unfit = self._write_online(rows, fresh) if fresh else {}
        refused = {**refused, **{places[at]: why for at, why in unfit.items()}}
        new_dates = False
        for day, those in groups:
            kept = [at for at in those if at not in unfit]
            ids = [events[places[at]].id for at in kept]
            new_dates |= self._offline.append(day, rows.take(pa.array(kept, pa.int64())), ids)
        if new_dates:
            make_known(self._registry, self._offline.root, self._about)
        written = len(fresh) - len(unfit)
        self._rows += written
        if written > 0:
            self._serve()
        done = tuple(place for place in places if place not in refused)
        return Taken(done, refused, written, len(done) - written)

    def close(self) -> None:
        """Bring the offline table's own manifest up to what its partitions hold, and close the online store."""
        with closing(self._online):
            if self._rows > 0:
                make_known(self._registry, self._offline.root, self._about)
                self._registry.record(
                    "stream",
                    reads=self._versions,
                    outputs=[
                        Recorded("jukebox.FeatureTable", self._offline.root),
                        Recorded("jukebox.OnlineTable", f"{self._store}#{self._name}"),
                    ],
                )

    def _by_day(self, rows: pa.Table, ids: Sequence[str]) -> list[tuple[date, list[int]]]:
        """Return the positions of rows that are not recorded, each message once, by the date of their event time."""
        days: dict[date, dict[str, int]] = {}
        for at, moment in enumerate(rows[self._layout["event_time"]].to_pylist()):
            days.setdefault(moment.astimezone(self._zone).date(), {})[ids[at]] = at
        found = []
        for day, those in sorted(days.items()):
            known = self._offline.recorded(day, those)
            if fresh := [at for id_, at in those.items() if id_ not in known]:
                found.append((day, fresh))
        return found

    def _write_online(self, rows: pa.Table, fresh: Sequence[int]) -> dict[int, str]:
        """Write rows; return why some cannot be written, by position."""
        try:
            self._online.write(self._name, rows.take(pa.array(fresh)), **self._layout)
        except InvalidValue as exc:
            if len(fresh) == 1:
                return {fresh[0]: str(exc)}
        else:
            return {}
        # Some row cannot be stored, and halves find out which without a write for each.
        middle = len(fresh) // 2
        return self._write_online(rows, fresh[:middle]) | self._write_online(rows, fresh[middle:])

    def _serve(self) -> None:
        """Make the online table known as what serves the features, unless it is."""
        for versioned in self._versions:
            try:
                there = self._registry.online_source(versioned)
            except NotRegistered:
                break
            if (there.store, there.table) != (self._store, self._name):
                break
        else:
            return
        now, digest = datetime.now(timezone.utc), combined((self._offline.root, *self._versions))
        source = OnlineSource(self._store, self._name, self._versions, self._rows, digest, now)
        self._registry.set_online_source(source)
