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
from jukebox.storage import is_remote
from jukebox.stores import OnlineSource, Recorded, open_online, open_registry, place
from jukebox.tables import combined, has_partitions, locked

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
        self._unlocked = is_remote(self._offline.root)
        self._online: OnlineStore = open_online(to.store)
        self._rows = 0
        if has_partitions(self._offline.root):
            # A process that died may have written a date that the registry was not told of.
            make_known(self._registry, self._offline.root, self._about)

    def take(self, events: Sequence[Event]) -> Taken:
        """Make both layouts hold events, those that are no rows aside; of equal times the later in ``events`` wins.

        Raises what the stores raise; the same events again complete what broke off.
        """
        rows, places, refused = self._events.rows(events)
        ids = [events[place].id for place in places]
        groups = self._by_day(rows, ids)
        fresh = sorted(at for _, those in groups for at in those)
        if self._unlocked:
            self._complete(rows, ids, fresh)
        versions = self._versions_there() if fresh else ()
        unfit = self._write_online(rows, fresh, versions) if fresh else {}
        refused = {**refused, **{places[at]: why for at, why in unfit.items()}}
        days = [(day, [at for at in those if at not in unfit]) for day, those in groups]
        written = len(fresh) - len(unfit)
        if written > 0:
            self._append(rows, ids, days, versions)
            self._rows += written
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

    def _versions_there(self) -> tuple[int, ...]:
        """Return the versions of the online table, which is made where it is not there.

        All are written to: one that a load is making, so that it takes over with what was streamed meanwhile, and the
        former one, so that the way back loses nothing.
        """
        there = self._online.versions(self._name)
        if there.current is None:
            self._online.write(self._name, self._events.schema.empty_table(), **self._layout)
            there = self._online.versions(self._name)
        return there.held

    def _append(
        self, rows: pa.Table, ids: Sequence[str], days: Sequence[tuple[date, list[int]]], versions: Sequence[int]
    ) -> None:
        """Make the offline table hold rows, which these versions of the online table do."""
        new_dates = False
        kept = rows.take(pa.array(sorted(at for _, those in days for at in those)))
        # A load makes its version, and then waits here before it looks at the partitions: either it finds the rows, or
        # they are written to its version now.
        with locked(self._offline.root):
            seen = self._put_where_new(kept, versions)
            for day, those in days:
                part = rows.take(pa.array(those, pa.int64()))
                new_dates |= self._offline.append(day, part, [ids[at] for at in those])
        if self._unlocked:
            # Nobody waits there: a load that did not find the rows had made its version before they were there.
            self._put_where_new(kept, seen)
        if new_dates:
            make_known(self._registry, self._offline.root, self._about)

    def _put_where_new(self, rows: pa.Table, versions: Sequence[int]) -> Sequence[int]:
        """Write rows to the versions that have come to be besides these; return all that there are."""
        there = self._versions_there()
        for version in set(there) - set(versions):
            self._put(rows, version)
        return there

    def _complete(self, rows: pa.Table, ids: Sequence[str], fresh: Sequence[int]) -> None:
        """Write rows that the offline table has online again.

        Where there is no lock, whoever wrote them there may have died before a version that came meanwhile had them.
        """
        known = set(ids) - {ids[at] for at in fresh}
        again = sorted({id_: at for at, id_ in enumerate(ids) if id_ in known}.values())
        if again:
            self._write_online(rows, again, self._versions_there())

    def _write_online(self, rows: pa.Table, fresh: Sequence[int], versions: Sequence[int]) -> dict[int, str]:
        """Write rows; return why some cannot be written, by position."""
        some = rows.take(pa.array(fresh))
        try:
            for version in versions:
                self._put(some, version)
        except InvalidValue as exc:
            if len(fresh) == 1:
                return {fresh[0]: str(exc)}
        else:
            return {}
        # Some row cannot be stored, and halves find out which without a write for each.
        middle = len(fresh) // 2
        return self._write_online(rows, fresh[:middle], versions) | self._write_online(rows, fresh[middle:], versions)

    def _put(self, rows: pa.Table, version: int) -> None:
        try:
            self._online.write(self._name, rows, version=version, **self._layout)
        except NotRegistered:
            there = self._online.versions(self._name)
            # One that a served one has outlived was dropped since the look, and is nobody's any longer.
            if there.current is None or version >= there.current or version in there.held:
                raise

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
