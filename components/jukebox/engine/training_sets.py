"""The join over files: labels and feature tables in, a training set with its proof out."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.asof import Features
from jukebox.core.fingerprints import Fingerprint
from jukebox.engine import contextual
from jukebox.engine.feature_tables import PartitionPieces
from jukebox.engine.joining import Shards, Spine
from jukebox.engine.label_keys import widened, with_ids
from jukebox.engine.labels import label_schema, read_labels
from jukebox.engine.training_files import write_splits, write_whole
from jukebox.errors import MissingColumn, MissingDependency, NameClash
from jukebox.features import format_duration
from jukebox.features.data_types import arrow_type
from jukebox.formats import tfexample
from jukebox.storage import place_of
from jukebox.tables import Manifest, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jukebox.core.asof import Progress, Proof
    from jukebox.engine.beam_join import BeamShards
    from jukebox.engine.plans import Plan, PlannedTable
    from jukebox.engine.requests import Asked

RULES = ("label_time", "allow_exact", "as_known", "proof")


def make_training_set(
    plan: Plan,
    out: str,
    *,
    beam_pipeline_args: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Leave at ``out`` the training set that ``plan`` describes, every label once and in order; return its manifest.

    What is wrong with the plan is found before anything is written, and the manifest comes last. Labels that do not
    fit into memory go in shards. With ``beam_pipeline_args`` the rows are joined on Beam, and are the same. Raises
    MissingColumn, NameClash, InvalidType, InvalidValue, NoPartition, CorruptData and StorageError, and on Beam
    JobFailed.
    """
    place_of(out)  # Beam may know a place where the rest cannot be written
    schema = label_schema(plan.labels, plan.label_time, plan.label_keys)
    _require(plan, schema)
    wide = widened(schema, plan.converted)
    split = plan.split.over(schema.names)
    split.require(schema)
    labels = Fingerprint(schema)
    here = joined(plan, wide, progress=progress)
    join = _on_beam(here, out, beam_pipeline_args) if beam_pipeline_args else here
    made = _selected(join.schema(wide), plan, schema)
    tfexample.check(made)
    spine = Spine(wide, partial(_read, plan, schema, labels))
    content = Content(made)
    write_whole(out, content.watch(join.batches(spine)), made)
    rows = write_splits(out, split, plan.label_time)
    proven = dict(chain.from_iterable(map(_proven, join.proofs)))
    source = Source(plan.labels, labels.hexdigest())
    return described(replace(plan, split=split), content, source, proven, rows).write(out)


def _read(plan: Plan, schema: pa.Schema, seen: Fingerprint, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield columns of the labels; whoever reads all of them fingerprints them by the way."""
    batches = read_labels(plan.labels, schema)
    if set(schema.names) <= set(columns):
        batches = _seen(batches, seen)
    wanted = [each for each in plan.converted if each.column in columns]
    for batch in with_ids(batches, wanted) if wanted else batches:
        arrays = [batch.column(batch.schema.get_field_index(name)) for name in columns]
        yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _seen(batches: Iterable[pa.RecordBatch], seen: Fingerprint) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        seen.update(batch)
        yield batch


class Content:
    """What is learnt of a training set's rows on their way to the disk; its columns come in the order of ``schema``."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema, self.rows = schema, 0
        self._fingerprint = Fingerprint(schema)

    def watch(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches with the schema's columns."""
        for batch in batches:
            columns = [batch.column(batch.schema.get_field_index(name)) for name in self.schema.names]
            ordered = pa.RecordBatch.from_arrays(columns, schema=self.schema)
            self._fingerprint.update(ordered)
            self.rows += ordered.num_rows
            yield ordered

    def fingerprint(self) -> str:
        """Return the fingerprint of all rows so far."""
        return self._fingerprint.hexdigest()


def _selected(schema: pa.Schema, plan: Plan, labels: pa.Schema) -> pa.Schema:
    return pa.schema([schema.field(name) for name in [*labels.names, *(member.column for member in plan.members)]])


def _require(plan: Plan, schema: pa.Schema) -> None:
    contextual.require(plan.context, schema)
    for member in plan.members:
        if member.column in schema.names:
            raise NameClash(
                f"the output column '{member.column}' is in the labels already; ask for it under another name"
            )
    if plan.label_time not in schema.names:
        raise MissingColumn(f"column '{plan.label_time}' is not in the labels; they have {', '.join(schema.names)}")


def joined(plan: Plan, labels: pa.Schema, *, progress: Callable[[Progress], None] | None = None) -> Shards:
    """Return the plan's join over labels of this schema, before its first row."""
    features = [features_of(table, labels, plan.label_time) for table in plan.tables]
    rules = {"allow_exact": plan.allow_exact, "as_known": plan.as_known, "proof": plan.proof}
    return Shards(features, plan.label_time, rules, progress=progress)


def _on_beam(join: Shards, out: str, beam_pipeline_args: Sequence[str]) -> BeamShards:
    try:
        from jukebox.engine.beam_join import BeamShards
    except ModuleNotFoundError as exc:
        raise MissingDependency.of("apache-beam", "beam") from exc
    return BeamShards(join, out, beam_pipeline_args)


def features_of(table: PlannedTable, labels: pa.Schema, label_time: str) -> Features:
    """Return what the join takes of a planned table: its rows, and what is asked of them."""
    rows = PartitionPieces(table.partitions, table.columns) if table.rows else _no_rows(table, labels, label_time)
    return Features(rows, **table.terms)


def _no_rows(table: PlannedTable, labels: pa.Schema, label_time: str) -> pa.Table:
    time = labels.field(label_time).type
    fields = [(key, labels.field(label).type) for label, key in table.joined_keys.items() if label in labels.names]
    fields += [(name, time) for name in (table.event_time, table.about.created_time) if name is not None]
    kinds = {member.source_column: arrow_type(member.data_type) for member in table.members}
    fields += [(name, pa.null() if kind is None else kind) for name, kind in kinds.items()]
    return pa.schema(fields).empty_table()


def _proven(proof: Proof) -> Iterator[tuple[str, dict[str, Any]]]:
    for column in proof.columns:
        yield column.column, {**asdict(column), "age_histogram": [list(bar) for bar in column.age_histogram]}


def described(
    plan: Plan, content: Content, labels: Source, proven: Mapping[str, Mapping[str, Any]], splits: Mapping[str, int]
) -> Manifest:
    """Return the manifest of a training set: its content, the plan that it was made by, and the proof."""
    places = {member.column: number for number, each in enumerate(plan.tables) for member in each.members}
    return Manifest(
        kind="training_set",
        rows=content.rows,
        schema={field.name: str(field.type) for field in content.schema},
        event_time=plan.label_time,
        fingerprint=content.fingerprint(),
        inputs=(labels, *(Source(str(part.path), part.manifest.fingerprint) for part in plan.partitions)),
        details={
            "splits": dict(splits),
            "split": str(plan.split),
            "rules": {name: getattr(plan, name) for name in RULES},
            "tables": [_table_told(each) for each in plan.tables],
            "features": [{**_told(m, places[m.column]), **proven[m.column]} for m in plan.members],
            **({"context": contextual.told(plan.context)} if plan.context else {}),
        },
    )


def _table_told(table: PlannedTable) -> dict[str, Any]:
    paths = [str(part.path) for part in table.partitions]
    about = {"endpoint": table.about.details["endpoint"], "keys": dict(table.keys), "partitions": paths}
    return {**about, "converted": [asdict(each) for each in table.converted]} if table.converted else about


def _told(member: Asked, table: int) -> dict[str, Any]:
    limit = None if member.max_age is None else format_duration(member.max_age)
    rules = {"max_age": limit, "last_non_null": member.last_non_null}
    about = {"name": str(member.name), "version": member.version, "data_type": member.data_type}
    return {**about, **rules, "table": table, "column": member.column}
