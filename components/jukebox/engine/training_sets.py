"""The join over files: labels and feature tables in, a training set with its proof out."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.asof import Features, join_proven
from jukebox.core.splits import EVAL, TRAIN
from jukebox.engine.feature_tables import read_partitions
from jukebox.errors import MissingColumn
from jukebox.features import format_duration
from jukebox.features.data_types import arrow_type
from jukebox.formats import parquet, tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from jukebox.core.asof import Proof
    from jukebox.engine.catalog import Partition
    from jukebox.engine.requests import Asked
    from jukebox.tables import Manifest

WHOLE = "training_set.parquet"
SHARD_ROWS = 65_536


Group = tuple["Sequence[Partition]", "Sequence[Asked]"]
"""The partitions of one feature table, and what is asked of it."""


def joined(
    labels: pa.Table, groups: Sequence[Group], rules: Mapping[str, Any]
) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
    """Return the labels with the asked columns, table by table, and what is proven of each column.

    ``rules`` holds ``label_time``, ``keys`` (label column to key column), ``allow_exact``, ``as_known`` and ``proof``.
    Raises MissingColumn, and what ``jukebox.core.asof`` raises.
    """
    time = rules["label_time"]
    if time not in labels.column_names:
        raise MissingColumn(f"column '{time}' is not in the labels; they have {', '.join(labels.column_names)}")
    names = {key: label for label, key in rules["keys"].items()}
    features = [_features(labels, parts, members, names, time) for parts, members in groups]
    chosen = {name: rules[name] for name in ("allow_exact", "as_known", "proof")}
    table, proofs = join_proven(labels, features, label_time=time, **chosen)
    return table, dict(chain.from_iterable(map(_proven, proofs)))


def _features(
    labels: pa.Table, parts: Sequence[Partition], members: Sequence[Asked], names: Mapping[str, str], label_time: str
) -> Features:
    about = parts[0].manifest
    values = {member.column: member.registered.name.name for member in members}
    columns = [*about.keys, about.event_time, *([about.created_time] if about.created_time else []), *values.values()]
    keys = {names.get(key, key): key for key in about.keys}
    rows: Iterator[pa.RecordBatch] | pa.Table
    rows = read_partitions(parts, list(dict.fromkeys(columns)))
    if not any(part.manifest.rows for part in parts):
        rows = _no_rows(labels, keys, label_time, about, members)
    elif about.details["static"]:
        rows = _always(rows, about.event_time, labels.schema.field(label_time).type)
    limits = {member.column: member.max_age for member in members}
    return Features(
        rows, keys=keys, event_time=about.event_time, values=values, created_time=about.created_time, max_age=limits
    )


def _always(rows: Iterator[pa.RecordBatch], name: str, label_time: pa.DataType) -> Iterator[pa.RecordBatch]:
    # A static row's time is the epoch in the table; here it takes the labels' kind, naive or zoned.
    kind = label_time if pa.types.is_timestamp(label_time) else pa.timestamp("us")
    for batch in rows:
        at = batch.schema.get_field_index(name)
        times = batch.column(at).cast(pa.timestamp("us")).cast(kind)
        schema = batch.schema.set(at, pa.field(name, kind))
        yield pa.RecordBatch.from_arrays([*batch.columns[:at], times, *batch.columns[at + 1 :]], schema=schema)


def _no_rows(
    labels: pa.Table, keys: Mapping[str, str], label_time: str, about: Manifest, members: Sequence[Asked]
) -> pa.Table:
    time = labels.schema.field(label_time).type
    fields = [(key, labels.schema.field(label).type) for label, key in keys.items() if label in labels.column_names]
    fields += [(name, time) for name in (about.event_time, about.created_time) if name is not None]
    declared = [(member.registered.name.name, member.registered.feature.data_type) for member in members]
    fields += [(name, arrow_type(kind) or pa.null()) for name, kind in dict(declared).items()]
    return pa.schema(fields).empty_table()


def _proven(proof: Proof) -> Iterator[tuple[str, dict[str, Any]]]:
    hidden = {"examined": proof.examined, "newer_unknown": proof.newer_unknown}
    for column in proof.columns:
        yield column.column, {**asdict(column), **hidden}


def write_training_set(out: str, table: pa.Table, train: np.ndarray) -> dict[str, int]:
    """Write the whole table as Parquet and each split as gzip TFRecords of tf.Example; return the splits' rows.

    Raises InvalidType for a column that a tf.Example cannot hold, and StorageError.
    """
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


def described(member: Asked, proof: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of one asked feature."""
    limit = None if member.max_age is None else format_duration(member.max_age)
    registered = member.registered
    return {"name": str(registered.name), "version": registered.version, "max_age": limit, **proof}
