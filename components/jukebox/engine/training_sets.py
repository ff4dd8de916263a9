"""The join over files: labels and feature tables in, a training set with its proof out."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.asof import Features, join_proven
from jukebox.core.splits import EVAL, TRAIN
from jukebox.engine.feature_tables import read_partitions
from jukebox.errors import MissingColumn, NameClash, StorageError, reason
from jukebox.features import format_duration
from jukebox.features.data_types import arrow_type
from jukebox.formats import parquet, tfexample, tfrecord
from jukebox.tables import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

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
    Raises MissingColumn, NameClash where two label columns are mapped to one key, and what ``jukebox.core.asof``
    raises.
    """
    time = rules["label_time"]
    if time not in labels.column_names:
        raise MissingColumn(f"column '{time}' is not in the labels; they have {', '.join(labels.column_names)}")
    names = _label_columns(rules["keys"], {key for parts, _ in groups for key in parts[0].manifest.keys})
    features = [_features(labels, parts, members, names, time) for parts, members in groups]
    chosen = {name: rules[name] for name in ("allow_exact", "as_known", "proof")}
    table, proofs = join_proven(labels, features, label_time=time, **chosen)
    statics = [parts[0].manifest.details["static"] for parts, _ in groups]
    return table, dict(chain.from_iterable(map(_proven, proofs, statics)))


def _label_columns(renamed: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for label, key in renamed.items():
        if key not in keys:
            there = ", ".join(sorted(keys)) or "none"
            raise MissingColumn(f"'{label}' is mapped to '{key}', no key of the asked features; their keys are {there}")
        if key in names:
            raise NameClash(f"'{names[key]}' and '{label}' are both mapped to the key '{key}'; a join takes one")
        names[key] = label
    return names


def _features(
    labels: pa.Table, parts: Sequence[Partition], members: Sequence[Asked], names: Mapping[str, str], label_time: str
) -> Features:
    about = parts[0].manifest
    event_time = str(about.event_time)
    values = {member.column: member.registered.name.name for member in members}
    times = [event_time] if about.created_time is None else [event_time, about.created_time]
    columns = [*about.keys, *times, *values.values()]
    keys = {names.get(key, key): key for key in about.keys}
    rows: Iterator[pa.RecordBatch] | pa.Table
    rows = read_partitions(parts, list(dict.fromkeys(columns)))
    if not any(part.manifest.rows for part in parts):
        rows = _no_rows(labels, keys, label_time, about, members)
    elif about.details["static"]:
        rows = _always(rows, event_time, labels[label_time])
    limits = {member.column: member.max_age for member in members}
    return Features(
        rows, keys=keys, event_time=event_time, values=values, created_time=about.created_time, max_age=limits
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


def _no_rows(
    labels: pa.Table, keys: Mapping[str, str], label_time: str, about: Manifest, members: Sequence[Asked]
) -> pa.Table:
    time = labels.schema.field(label_time).type
    fields = [(key, labels.schema.field(label).type) for label, key in keys.items() if label in labels.column_names]
    fields += [(name, time) for name in (about.event_time, about.created_time) if name is not None]
    declared = [(member.registered.name.name, member.registered.feature.data_type) for member in members]
    kinds = {name: arrow_type(kind) for name, kind in declared}
    fields += [(name, pa.null() if kind is None else kind) for name, kind in kinds.items()]
    return pa.schema(fields).empty_table()


def _proven(proof: Proof, static: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    about: dict[str, int | None] = {"examined": proof.examined, "newer_unknown": proof.newer_unknown}
    if static:
        about |= {"greatest_age_us": None, "median_age_us": None}
    for column in proof.columns:
        yield column.column, {**asdict(column), **about}


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


def described(member: Asked, proof: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of one asked feature."""
    limit = None if member.max_age is None else format_duration(member.max_age)
    registered = member.registered
    return {"name": str(registered.name), "version": registered.version, "max_age": limit, **proof}
