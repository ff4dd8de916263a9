"""Replaying a log of served features: every vector once more from the offline tables, and both held cell by cell."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.sampling import scattered
from jukebox.engine.catalog import partitions_of, registered
from jukebox.engine.cell_tally import Tally
from jukebox.engine.consistency import Consistency
from jukebox.engine.served_differences import WHERE, by_time, explained, offline
from jukebox.engine.served_logs import SERVED_AT, columns_of_answers, entry_of, status_of
from jukebox.engine.served_rows import (
    join_as_of,
    key_columns,
    moments,
    named_keys,
    plan_for,
    require_keys,
    type_of_both,
)
from jukebox.errors import InvalidValue, NoPartition, UnknownFeature
from jukebox.features import FeatureName
from jukebox.formats import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from jukebox.core.asof import Progress
    from jukebox.engine.requests import Entry
    from jukebox.engine.served_logs import ServedLog
    from jukebox.engine.served_rows import KeyColumn
    from jukebox.stores import RegisteredFeature, Registry

    Asked = list[tuple[Entry, RegisteredFeature]]


def check_log(
    registry: Registry,
    log: ServedLog,
    *,
    features: Collection[str] | None = None,
    feature_tables: Collection[str] | None = None,
    rows: int | None = None,
    seed: int = 0,
    tolerance: float = 0.0,
    progress: Callable[[Progress], None] | None = None,
) -> Consistency:
    """Return how what a log says was served compares with the join as of the time it was served for.

    ``features`` keeps to some of the log's; ``rows`` to so many vectors, which ``seed`` scatters. Numbers no farther
    apart than ``tolerance``, a share of the greater, count as equal. All is read as a stream; what is held are the
    rows that differ. A feature that is contextual, not registered or not loaded offline is told as unchecked.

    Raises InvalidValue for a log of no vector, NoPartition where no feature can be checked, InvalidType for one that
    is of another type in the log than offline, MissingColumn for a key that the log lacks; CorruptData, StorageError.
    """
    numbers, of_rows = _chosen(log, rows, seed)
    asked, unchecked = _checkable(registry, _wanted(log, features), feature_tables)
    if not asked:
        raise NoPartition(f"no feature in the log {log.path} can be checked: {next(iter(unchecked.values()))}")
    with tempfile.TemporaryDirectory(prefix="jukebox-check-") as folder:
        spine = Path(folder) / "served.parquet"
        replayed = [(_offline(entry), feature) for entry, feature in asked]
        plan = plan_for(registry, replayed, spine, feature_tables)
        columns = [entry.column for entry, _ in asked]
        _write(log, spine, numbers, _readers(asked), key_columns(plan, replayed))
        joined, _ = join_as_of(plan, spine, Path(folder), progress=progress)
        found = explained(plan, _compared(joined, columns, tolerance), parquet.schema(joined))
    return Consistency(log.path, log.fingerprint(), len(numbers), of_rows, tuple(found), unchecked)


def _offline(entry: Entry) -> Entry:
    return replace(entry, column=offline(entry.column))


def _wanted(log: ServedLog, features: Collection[str] | None) -> list[str]:
    """Return the log's columns of the features that are asked for; raises UnknownFeature for one that is not there."""
    if not log.features:
        raise InvalidValue(f"the log {log.path} holds no feature")
    if features is None:
        return list(log.features)
    names = {column: entry_of(column).name for column in log.features}
    found = []
    for name in features:
        base, at, version = name.partition("@")
        canonical = f"{FeatureName.parse(base)}@{version}"
        fitting = [
            column for column, each in names.items() if (each if at else f"{each.partition('@')[0]}@") == canonical
        ]
        if not fitting:
            raise UnknownFeature.named(name, set(names.values()))
        found += fitting
    return list(dict.fromkeys(found))


def _checkable(
    registry: Registry, columns: Sequence[str], tables: Collection[str] | None
) -> tuple[Asked, dict[str, str]]:
    asked, unchecked = [], {}
    for column in columns:
        entry = entry_of(column)
        try:
            [feature] = registered(registry, [entry.name])
            if feature.feature.contextual:
                unchecked[column] = f"'{entry.name}' is contextual: it was known in the request alone"
                continue
            partitions_of(registry, feature, tables)
            asked.append((entry, feature))
        except (UnknownFeature, InvalidValue, NoPartition) as exc:
            unchecked[column] = str(exc)
    return asked, unchecked


def _chosen(log: ServedLog, rows: int | None, seed: int) -> tuple[Any, int]:
    if rows is not None and rows < 1:
        raise InvalidValue(f"rows is {rows}; a check looks at one vector or more")
    if seed < 0:
        raise InvalidValue(f"the seed is {seed}; it is 0 or more")
    count = log.count_rows()
    if count == 0:
        raise InvalidValue(f"the log {log.path} holds no vector; a check of nothing proves nothing")
    return scattered(count, count if rows is None else rows, seed), count


def _readers(asked: Asked) -> dict[str, list[str]]:
    """Return the log's columns with the labels of the keys that each is read by."""
    return {entry.column: [key.label for key in named_keys(entry, feature.feature)] for entry, feature in asked}


def _write(
    log: ServedLog, spine: Path, numbers: Any, columns: Mapping[str, Sequence[str]], keys: Sequence[KeyColumn]
) -> None:
    sources = {key.label: key.sources(log) for key in keys}
    require_keys(keys, sources, log.key_names)
    keyed = [name for some in sources.values() for name in some]
    asked = list(dict.fromkeys([*WHERE, *keyed, *columns_of_answers(columns)]))

    def spined(some: pa.RecordBatch) -> pa.RecordBatch:
        taken = dict(zip(some.schema.names, some.columns, strict=True))
        taken |= moments(taken[SERVED_AT])
        for key in keys:
            ids = key.taken(some, sources[key.label])
            # Another request's ids may be written in another way under the same name: they are none to convert.
            mine = [taken[status_of(column)] for column, labels in columns.items() if key.label in labels]
            taken[key.label] = ids if key.identifier is None else _where_served(ids, mine)
        return pa.RecordBatch.from_arrays(list(taken.values()), names=list(taken))

    def batches() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in log.read(asked):
            low, high = numbers.searchsorted([start, start + batch.num_rows])
            yield spined(batch.take(pa.array(numbers[low:high] - start)))
            start += batch.num_rows

    empty = pa.RecordBatch.from_pylist([], schema=pa.schema([log.schema.field(name) for name in asked]))
    parquet.write(spine, batches(), schema=spined(empty).schema)


def _where_served(ids: pa.Array, statuses: Sequence[pa.Array]) -> pa.Array:
    served = reduce(pc.or_, (status.is_valid() for status in statuses))
    return pc.if_else(served, ids, pa.scalar(None, ids.type))


def _compared(joined: Path, columns: Sequence[str], tolerance: float) -> dict[str, Tally]:
    tallies = {column: Tally(tolerance, by_time(column)) for column in columns}
    schema = parquet.schema(joined)
    types = {c: type_of_both(c, schema.field(c).type, schema.field(offline(c)).type) for c in columns}
    for batch in parquet.read(joined):
        for column, tally in tallies.items():
            served = batch.filter(_column(batch, status_of(column)).is_valid())
            ours, theirs = _column(served, column), _column(served, offline(column))
            tally.compare(ours.cast(types[column]), theirs.cast(types[column]), served)
    return tallies


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(batch.schema.get_field_index(name))
