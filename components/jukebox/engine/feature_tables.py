"""Writing and reading the dated partitions of a feature table."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.fingerprints import Fingerprint
from jukebox.core.summary import merge, summarize
from jukebox.errors import StorageError
from jukebox.formats import parquet
from jukebox.tables import Manifest, Source, combined, partition_folder, partitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from jukebox.engine.catalog import Partition

_NANOSECONDS = {
    frozenset(str(pa.timestamp(unit, zone)) for unit in ("us", "ns")): pa.timestamp("ns", zone)
    for zone in (None, "UTC")
}


def write_partition(root: str, day: date, batches: Iterable[pa.RecordBatch], about: Manifest) -> Manifest:
    """Make the partition of ``day`` in the table at ``root`` hold exactly ``batches``; return its manifest.

    ``about`` gives keys, times, inputs and details. Until the new manifest is in place the old partition is what
    readers see, whole; after an error or a kill it still is. Raises StorageError.
    """
    folder = partition_folder(root, day)
    # What is there now and no more is taken away at the end: another load may be writing the same date.
    old = list(folder.glob("part-*.parquet"))
    data = folder / f"part-{uuid.uuid4().hex[:16]}.parquet"
    rows = iter(batches)
    first = next(rows, None)
    schema = about_schema(about) if first is None else first.schema
    tally = _Tally(schema)
    parquet.write(data, tally.watch([] if first is None else [first], rows), schema=schema)
    try:
        manifest = replace(
            about,
            kind="partition",
            rows=tally.rows,
            schema={field.name: str(field.type) for field in schema},
            fingerprint=tally.fingerprint.hexdigest(),
            details={**about.details, "date": day.isoformat(), "data": data.name, "statistics": tally.summary},
        ).write(folder)
    except StorageError:
        # Not after an interrupt: it may come when the manifest is in place already and names the data.
        data.unlink(missing_ok=True)
        raise
    for path in old:
        with suppress(OSError):
            path.unlink()
    return manifest


def about_schema(about: Manifest) -> pa.Schema:
    """Return the schema of a partition without rows: null columns under the right names."""
    return pa.schema([(name, pa.null()) for name in about.schema])


def describe_table(root: str, about: Manifest) -> Manifest:
    """Write and return the manifest of the table at ``root``: all its partitions that hold ``about``'s features."""
    held = _held(root, about)
    summaries = [part.details["statistics"] for part in held.values() if part.rows]
    parts = list(held.values())
    return replace(
        about,
        kind="feature_table",
        rows=sum(part.rows for part in parts),
        schema=next((part.schema for part in parts if part.rows), about.schema),
        fingerprint=combined(f"{day} {part.fingerprint}" for day, part in held.items()),
        inputs=_named(held),
        details={
            **about.details,
            "dates": [day.isoformat() for day in held],
            "statistics": reduce(merge, summaries) if summaries else {},
        },
    ).write(root)


def is_described(table: Manifest) -> bool:
    """Return whether ``table`` still tells of all the partitions of its features that lie beside it."""
    return _named(_held(table.uri, table)) == table.inputs


def _held(root: str, about: Manifest) -> dict[date, Manifest]:
    features = about.details["features"]
    return {day: part for day, part in partitions(root).items() if part.details["features"] == features}


def _named(held: Mapping[date, Manifest]) -> tuple[Source, ...]:
    return tuple(Source(f"date={day.isoformat()}", part.fingerprint) for day, part in held.items())


def read_partitions(partitions: Sequence[Partition], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``partitions`` in the order of their dates; those of no rows are passed over.

    Times that some have in microseconds and others in nanoseconds come in nanoseconds.
    Raises CorruptData or StorageError with the name of the file.
    """
    held = [partition for partition in partitions if partition.manifest.rows]
    finer = {}
    for name in columns:
        kinds = frozenset(part.manifest.schema.get(name, "") for part in held)
        if kinds in _NANOSECONDS:
            finer[name] = _NANOSECONDS[kinds]
    for partition in held:
        for batch in parquet.read(partition.path, columns=columns):
            arrays = [batch.column(name).cast(finer[name]) if name in finer else batch.column(name) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


class _Tally:
    """What is learnt of rows on their way to the disk."""

    def __init__(self, schema: pa.Schema) -> None:
        self.fingerprint = Fingerprint(schema)
        self.rows = 0
        self.summary: dict[str, Any] = {}

    def watch(self, *parts: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            for batch in part:
                self.fingerprint.update(batch)
                self.rows += batch.num_rows
                summary = summarize(pa.Table.from_batches([batch]))
                self.summary = merge(self.summary, summary) if self.summary else summary
                yield batch
