"""From a log to a training set: what was served joins the labels by request, and the join fills in what was not."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.core.splits import Split
from jukebox.engine import contextual
from jukebox.engine.catalog import partitions_of, registered
from jukebox.engine.labelled_logs import LabelledLog, Spine
from jukebox.engine.log_matching import NONE, matched
from jukebox.engine.plans import PROOFS
from jukebox.engine.requests import asked, normalized
from jukebox.engine.served_logs import SERVED_AT, columns_of_answers, status_of
from jukebox.engine.served_rows import join_as_of, key_columns, named_keys, plan_for, type_of_both
from jukebox.engine.stitched_columns import StitchedColumn, is_logged, logged_as
from jukebox.engine.training_files import write_splits, write_whole
from jukebox.engine.training_sets import Content
from jukebox.errors import InvalidValue, NameClash, NoPartition
from jukebox.features import format_duration
from jukebox.features.data_types import arrow_type
from jukebox.formats import parquet, tfexample
from jukebox.tables import Manifest, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from jukebox.core.asof import Progress
    from jukebox.core.asof_proof import ColumnProof
    from jukebox.engine.log_matching import Matched
    from jukebox.engine.plans import Plan
    from jukebox.engine.requests import Asked, Entry
    from jukebox.engine.served_logs import ServedLog
    from jukebox.stores import RegisteredFeature, Registry


@dataclass(frozen=True)
class Wanted:
    """A column that is asked for: the log's columns that answer it, and the join's for what the log lacks."""

    entry: Entry
    feature: RegisteredFeature
    asked: Asked
    logged: tuple[str, ...] = ()
    joined: Entry | None = None


@dataclass(frozen=True)
class StitchRequest:
    """What a training set is to hold: its columns, those that the labels bring, where the rest lies, and its split."""

    columns: tuple[Wanted, ...]
    context: tuple[Asked, ...]
    tables: Collection[str] | None
    split: Split
    proof: str


def stitch_request(
    registry: Registry,
    source: LabelledLog,
    features: Mapping[str, Any] | Sequence[str],
    *,
    feature_tables: Collection[str] | None = None,
    feature_set: str | None = None,
    split: str = "time:0.8",
    proof: str = "sample",
) -> StitchRequest:
    """Return a request with what is registered of its features, and what of the log answers them.

    A contextual feature whose column the labels have comes with them. Raises what ``planned`` raises of a request.
    """
    if proof not in PROOFS:
        raise InvalidValue(f"proof is '{proof}'; it is {' or '.join(PROOFS)}")
    schema, rule, entries = source.schema(), Split.parse(split), normalized(features)
    pairs = list(zip(entries, registered(registry, [entry.name for entry in entries], feature_set), strict=True))
    columns, context = [], []
    for entry, feature in pairs:
        is_contextual = feature.feature.contextual
        [member] = [contextual.from_labels(entry, feature)] if is_contextual else asked([entry], [feature])
        if is_contextual and member.column in schema.names:
            context.append(member)
        elif member.column in (*schema.names, SERVED_AT):
            raise NameClash(
                f"the output column '{member.column}' is in the labels already; ask for it under another name"
            )
        else:
            logged = logged_as(source.log, entry, member, feature.feature.max_age)
            columns.append(Wanted(entry, feature, member, logged))
    contextual.require(context, schema)
    return StitchRequest(tuple(columns), tuple(context), feature_tables, rule.over(schema.names), proof)


def make_stitched_set(
    registry: Registry,
    source: LabelledLog,
    request: StitchRequest,
    out: str,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Leave at ``out`` the labels, once and in order, with what was served for each and the join where nothing was.

    What is wrong is found before anything is written, and the manifest comes last; see ``log_training_set``.
    """
    schema = source.schema()
    request.split.require(schema)
    about = source.about(schema)
    found = matched(source.log, about, source.request_id, source.position)
    times = source.times(about, found)
    wanted = _filled_in(registry, source, request, found)
    lacking = [(each.joined, each.feature) for each in wanted if each.joined is not None]
    with tempfile.TemporaryDirectory(prefix="jukebox-stitch-") as folder:
        path = Path(folder) / "labelled.parquet"
        plan = plan_for(registry, lacking, path, request.tables, proof=request.proof) if lacking else None
        keys = [] if plan is None else key_columns(plan, lacking)
        columns = list(dict.fromkeys(name for each in wanted for name in columns_of_answers(each.logged)))
        labels = Spine(source, schema, found, times, keys, columns).write(path)
        joined, proofs = (path, {}) if plan is None else join_as_of(plan, path, Path(folder), progress=progress)
        stitched = [_stitched(each, plan, source.log.schema, parquet.schema(joined)) for each in wanted]
        content = Content(_schema(schema, times.type, stitched))
        write_whole(out, content.watch(_batches(joined, content.schema, stitched)), content.schema)
    splits = write_splits(out, request.split, SERVED_AT)
    told = [_told(each, column, proofs) for each, column in zip(wanted, stitched, strict=True)]
    partitions = () if plan is None else plan.partitions
    inputs = [Source(source.labels, labels), Source(source.log.path, source.log.fingerprint())]
    inputs += [Source(str(part.path), part.manifest.fingerprint) for part in partitions]
    details = {"splits": splits, "features": told, "log": _matches(source, schema, found)}
    return _manifest(request, content, inputs, details).write(out)


def _manifest(
    request: StitchRequest, content: Content, inputs: Sequence[Source], details: Mapping[str, Any]
) -> Manifest:
    rules = {"label_time": SERVED_AT, "allow_exact": True, "as_known": True, "proof": request.proof}
    context = {"context": contextual.told(request.context)} if request.context else {}
    return Manifest(
        kind="training_set",
        rows=content.rows,
        schema={field.name: str(field.type) for field in content.schema},
        event_time=SERVED_AT,
        fingerprint=content.fingerprint(),
        inputs=tuple(inputs),
        details={**details, "split": str(request.split), "rules": rules, **context},
    )


def _filled_in(registry: Registry, source: LabelledLog, request: StitchRequest, found: Matched) -> list[Wanted]:
    """Return the columns with an entry of the join where the log has not all of them; raises NoPartition."""
    lacking = _lacking(source, found, {each.logged for each in request.columns})
    filled = []
    for each in request.columns:
        count = lacking[each.logged]
        filled.append(each if count == 0 else _joining(registry, source.log, each, count, request.tables))
    return filled


def _joining(registry: Registry, log: ServedLog, each: Wanted, count: int, tables: Collection[str] | None) -> Wanted:
    lacks = f"{count} labels have no logged value of '{each.asked.versioned}'"
    if each.feature.feature.contextual:
        raise NoPartition(f"{lacks}, which is contextual: bring it as label column '{each.asked.column}'")
    try:
        partitions_of(registry, each.feature, tables)
    except NoPartition as exc:
        raise NoPartition(f"{lacks}, and to fill them in it must be loaded: {exc}") from exc
    _require_told(log, each)
    return replace(each, joined=replace(each.entry, column=f"joined {each.asked.column}"))


def _require_told(log: ServedLog, each: Wanted) -> None:
    """Raise InvalidValue where the log has a feature's keys written in another way than the request says."""
    held = {key.column: key.identifier for key in each.feature.feature.endpoint.keys}
    for key in named_keys(each.entry, each.feature.feature):
        said = key.identifier or held[key.column]
        for name in key.names:
            other = next((how for how in log.identifiers(name) if how != said), None)
            if other is not None:
                raise InvalidValue(
                    f"the log has ids of '{name}' written as {other}, and '{each.asked.versioned}' is to be joined by "
                    f'ids written as {said}; where they are the same, say so: keys {{"{name}": {{"column": '
                    f'"{key.column}", "identifier": "{other}"}}}}'
                )


def _lacking(source: LabelledLog, found: Matched, columns: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """Return how many labels were served none of some columns, for each group of columns."""
    counts = dict.fromkeys(columns, len(found.rows) - found.logged)
    names, start = sorted({status_of(name) for group in columns for name in group}), 0
    rows = np.sort(found.rows[found.rows != NONE])
    for batch in source.log.read([SERVED_AT, *names]):
        low, high = rows.searchsorted([start, start + batch.num_rows])
        some = batch.take(pa.array(rows[low:high] - start))
        for group in counts:
            counts[group] += int(np.count_nonzero(~is_logged(some, group)))
        start += batch.num_rows
    return counts


def _stitched(each: Wanted, plan: Plan | None, log: pa.Schema, joined: pa.Schema) -> StitchedColumn:
    logged = [log.field(name).type for name in each.logged]
    declared = arrow_type(each.asked.data_type)
    kind = next((kind for kind in logged if not pa.types.is_null(kind)), pa.null()) if declared is None else declared
    static, column = False, None
    if each.joined is not None and plan is not None:
        [table] = [table for table in plan.tables for member in table.members if member.column == each.joined.column]
        static, column = table.static, each.joined.column
        kind = joined.field(column).type
    for name, one in zip(each.logged, logged, strict=True):
        kind = type_of_both(name, one, kind)
    return StitchedColumn(each.asked, each.logged, column, static=static, type=kind)


def _schema(labels: pa.Schema, moment: pa.DataType, columns: Sequence[StitchedColumn]) -> pa.Schema:
    made = pa.schema([*labels, (SERVED_AT, moment), *((column.asked.column, column.type) for column in columns)])
    tfexample.check(made)
    return made


def _batches(path: Path, made: pa.Schema, columns: Sequence[StitchedColumn]) -> Iterator[pa.RecordBatch]:
    stitched = {column.asked.column: column for column in columns}
    for batch in parquet.read(path):
        arrays = [
            stitched[name].stitch(batch) if name in stitched else batch.column(batch.schema.get_field_index(name))
            for name in made.names
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=made)


def _told(each: Wanted, column: StitchedColumn, proofs: Mapping[str, ColumnProof]) -> dict[str, Any]:
    member = each.asked
    limit = None if member.max_age is None else format_duration(member.max_age)
    about = {"name": str(member.name), "version": member.version, "data_type": member.data_type}
    rules = {"max_age": limit, "last_non_null": member.last_non_null, "keys": dict(each.entry.keys)}
    if each.entry.written:
        rules["identifiers"] = {name: how.identifier for name, how in each.entry.written.items()}
    examined = None if each.joined is None else proofs.get(each.joined.column)
    return {**about, **rules, "column": member.column, **column.told(examined)}


def _matches(source: LabelledLog, schema: pa.Schema, found: Matched) -> dict[str, Any]:
    columns = {"request_id": source.request_id, "position": source.position, "label_time": source.label_time}
    counts = {"logged": found.logged, "unlogged": len(found.rows) - found.logged}
    rows = {"duplicates": found.duplicates, "without_request_id": found.nameless}
    return {**columns, **counts, **rows, "other_keys": source.other_keys(schema, found)}
