"""Loading the features that lie in the same partitions into one table of an online store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timezone
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox import formats
from jukebox.core.fingerprints import fingerprint_of
from jukebox.engine.feature_tables import read_partitions
from jukebox.engine.newest import newest_per_key
from jukebox.errors import MissingColumn
from jukebox.formats import parquet
from jukebox.tables import Source, combined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from jukebox.engine.catalog import Partition
    from jukebox.stores import OnlineStore, RegisteredFeature


@dataclass(frozen=True)
class OnlineLoad:
    """What a load did to one table of a store: of ``rows``, one a key, some were ``written``, some were ``older``.

    ``read`` counts the rows of the partitions; where it is 0 nothing is known of the table's types, and there may be
    no such table. ``roots`` are the feature tables, ``partitions`` the files that were read.
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


def load_table(
    online: OnlineStore,
    parts: Sequence[Partition],
    members: Sequence[RegisteredFeature],
    *,
    table: str | None = None,
    filter_keys: str | None = None,
) -> OnlineLoad:
    """Make ``online`` hold the newest row of every key of ``parts``, with the columns of ``members``.

    ``table`` is by default the endpoint's name with a digest of the features' versions, so that another version goes
    to another table. A static row is as new as the date of its partition. Partitions without rows change nothing.
    Raises MissingColumn and InvalidType for filter keys that do not fit, StorageError and CorruptData.
    """
    about = parts[0].manifest
    versions = tuple(sorted(member.versioned for member in members))
    name = table or f"{about.details['endpoint']}-{combined(versions)[:8]}"
    roots = tuple(sorted({part.table for part in parts}))
    sources = tuple(Source(str(part.path), part.manifest.fingerprint) for part in parts)
    held = [part for part in parts if part.manifest.rows]
    if not held:
        return OnlineLoad(name, versions, 0, 0, 0, 0, combined(()), roots, sources)
    times = {"event_time": about.event_time, "created_time": about.created_time}
    columns = [*about.keys, *(time for time in times.values() if time is not None), *(m.name.name for m in members)]
    only = None if filter_keys is None else _only(filter_keys, held[0], about.keys)
    newest = newest_per_key(_rows(held, columns), keys=about.keys, only=only, **times)
    counts = online.write(name, newest.rows, keys=about.keys, **times)
    fingerprint = fingerprint_of(newest.rows, newest.rows.schema)
    told = (newest.read, newest.rows.num_rows, counts.written, counts.older)
    return OnlineLoad(name, versions, *told, fingerprint, roots, sources)


def _rows(parts: Sequence[Partition], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    about = parts[0].manifest
    if not about.details["static"] or about.event_time is None:
        yield from read_partitions(parts, columns)
        return
    for part in parts:
        for batch in read_partitions([part], columns):
            yield _dated(batch, about.event_time, part.day)


def _dated(batch: pa.RecordBatch, event_time: str, day: date) -> pa.RecordBatch:
    # All static rows bear the time 1970 in feature tables: by it a delivery loaded late would beat a newer one.
    moment = datetime.combine(day, time.min, timezone.utc)
    place = batch.schema.get_field_index(event_time)
    arrays = list(batch.columns)
    arrays[place] = pa.repeat(pa.scalar(moment, arrays[place].type), batch.num_rows)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def _only(path: str, part: Partition, keys: Sequence[str]) -> pa.Table:
    there = parquet.schema(part.path)
    wanted = pa.schema([there.field(name) for name in keys])
    reader = formats.format_of(path)
    names = reader.schema(path).names
    for name in keys:
        if name not in names:
            raise MissingColumn(f"key '{name}' is not in the filter {path}; it has {', '.join(names)}")
    # CSV and records do not say what their keys are: a text of digits would be a number, and any text bytes.
    options = formats.Options(types={field.name: field.type for field in wanted})
    batches = list(reader.read(path, columns=list(keys), options=options))
    return pa.Table.from_batches(batches) if batches else wanted.empty_table()
