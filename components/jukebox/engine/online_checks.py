"""Reading an online table back: the newest row of every key once more from the partitions, and held cell by cell."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import asof_times
from jukebox.core.by_rule_values import cells, instants
from jukebox.core.differences import distances
from jukebox.core.sampling import scattered
from jukebox.engine.catalog import Partition, partitions_of, registered
from jukebox.engine.cell_tally import Tally
from jukebox.engine.consistency import (
    ABSENT,
    BEHIND,
    DEFAULT_THRESHOLDS,
    EXAMPLES,
    MISMATCH,
    Consistency,
    Difference,
    FeatureConsistency,
    by_nulls,
)
from jukebox.engine.online_tables import OnlineTable
from jukebox.engine.verification import readable
from jukebox.errors import InvalidValue, SourceChanged
from jukebox.stores import open_online
from jukebox.tables import Manifest, combined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.layouts import Layout, Row
    from jukebox.stores import RegisteredFeature, Registry

_AT_ONCE = 1_000
_ONLINE, _OFFLINE = " online", " offline"


@dataclass(frozen=True)
class ToRead:
    """A table of an online store, and the partitions that its rows should be the newest of.

    ``loaded`` is how many keys a load wanted, None where that is not known: all.
    """

    store: str
    name: str
    table: OnlineTable
    loaded: int | None = None


def loaded_tables(registry: Registry, manifest: Manifest) -> list[ToRead]:
    """Return what an online load left, from its manifest; raises SourceChanged where its partitions are gone.

    Raises InvalidValue for the manifest of something else.
    """
    if manifest.kind != "online_table":
        raise InvalidValue(f"{manifest.uri} holds a {manifest.kind}, not an online_table")
    parts = [_partition(source.uri, source.fingerprint) for source in manifest.inputs]
    found = []
    for told in manifest.details["tables"]:
        members = registered(registry, told["features"])
        mine = [part for part in parts if set(told["features"]) <= set(part.manifest.details["features"])]
        if told["read"]:
            table = OnlineTable(tuple(mine), tuple(members))
            found.append(ToRead(manifest.details["store"], told["table"], table, told["rows"]))
    return found


def served_tables(registry: Registry, features: Sequence[str]) -> list[ToRead]:
    """Return the online tables that serve features now, with all that is loaded of them offline.

    Raises UnknownFeature, NotRegistered for a feature that is not served, NoPartition for one that is not loaded.
    """
    groups: dict[tuple[Any, ...], tuple[tuple[Partition, ...], list[RegisteredFeature]]] = {}
    for feature in registered(registry, features):
        source, parts = registry.online_source(feature.versioned), partitions_of(registry, feature)
        key = (source.store, source.table, tuple(part.path for part in parts))
        groups.setdefault(key, (parts, []))[1].append(feature)
    return [ToRead(key[0], key[1], OnlineTable(parts, tuple(some))) for key, (parts, some) in groups.items()]


def _partition(uri: str, fingerprint: str) -> Partition:
    manifest = Manifest.read(Path(uri).parent, "partition")
    part = Partition(date.fromisoformat(manifest.details["date"]), manifest)
    if manifest.fingerprint != fingerprint:
        raise SourceChanged(f"the partition {manifest.uri} was rewritten since it was loaded online", sources=(uri,))
    return part


def read_back(to_read: ToRead, *, rows: int | None = None, seed: int = 0, tolerance: float = 0.0) -> Consistency:
    """Return how what an online table holds compares with the newest rows of its partitions, key by key.

    A newer row than theirs is right: it was streamed, or loaded since; so is a key that they do not have. Where a load
    wanted some keys alone, as many may be missing as it left out, and all keys are read, whatever ``rows`` says.
    Raises NotRegistered for a table that is not there, StorageError, TimedOut and CorruptData.
    """
    table = to_read.table
    uri = f"{to_read.store}#{to_read.name}"
    fingerprint = combined(part.manifest.fingerprint for part in table.parts)
    if not table.held():
        return Consistency(uri, fingerprint, 0, 0, ())
    newest = table.newest().rows
    left_out = 0 if to_read.loaded is None else max(newest.num_rows - to_read.loaded, 0)
    count = newest.num_rows if rows is None or left_out > 0 else rows
    expected = newest.take(pa.array(scattered(newest.num_rows, count, seed)))
    found = _Found(table, tolerance)
    with closing(open_online(to_read.store)) as store:
        layout = store.layout(to_read.name)
        for start in range(0, expected.num_rows, _AT_ONCE):
            some = expected.slice(start, _AT_ONCE)
            found.take_in(some, store.read(to_read.name, some.select(table.keys).to_pylist()), layout)
    absent = max(len(found.absent) - left_out, 0)
    features = [found.told(member.versioned, member.name.name, absent) for member in table.members]
    left_out = len(found.absent) - absent
    return Consistency(uri, fingerprint, len(expected), len(newest), tuple(features), {}, left_out, found.newer)


@dataclass
class _Found:
    """What became of the keys of a table: some are not there, of some the store has newer or older rows."""

    table: OnlineTable
    tolerance: float
    newer: int = 0
    absent: list[pa.Table] = field(default_factory=list)
    behind: list[pa.Table] = field(default_factory=list)
    alike: dict[str, Tally] = field(default_factory=dict)

    def take_in(self, expected: pa.Table, rows: Sequence[Row | None], layout: Layout) -> None:
        """Take in keys: the rows that should be there, and those that are."""
        event, created = self.table.roles["event_time"], self.table.roles["created_time"]
        right = list(zip(_times(expected, event), _times(expected, created), strict=True))
        theirs = [None if row is None else (_rank(row.event_time), _rank(row.created_time)) for row in rows]
        places: dict[str, list[int]] = {"absent": [], "behind": [], "newer": [], "alike": []}
        for place, (ours, there) in enumerate(zip(right, theirs, strict=True)):
            name = "absent" if there is None else "alike" if there == ours else "newer" if there > ours else "behind"
            places[name].append(place)
        self.newer += len(places["newer"])
        self.absent += [expected.slice(place, 1) for place in places["absent"]]
        self.behind += [expected.slice(place, 1) for place in places["behind"]]
        held = [row for place in places["alike"] if (row := rows[place]) is not None]
        self._compare(expected.take(pa.array(places["alike"], pa.int64())), held, layout)

    def _compare(self, expected: pa.Table, rows: Sequence[Row], layout: Layout) -> None:
        if not rows:
            return
        keys = [asof_times.combined(expected[key]) for key in self.table.keys]
        for member in self.table.members:
            name = member.name.name
            kind = layout.schema.field(name).type
            found = pa.array([row.values[name] for row in rows], kind)
            right = asof_times.combined(expected[name].cast(kind))
            shown = pa.RecordBatch.from_arrays([*keys, found, right], names=[*self.table.keys, _ONLINE, _OFFLINE])
            self.alike.setdefault(name, Tally(self.tolerance)).compare(found, right, shown)

    def told(self, feature: str, name: str, absent: int) -> FeatureConsistency:
        """Return what became of one feature."""
        tally = self.alike.get(name, Tally(self.tolerance))
        differing = dict.fromkeys(DEFAULT_THRESHOLDS, 0) | {ABSENT: absent, BEHIND: len(self.behind)}
        examples = [self._example(kind, row, name) for kind, rows in self._rows(absent) for row in rows[:EXAMPLES]]
        for batch in tally.kept:
            ours, theirs = (batch.column(batch.schema.get_field_index(each)) for each in (_ONLINE, _OFFLINE))
            tally.take_in(*distances(ours, theirs))
            for row in pa.Table.from_batches([batch]).to_pylist():
                kind = by_nulls(row[_ONLINE], row[_OFFLINE])
                differing[kind] += 1
                if differing[kind] <= EXAMPLES:
                    where = {key: row[key] for key in self.table.keys}
                    examples.append(Difference(kind, where, row[_ONLINE], row[_OFFLINE]))
        differing[MISMATCH] += tally.beyond
        compared = tally.cells + absent + len(self.behind)
        errors = tally.error, tally.relative_error
        return FeatureConsistency(feature, compared, differing, tally.close, *errors, tuple(examples))

    def _rows(self, absent: int) -> list[tuple[str, list[pa.Table]]]:
        return [(ABSENT, self.absent if absent else []), (BEHIND, self.behind)]

    def _example(self, kind: str, row: pa.Table, name: str) -> Difference:
        event = self.table.roles["event_time"]
        where = {key: row[key].to_pylist()[0] for key in self.table.keys}
        time = None if event is None else readable(cells(row[event])[0], row.schema.field(event).type)
        right = readable(cells(row[name])[0], row.schema.field(name).type)
        return Difference(kind, where, None, right, None, time)


def _times(rows: pa.Table, column: str | None) -> list[float]:
    return [_rank(None)] * rows.num_rows if column is None else [_rank(time) for time in instants(rows[column])]


def _rank(time: float | None) -> float:
    return -math.inf if time is None else time
