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
from jukebox.formats import parquet
from jukebox.tables import Manifest, Source, combined, partition_folder, partitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from jukebox.engine.catalog import Partition


def write_partition(root: str, day: date, batches: Iterable[pa.RecordBatch], about: Manifest) -> Manifest:
    """Make the partition of ``day`` in the table at ``root`` hold exactly ``batches``; return its manifest.

    ``about`` gives keys, times, inputs and details. Until the new manifest is in place the old partition is what
    readers see, whole; after an error or a kill it still is. Raises StorageError.
    """
    folder = partition_folder(root, day)
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
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    for old in folder.glob("part-*.parquet"):
        if old != data:
            with suppress(OSError):
                old.unlink()
    return manifest


def about_schema(about: Manifest) -> pa.Schema:
    """Return the schema of a partition without rows: null columns under the right names."""
    return pa.schema([(name, pa.null()) for name in about.schema])


def describe_table(root: str, about: Manifest) -> Manifest:
    """Write and return the manifest of the table at ``root``: all its partitions that hold ``about``'s features."""
    features = about.details["features"]
    held = {day: part for day, part in partitions(root).items() if part.details["features"] == features}
    summaries = [part.details["statistics"] for part in held.values() if part.rows]
    parts = list(held.values())
    return replace(
        about,
        kind="feature_table",
        rows=sum(part.rows for part in parts),
        schema=next((part.schema for part in parts if part.rows), about.schema),
        fingerprint=combined(part.fingerprint for part in parts),
        inputs=tuple(Source(f"date={day.isoformat()}", part.fingerprint) for day, part in held.items()),
        details={
            **about.details,
            "dates": [day.isoformat() for day in held],
            "statistics": reduce(merge, summaries) if summaries else {},
        },
    ).write(root)


def read_partitions(partitions: Sequence[Partition], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``partitions`` in the order of their dates; those of no rows are passed over.

    Raises CorruptData or StorageError with the name of the file.
    """
    for partition in partitions:
        if partition.manifest.rows:
            yield from parquet.read(partition.path, columns=columns)


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
