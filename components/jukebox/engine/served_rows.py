"""Served vectors as the labels of a join: each with its keys, and as of the moment that it was served for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core import rowkeys
from jukebox.core.asof_times import clock
from jukebox.core.cells import plain_type
from jukebox.engine.joining import join_files
from jukebox.engine.label_keys import widened, with_ids
from jukebox.engine.plans import planned
from jukebox.engine.served_logs import SERVED_AT
from jukebox.engine.training_sets import features_of
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, reason
from jukebox.formats import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from jukebox.core.asof import Features, Progress
    from jukebox.core.asof_proof import ColumnProof
    from jukebox.engine.plans import Plan, PlannedTable
    from jukebox.engine.requests import Entry
    from jukebox.engine.served_logs import ServedLog
    from jukebox.features import Feature
    from jukebox.stores import RegisteredFeature, Registry

# A feature whose times have no zone is joined as of the same moment on the clock of UTC, as it is served.
NAIVE = f"{SERVED_AT} naive"
_KEY = "key of "


def key_names(feature: Feature) -> list[tuple[str, ...]]:
    """Return for each key of a feature the names that an entity may give it by, in the order that a reader looks.

    It is the key's column, and for a sole key also its primitive entity or the entity of the feature's name.
    """
    keys = feature.endpoint.keys
    others = (keys[0].primitive_entity, feature.name.entity) if len(keys) == 1 else ()
    return [tuple(dict.fromkeys((key.column, *others))) for key in keys]


@dataclass(frozen=True)
class KeyColumn:
    """A column of keys for a join: the names that entities give it by, and the type of the feature table's key.

    ``identifier`` is how its ids are written, where the feature table has them in another way.
    """

    label: str
    names: tuple[str, ...]
    type: pa.DataType
    endpoint: str
    identifier: str | None = None

    def sources(self, log: ServedLog, labels: pa.Schema | None = None) -> list[str]:
        """Return the columns of the log that hold it, then those of labels; the first that is not null counts.

        Raises InvalidType where the keys of this name are all of another kind.
        """
        kind = rowkeys.kind(self.type)
        theirs = {
            name: rowkeys.kind(labels.field(name).type)
            for name in self.names
            if labels is not None and name in labels.names
        }
        found = [column for name in self.names for column in log.keys(name, kind)]
        found += [name for name, each in theirs.items() if each == kind]
        others = [other for name in self.names for other in log.kinds(name)] + list(theirs.values())
        if others and not found:
            raise InvalidType(
                f"'{self.names[0]}' is {others[0]} in the log and a key of '{self.endpoint}' that is {self.type}"
            )
        return found

    def taken(self, batch: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> pa.Array | pa.ChunkedArray:
        """Return the keys from the ``columns`` of a batch; raises InvalidValue for what does not fit the type."""
        if not columns:
            return pa.nulls(batch.num_rows, self.type)
        there = [batch.column(batch.schema.get_field_index(name)) for name in columns]
        try:
            return reduce(pc.coalesce, (column.cast(self.type) for column in there))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            raise InvalidValue(f"'{columns[0]}' does not fit '{self.endpoint}', {self.type}: {reason(exc)}") from exc


class NamedKey(NamedTuple):
    """A key of a feature that is asked for: its label in a join, the names to find it by, and how its ids are written.

    ``identifier`` is None where nothing was said of it: they are as the feature table has them.
    """

    label: str
    column: str
    names: tuple[str, ...]
    identifier: str | None


def named_keys(entry: Entry, feature: Feature) -> list[NamedKey]:
    """Return the keys of a feature, each by the name that the entry gives it."""
    given = {column: (name,) for name, column in entry.keys.items()}
    found = []
    for key, names in zip(feature.endpoint.keys, key_names(feature), strict=True):
        mine = given.get(key.column, names)
        told = entry.written.get(mine[0])
        written = "" if told is None else f" as {told.identifier}"
        label = f"{_KEY}{feature.endpoint.name}: {'|'.join(mine)}{written}"
        found.append(NamedKey(label, key.column, mine, None if told is None else told.identifier))
    return found


def plan_for(
    registry: Registry,
    asked: Sequence[tuple[Entry, RegisteredFeature]],
    spine: Path,
    tables: Collection[str] | None,
    **about: Any,
) -> Plan:
    """Return the plan of a join to served rows, whose keys lie under the labels that ``key_columns`` tells.

    The output columns are those of the entries. Raises what ``planned`` raises.
    """
    request: dict[str, list[dict[str, Any]]] = {}
    for entry, registered in asked:
        keys = {
            key.label: key.column if key.identifier is None else {"column": key.column, "identifier": key.identifier}
            for key in named_keys(entry, registered.feature)
        }
        rules = {"column": entry.column, "max_age": entry.max_age, "last_non_null": entry.last_non_null}
        request.setdefault(registered.versioned, []).append({**rules, "keys": keys})
    labels = str(spine)
    return planned(registry, labels=labels, label_time=SERVED_AT, features=request, feature_tables=tables, **about)


def key_columns(plan: Plan, asked: Sequence[tuple[Entry, RegisteredFeature]]) -> list[KeyColumn]:
    """Return the columns of keys that the plan joins by, each once."""
    named = {key.label: key for entry, registered in asked for key in named_keys(entry, registered.feature)}
    found: dict[str, KeyColumn] = {}
    for table in plan.tables:
        schema = _schema(table)
        for label, column in table.keys.items():
            kind = schema.field(column).type if column in schema.names else pa.string()
            about = table.about.details["endpoint"], named[label].identifier
            found[label] = KeyColumn(label, named[label].names, _plain(kind), *about)
    return list(found.values())


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _schema(table: PlannedTable) -> pa.Schema:
    held = [part for part in table.partitions if part.manifest.rows]
    return parquet.schema(held[0].path) if held else pa.schema([])


def type_of_both(column: str, logged: pa.DataType, offline: pa.DataType) -> pa.DataType:
    """Return the type in which a column of the log meets its feature table's; raises InvalidType where they do not."""
    if pa.types.is_null(offline):
        return plain_type(logged)
    alike = any(kind(logged) and kind(offline) for kind in (pa.types.is_integer, pa.types.is_floating))
    if not pa.types.is_null(logged) and not alike and plain_type(logged) != plain_type(offline):
        raise InvalidType(
            f"'{column}' is {logged} in the log and {offline} in its feature table; one was made by other rules"
        )
    return plain_type(offline)


def moments(served_at: pa.Array | pa.ChunkedArray) -> dict[str, pa.Array]:
    """Return the columns of time that a join as of ``served_at`` takes: with a zone, and without."""
    return {SERVED_AT: served_at, NAIVE: served_at.cast(pa.timestamp(served_at.type.unit))}


def event_time_column(column: str) -> str:
    """Return the column in which ``join_as_of`` puts the event times of an output column's rows."""
    return f"{column} answered event_time"


def join_as_of(
    plan: Plan, spine: Path, folder: Path, *, progress: Callable[[Progress], None] | None = None
) -> tuple[Path, dict[str, ColumnProof]]:
    """Return a Parquet file of the rows at ``spine`` with the plan's columns and their event times, and their proofs.

    Features with a zone are joined as of ``served_at`` and those without as of ``NAIVE``. A row's event time is there
    whatever its age; it tells nothing of a static row, or of the one before a null, but that there is one.
    """
    proofs: dict[str, ColumnProof] = {}
    spine = _with_ids(plan, spine, folder)
    for label_time in (SERVED_AT, NAIVE):
        tables = [table for table in plan.tables if label_time_of(table) == label_time]
        if tables:
            schema, out = parquet.schema(spine), folder / f"joined as of {label_time}.parquet"
            features = [_with_times(features_of(table, schema, label_time), table) for table in tables]
            rules: dict[str, Any] = {"allow_exact": plan.allow_exact, "as_known": plan.as_known, "proof": plan.proof}
            join = partial(join_files, str(spine), features, str(out), label_time=label_time, progress=progress)
            proofs |= {column.column: column for proof in join(**rules) for column in proof.columns}
            spine = out
    return spine, proofs


def _with_ids(plan: Plan, spine: Path, folder: Path) -> Path:
    if not plan.converted:
        return spine
    out = folder / "with ids.parquet"
    schema = widened(parquet.schema(spine), plan.converted)
    parquet.write(out, with_ids(parquet.read(spine), plan.converted), schema=schema)
    return out


def label_time_of(table: PlannedTable) -> str:
    """Return the column of the moment that a table is joined as of: with a zone as its times are, or without."""
    name = table.about.created_time if table.static else table.event_time
    schema = _schema(table)
    found = clock(schema.field(name).type) if name is not None and name in schema.names else None
    return NAIVE if found is not None and found.kind != "zoned" else SERVED_AT


def _with_times(features: Features, table: PlannedTable) -> Features:
    times = {event_time_column(member.column): table.event_time for member in table.members}
    return replace(features, values={**features.values, **times})


def require_keys(columns: Sequence[KeyColumn], sources: Mapping[str, Sequence[str]], there: Sequence[str]) -> None:
    """Raise MissingColumn for a key that neither the log nor the labels have; ``there`` names what they have."""
    for column in columns:
        if not sources[column.label]:
            names = " or ".join(map(repr, column.names))
            raise MissingColumn(
                f"'{column.endpoint}' is joined by {names}, and what was served has {', '.join(there) or 'no key'}"
            )
