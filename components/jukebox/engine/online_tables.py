"""Loading the features that lie in the same partitions into one table of an online store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, time, timezone
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.coordinates import column, coordinates, qualifier
from jukebox.core.fingerprints import fingerprint_of
from jukebox.core.layouts import layout_of
from jukebox.engine.feature_tables import PartitionPieces, read_partitions
from jukebox.engine.newest import newest_per_key
from jukebox.engine.streamed_partitions import partitions_beside_streams
from jukebox.errors import JukeboxError, NoPartition
from jukebox.formats import parquet
from jukebox.tables import Source, combined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from jukebox.core.layouts import Layout
    from jukebox.engine.catalog import Partition
    from jukebox.engine.key_filters import KeyFilter
    from jukebox.engine.newest import Newest
    from jukebox.stores import Loaded, OnlineStore, RegisteredFeature, Written

    # From a store, a load, a table's name and version to the number of keys, and what became of their rows.
    Writer = Callable[[OnlineStore, "OnlineTable", str, int | None], tuple[int, Written]]


_ROWS_AT_ONCE = 100_000
_TIMESTAMP = 8  # bytes


@dataclass(frozen=True)
class OnlineLoad:
    """What a load did to one table of a store: of ``rows``, one a key, some were ``written``, some were ``older``.

    ``read`` counts the rows of the partitions; where it is 0 nothing is known of the table's types, and there may be
    no such table. ``roots`` are the feature tables, ``partitions`` the files that were read, ``version`` is that of
    the table which is served; ``fingerprint`` is that of the partitions, the features and the keys that were wanted.
    """

    table: str
    features: tuple[str, ...]
    read: int
    rows: int
    written: int
    older: int
    fingerprint: str
    roots: tuple[str, ...]
    partitions: tuple[Source, ...]
    version: int | None = None


@dataclass(frozen=True)
class Estimate:
    """What a load would send: rows, one a key, and bytes of keys, qualifiers, timestamps and cells."""

    table: str
    read: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class OnlineTable:
    """Partitions whose features ``members`` go to one online table.

    ``others`` are those of the dates that were not asked for, None where all dates were.
    """

    parts: tuple[Partition, ...]
    members: tuple[RegisteredFeature, ...]
    only: KeyFilter | None = None
    others: tuple[Partition, ...] | None = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """The versioned names of the features, in order."""
        return tuple(sorted(member.versioned for member in self.members))

    @property
    def name(self) -> str:
        """The endpoint's name with a digest of the features' versions: another version goes to another table."""
        return online_name(self.parts[0].manifest.details["endpoint"], self.versions)

    @property
    def entity(self) -> str:
        """What a row describes."""
        return self.members[0].name.entity

    @property
    def roles(self) -> dict[str, str | None]:
        """The columns of the times."""
        about = self.parts[0].manifest
        return {"event_time": about.event_time, "created_time": about.created_time}

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the keys."""
        return self.parts[0].manifest.keys

    @property
    def about(self) -> dict[str, Any]:
        """What a store is told of the rows: keys, entity and times."""
        return {"keys": self.keys, "entity": self.entity, **self.roles}

    @property
    def columns(self) -> list[str]:
        """Keys, times and features."""
        times = [name for name in self.roles.values() if name is not None]
        return [*self.keys, *times, *(member.name.name for member in self.members)]

    def held(self) -> list[Partition]:
        """Return the partitions that hold rows."""
        return [part for part in self.parts if part.manifest.rows]

    @cached_property
    def wanted(self) -> pa.Table | None:
        """The only keys to load, None for all; raises what ``KeyFilter.read`` does."""
        if self.only is None:
            return None
        there = parquet.schema(self.held()[0].path)
        kinds = pa.schema([there.field(name) for name in self.keys])
        return self.only.read(self.members[0].feature.endpoint, kinds)

    @property
    def is_static(self) -> bool:
        """Whether a row is true at all times: then it is as new as the date of its partition."""
        about = self.parts[0].manifest
        return bool(about.details["static"]) and about.event_time is not None

    def newest(self) -> Newest:
        """Return the newest row of every key that is wanted; there must be rows."""
        batches = self._dated() if self.is_static else read_partitions(self.parts, self.columns)
        return newest_per_key(batches, keys=self.keys, only=self.wanted, **self.roles)

    def _dated(self) -> Iterator[pa.RecordBatch]:
        for part in self.held():
            for batch in read_partitions([part], self.columns):
                yield dated(batch, str(self.parts[0].manifest.event_time), part.day)


def online_name(endpoint: str, versions: Sequence[str]) -> str:
    """Return what the online table of an endpoint's features is called; ``versions`` are their versioned names."""
    return f"{endpoint}-{combined(sorted(versions))[:8]}"


def of_dates(parts: Sequence[Partition], days: Sequence[date] | None) -> tuple[Partition, ...]:
    """Return the partitions of ``days``, of all without; raises NoPartition for a day that is not there."""
    if days is None:
        return tuple(parts)
    there = {part.day: part for part in parts}
    missing = [day for day in days if day not in there]
    if missing:
        endpoint = parts[0].manifest.details["endpoint"]
        span = f"{len(there)} dates from {min(there)} to {max(there)}" if len(there) > 1 else f"{min(there)} alone"
        more = f" and {len(missing) - 1} other dates" if len(missing) > 1 else ""
        raise NoPartition(f"'{endpoint}' is not loaded offline for {missing[0]}{more}; it is for {span}")
    return tuple(there[day] for day in days)


def load_table(
    online: OnlineStore,
    load: OnlineTable,
    *,
    table: str | None = None,
    replace: bool = False,
    progress: Loaded | None = None,
) -> OnlineLoad:
    """Make ``online`` hold the newest row of every key of a load.

    With ``replace`` the rows go to a new version of the table, which takes over when they are all there: keys that
    are not among them are gone, and the former version is there to go back to. What a stream writes meanwhile is in
    both, and what it appended to later dates than those asked for is loaded with them; after an error there is no new
    version. Partitions without rows change nothing. Raises MissingColumn and InvalidType for filter keys that do not
    fit, StorageError and CorruptData.
    """
    return load_with(partial(_write, progress), online, load, table=table, replace=replace)


def load_with(
    write: Writer, online: OnlineStore, load: OnlineTable, *, table: str | None = None, replace: bool = False
) -> OnlineLoad:
    """Do what ``load_table`` does; ``write`` is who takes the rows to the table's version, None the served one."""
    name = table or load.name
    if not load.held():
        return OnlineLoad(name, load.versions, 0, 0, 0, 0, combined(()), *_origins(load))
    if replace:
        load, (rows, done) = _replaced(write, online, load, name)
    else:
        rows, done = write(online, load, name, None)
    # What was loaded is what these make of it, on whatever engine.
    only = [] if load.wanted is None else [fingerprint_of(load.wanted, load.wanted.schema)]
    roots, sources = _origins(load)
    fingerprint = combined([*load.versions, *(source.fingerprint for source in sources), *only])
    read = sum(part.manifest.rows for part in load.parts)
    served = online.versions(name).current
    told = (read, rows, done.written, done.older, fingerprint)
    return OnlineLoad(name, load.versions, *told, roots, sources, served)


def _replaced(
    write: Writer, online: OnlineStore, load: OnlineTable, name: str
) -> tuple[OnlineTable, tuple[int, Written]]:
    """Write to a new version and have it served; return the load as its partitions were then, and what it did."""
    former = online.versions(name)
    version = max(former.held, default=0) + 1
    empty = PartitionPieces(load.held(), load.columns).schema.empty_table()
    online.write(name, empty, version=version, **load.about)
    try:
        # Only now: what a stream appends from here on it writes to the new version itself.
        load = replace(load, parts=partitions_beside_streams(load.parts, load.others))
        done = write(online, load, name, version)
        online.serve(name, version)
    except BaseException:
        with suppress(JukeboxError):
            online.drop(name, version)
        raise
    # Higher ones are those of loads that are under way.
    for each in former.held:
        if each < min(version, former.current or version):
            online.drop(name, each)
    return load, done


def _origins(load: OnlineTable) -> tuple[tuple[str, ...], tuple[Source, ...]]:
    """Return the feature tables of a load, and the files that it reads."""
    roots = tuple(sorted({part.table for part in load.parts}))
    return roots, tuple(Source(str(part.path), part.manifest.fingerprint) for part in load.parts)


def _write(
    progress: Loaded | None, online: OnlineStore, load: OnlineTable, name: str, version: int | None
) -> tuple[int, Written]:
    rows = load.newest().rows
    return rows.num_rows, online.write(name, rows, version=version, progress=progress, **load.about)


def estimated(load: OnlineTable, *, table: str | None = None, apart: bool = False) -> Estimate:
    """Return what ``load_table`` would send to a store, which is not asked; ``apart`` is a cell for every feature."""
    name = table or load.name
    if not load.held():
        return Estimate(name, 0, 0, 0)
    newest = load.newest()
    layout = layout_of(newest.rows.schema, **load.about)
    batches = layout.fitted(newest.rows).combine_chunks().to_batches(max_chunksize=_ROWS_AT_ONCE)
    size = sum(_sent(layout, batch, column(name, 1), apart=apart) for batch in batches)
    return Estimate(name, newest.read, newest.rows.num_rows, size)


def _sent(layout: Layout, batch: pa.RecordBatch, of: bytes, *, apart: bool) -> int:
    keys, _, ranks = coordinates(layout, pa.Table.from_batches([batch]))
    features = [name.encode() for name in layout.value_names] if apart else [b""]
    cells = layout.cells_apart(batch) if apart else [layout.cells(batch)]
    size = sum(map(len, keys))
    for feature, each in zip(features, cells, strict=True):
        qualifiers = sum(len(qualifier(of, feature, rank)) for rank in ranks)
        size += qualifiers + _TIMESTAMP * len(batch) + (pc.sum(pc.binary_length(each)).as_py() or 0)
    return size


def dated(batch: pa.RecordBatch, event_time: str, day: date) -> pa.RecordBatch:
    """Return static rows as new as ``day``."""
    # All static rows bear the time 1970 in feature tables: by it a delivery loaded late would beat a newer one.
    moment = datetime.combine(day, time.min, timezone.utc)
    place = batch.schema.get_field_index(event_time)
    arrays = list(batch.columns)
    arrays[place] = pa.repeat(pa.scalar(moment, arrays[place].type), batch.num_rows)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
