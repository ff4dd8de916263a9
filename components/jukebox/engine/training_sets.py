"""The join over files: labels and feature tables in, a training set with its proof out."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.asof import Features, join_proven
from jukebox.core.fingerprints import fingerprint_of
from jukebox.core.splits import EVAL, TRAIN
from jukebox.engine.feature_tables import read_partitions
from jukebox.engine.labels import label_schema, read_labels
from jukebox.errors import MissingColumn, NameClash, StorageError, reason
from jukebox.features import format_duration
from jukebox.features.data_types import arrow_type
from jukebox.formats import parquet, tfexample, tfrecord
from jukebox.tables import MANIFEST, Manifest, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from jukebox.core.asof import Progress, Proof
    from jukebox.engine.plans import Plan, PlannedTable
    from jukebox.engine.requests import Asked

WHOLE = "training_set.parquet"
SHARD_ROWS = 65_536
RULES = ("label_time", "allow_exact", "as_known", "proof")


def make_training_set(plan: Plan, out: str, *, progress: Callable[[Progress], None] | None = None) -> Manifest:
    """Leave at ``out`` the training set that ``plan`` describes, every label once and in order; return its manifest.

    What is wrong with the plan is found before anything is written, and the manifest comes last. Raises
    MissingColumn, NameClash, InvalidType, InvalidValue, NoPartition, CorruptData and StorageError.
    """
    schema = label_schema(plan.labels, plan.label_time, plan.label_keys)
    _require(plan, schema)
    split = plan.split.over(schema.names)
    split.require(schema)
    labels = pa.Table.from_batches(read_labels(plan.labels, schema), schema)
    table, proven = joined(labels, plan, progress=progress)
    rows = write_training_set(out, table, split.train_mask(labels, plan.label_time))
    source = Source(plan.labels, fingerprint_of(labels, schema))
    return described(replace(plan, split=split), table, source, proven, rows).write(out)


def _require(plan: Plan, schema: pa.Schema) -> None:
    for member in plan.members:
        if member.column in schema.names:
            raise NameClash(
                f"the output column '{member.column}' is in the labels already; ask for it under another name"
            )
    if plan.label_time not in schema.names:
        raise MissingColumn(f"column '{plan.label_time}' is not in the labels; they have {', '.join(schema.names)}")


def joined(
    labels: pa.Table, plan: Plan, *, progress: Callable[[Progress], None] | None = None
) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
    """Return the labels with the plan's columns in its order, and what is proven of each column.

    Raises what ``jukebox.core.asof`` raises.
    """
    features = [features_of(table, labels, plan.label_time) for table in plan.tables]
    rules: dict[str, Any] = {"allow_exact": plan.allow_exact, "as_known": plan.as_known, "proof": plan.proof}
    table, proofs = join_proven(labels, features, label_time=plan.label_time, **rules, progress=progress)
    statics = [each.static for each in plan.tables]
    columns = [*labels.column_names, *(member.column for member in plan.members)]
    return table.select(columns), dict(chain.from_iterable(map(_proven, proofs, statics)))


def features_of(table: PlannedTable, labels: pa.Table, label_time: str) -> Features:
    """Return what the join takes of a planned table: its rows, and what is asked of them."""
    rows: Iterator[pa.RecordBatch] | pa.Table
    rows = read_partitions(table.partitions, table.columns)
    if not table.rows:
        rows = _no_rows(table, labels.schema, label_time)
    elif table.static:
        rows = _always(rows, table.event_time, labels[label_time])
    return Features(
        rows,
        keys=table.keys,
        event_time=table.event_time,
        values={member.column: member.source_column for member in table.members},
        created_time=table.about.created_time,
        max_age={member.column: member.max_age for member in table.members},
        last_non_null=tuple(member.column for member in table.members if member.last_non_null),
    )


def _always(rows: Iterator[pa.RecordBatch], name: str, times: pa.ChunkedArray) -> Iterator[pa.RecordBatch]:
    # A static row's time is the epoch in the table; here it comes before every label, in the labels' kind of time.
    kind, counted = times.type, times
    if pa.types.is_temporal(kind):
        counted = times.cast(pa.int32() if pa.types.is_date32(kind) else pa.int64())
    first = pc.min(counted).as_py()
    before = pa.array([0 if first is None else first - 1], counted.type).cast(kind)[0]
    for batch in rows:
        at = batch.schema.get_field_index(name)
        columns = [*batch.columns[:at], pa.repeat(before, batch.num_rows), *batch.columns[at + 1 :]]
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema.set(at, pa.field(name, kind)))


def _no_rows(table: PlannedTable, labels: pa.Schema, label_time: str) -> pa.Table:
    time = labels.field(label_time).type
    fields = [(key, labels.field(label).type) for label, key in table.keys.items() if label in labels.names]
    fields += [(name, time) for name in (table.event_time, table.about.created_time) if name is not None]
    kinds = {member.source_column: arrow_type(member.data_type) for member in table.members}
    fields += [(name, pa.null() if kind is None else kind) for name, kind in kinds.items()]
    return pa.schema(fields).empty_table()


def _proven(proof: Proof, static: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    # The rows of a static table have no age; that of the time which they are joined by means nothing.
    ageless: dict[str, Any] = {"greatest_age_us": None, "median_age_us": None, "age_histogram": []} if static else {}
    for column in proof.columns:
        bars = [list(bar) for bar in column.age_histogram]
        yield column.column, {**asdict(column), "age_histogram": bars, **ageless}


def write_training_set(out: str, table: pa.Table, train: np.ndarray) -> dict[str, int]:
    """Write the whole table as Parquet and each split as gzip TFRecords of tf.Example; return the splits' rows.

    What an earlier join left at ``out`` goes first. Raises InvalidType for a column that a tf.Example cannot hold,
    before anything is written, and StorageError.
    """
    tfexample.check(table.schema)
    _clear(Path(out))
    parquet.write(Path(out) / WHOLE, table.to_batches(), schema=table.schema)
    rows = {}
    for split, mask in ((TRAIN, train), (EVAL, ~train)):
        part = table.filter(pa.array(mask))
        rows[split] = part.num_rows
        shards = max(1, -(-part.num_rows // SHARD_ROWS))
        for shard in range(shards):
            name = f"data_tfrecord-{shard:05d}-of-{shards:05d}.gz"
            batches = part.slice(shard * SHARD_ROWS, SHARD_ROWS).to_batches()
            tfrecord.write(Path(out) / f"Split-{split}" / name, batches, schema=part.schema)
    return rows


def _clear(out: Path) -> None:
    # The manifest first, so that nothing looks whole from here on; and more shards may lie there than are to come.
    try:
        for path in (out / MANIFEST, *out.glob("Split-*/data_tfrecord-*.gz")):
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"{out} cannot be written: {reason(exc)}") from exc


def described(
    plan: Plan, table: pa.Table, labels: Source, proven: Mapping[str, Mapping[str, Any]], splits: Mapping[str, int]
) -> Manifest:
    """Return the manifest of a training set: its content, the plan that it was made by, and the proof."""
    places = {member.column: number for number, each in enumerate(plan.tables) for member in each.members}
    return Manifest(
        kind="training_set",
        rows=table.num_rows,
        schema={field.name: str(field.type) for field in table.schema},
        event_time=plan.label_time,
        fingerprint=fingerprint_of(table, table.schema),
        inputs=(labels, *(Source(str(part.path), part.manifest.fingerprint) for part in plan.partitions)),
        details={
            "splits": dict(splits),
            "split": str(plan.split),
            "rules": {name: getattr(plan, name) for name in RULES},
            "tables": [_table_told(each) for each in plan.tables],
            "features": [{**_told(m, places[m.column]), **proven[m.column]} for m in plan.members],
        },
    )


def _table_told(table: PlannedTable) -> dict[str, Any]:
    paths = [str(part.path) for part in table.partitions]
    return {"endpoint": table.about.details["endpoint"], "keys": dict(table.keys), "partitions": paths}


def _told(member: Asked, table: int) -> dict[str, Any]:
    limit = None if member.max_age is None else format_duration(member.max_age)
    rules = {"max_age": limit, "last_non_null": member.last_non_null}
    about = {"name": str(member.name), "version": member.version, "data_type": member.data_type}
    return {**about, **rules, "table": table, "column": member.column}
