"""Writing and reading the dated partitions of a feature table."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.fingerprints import Fingerprint
from jukebox.core.summary import merge, summarize
from jukebox.engine.replacing import replace_manifest
from jukebox.engine.streamed_meanwhile import appended_since, put_behind, streamed_ids
from jukebox.errors import MissingDependency, StorageError, TimedOut
from jukebox.formats import parquet
from jukebox.formats.columns import chosen, same_types
from jukebox.tables import Manifest, Source, combined, partition_folder, partitions, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from jukebox.core.asof_pieces import Bounds, Piece
    from jukebox.engine.catalog import Partition
    from jukebox.engine.streamed_meanwhile import Late
    from jukebox.storage import Place

_NANOSECONDS = {
    frozenset(str(pa.timestamp(unit, zone)) for unit in ("us", "ns")): pa.timestamp("ns", zone)
    for zone in (None, "UTC")
}


def write_partition(root: str, day: date, batches: Iterable[pa.RecordBatch], about: Manifest) -> Manifest:
    """Make the partition of ``day`` in the table at ``root`` hold exactly ``batches``; return its manifest.

    What a stream appends to it meanwhile stays, behind them. ``about`` gives keys, times, inputs and details. Until the
    new manifest is in place the old partition is what readers see, whole; after an error or a kill it still is. Raises
    StorageError.
    """
    folder = partition_folder(root, day)
    # What is there now and no more is taken away at the end: another load may be writing the same date.
    old: list[Place] = list(folder.glob("part-*.parquet"))
    before = streamed_ids(folder)
    data = folder / f"part-{uuid.uuid4().hex[:16]}.parquet"
    rows = iter(batches)
    first = next(rows, None)
    schema = about_schema(about) if first is None else first.schema
    tally = _Tally(schema)
    parquet.write(data, tally.watch([] if first is None else [first], rows), schema=schema)

    features, kinds = about.details["features"], tally.schema if tally.rows else None

    def loaded(now: Manifest | None) -> Manifest:
        late = appended_since(now, before, features, kinds)
        whole, where = _with_late(folder, data.name, late, tally)
        return replace(
            about,
            kind="partition",
            rows=whole.rows,
            schema={field.name: str(field.type) for field in whole.schema},
            fingerprint=whole.fingerprint.hexdigest(),
            details={**about.details, "date": day.isoformat(), "statistics": whole.summary, **where},
        )

    try:
        manifest = replace_manifest(folder, loaded, anew=True)  # a stream may be appending to what is there now
    except TimedOut:
        raise  # it may be in place
    except (StorageError, MissingDependency):
        # Not after an interrupt: it may come when the manifest is in place already and names the data.
        data.unlink(missing_ok=True)
        raise
    for path in old:
        with suppress(OSError):
            path.unlink()
    assert manifest is not None
    return manifest


def _with_late(folder: Place, data: str, late: Late | None, tally: _Tally) -> tuple[_Tally, dict[str, Any]]:
    """Return the tally of a partition, and where it lies: the file ``data``, and what was streamed meanwhile."""
    if late is None:
        return tally, {"data": data}
    whole = tally.copy() if tally.rows else _Tally(late.rows.schema)
    with writing(folder):
        where = put_behind(folder, data, tally.rows, late)
    whole.take(late.rows.to_batches())
    return whole, where


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


@dataclass(frozen=True)
class PartitionPieces:
    """Columns of a feature table in pieces: the row groups of its partitions in the order of their dates.

    Partitions of no rows are passed over. Times that some have in microseconds and others in nanoseconds come in
    nanoseconds. Raises CorruptData or StorageError with the name of the file.
    """

    partitions: Sequence[Partition]
    columns: Sequence[str]

    @cached_property
    def _held(self) -> list[tuple[Partition, parquet.ParquetPieces]]:
        held = [partition for partition in self.partitions if partition.manifest.rows]
        return [(partition, parquet.ParquetPieces([partition.path])) for partition in held]

    @cached_property
    def _finer(self) -> dict[str, pa.DataType]:
        return _finer([partition for partition, _ in self._held], self.columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns and their types; raises MissingColumn."""
        first, pieces = self._held[0]
        there = pieces.schema
        chosen(self.columns, there.names, first.path)
        return pa.schema([(name, self._finer.get(name, there.field(name).type)) for name in self.columns])

    @cached_property
    def _pieces(self) -> list[Piece]:
        first = self._held[0][0].path
        found: list[Piece] = []
        for partition, pieces in self._held:
            chosen(self.columns, pieces.schema.names, partition.path)
            alike = pa.schema([field for field in self.schema if field.name not in self._finer])
            same_types(pieces.schema, alike, partition.path, first)
            found.extend(_Finer(piece, self._finer) if self._finer else piece for piece in pieces.pieces())
        return found

    def pieces(self) -> Sequence[Piece]:
        """Return the row groups."""
        return self._pieces


@dataclass(frozen=True)
class _Finer:
    """A piece some of whose times are told in nanoseconds."""

    piece: Piece
    kinds: Mapping[str, pa.DataType]

    @property
    def rows(self) -> int:
        return self.piece.rows

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        for batch in self.piece.read(columns, encoded):
            yield _cast(batch, columns, self.kinds)

    def bounds(self, column: str) -> Bounds | None:
        return None if column in self.kinds else self.piece.bounds(column)


def _finer(held: Sequence[Partition], columns: Sequence[str]) -> dict[str, pa.DataType]:
    kinds = {name: frozenset(part.manifest.schema.get(name, "") for part in held) for name in columns}
    return {name: _NANOSECONDS[each] for name, each in kinds.items() if each in _NANOSECONDS}


def _cast(batch: pa.RecordBatch, columns: Sequence[str], kinds: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    arrays = [batch.column(name).cast(kinds[name]) if name in kinds else batch.column(name) for name in columns]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def read_partitions(partitions: Sequence[Partition], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``partitions`` in the order of their dates; those of no rows are passed over.

    Times that some have in microseconds and others in nanoseconds come in nanoseconds.
    Raises CorruptData or StorageError with the name of the file.
    """
    held = [partition for partition in partitions if partition.manifest.rows]
    finer = _finer(held, columns)
    for partition in held:
        for batch in parquet.read(partition.path, columns=columns):
            yield _cast(batch, columns, finer)


class _Tally:
    """What is learnt of rows on their way to the disk."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema, self.fingerprint = schema, Fingerprint(schema)
        self.rows = 0
        self.summary: dict[str, Any] = {}

    def copy(self) -> _Tally:
        twin = _Tally(self.schema)
        twin.fingerprint, twin.rows, twin.summary = self.fingerprint.copy(), self.rows, self.summary
        return twin

    def watch(self, *parts: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            for batch in part:
                self.take([batch])
                yield batch

    def take(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            self.fingerprint.update(batch)
            self.rows += batch.num_rows
            summary = summarize(pa.Table.from_batches([batch]))
            self.summary = merge(self.summary, summary) if self.summary else summary
