"""Labels with the log that they are about, as one table that the join can fill in: a row a label, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core import rowkeys
from jukebox.core.fingerprints import Fingerprint
from jukebox.engine.joining import shards
from jukebox.engine.labels import label_schema, read_labels
from jukebox.engine.log_matching import NONE, rows_at
from jukebox.engine.memory import rows_that_fit
from jukebox.engine.served_logs import SERVED_AT, UTC
from jukebox.engine.served_rows import moments, require_keys
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash
from jukebox.formats import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jukebox.engine.log_matching import Matched
    from jukebox.engine.served_logs import ServedLog
    from jukebox.engine.served_rows import KeyColumn

_SHOWN = 3


@dataclass(frozen=True)
class LabelledLog:
    """Labels and the log that they are about.

    ``request_id`` and ``position`` are the label columns that name a row of the log, ``label_time`` the one of the
    moment of labels that were not logged, None where there is none.
    """

    log: ServedLog
    labels: str
    request_id: str
    position: str | None = None
    label_time: str | None = None

    def schema(self) -> pa.Schema:
        """Return the labels' columns; raises NameClash, NoPartition, CorruptData and StorageError."""
        schema = label_schema(self.labels, self.label_time or "", {self.request_id})
        taken = [name for name in schema.names if name == SERVED_AT or name in self.log.features]
        if taken:
            raise NameClash(f"the labels have a column '{taken[0]}', which the training set has from the log")
        return schema

    def about(self, schema: pa.Schema) -> pa.Table:
        """Return the columns of the labels that say which row of the log they are about, and when that was.

        Raises MissingColumn for one that they do not have.
        """
        names = [name for name in (self.request_id, self.position, self.label_time) if name is not None]
        missing = [name for name in names if name not in schema.names]
        if missing:
            raise MissingColumn(f"column '{missing[0]}' is not in the labels; they have {', '.join(schema.names)}")
        kinds = pa.schema([schema.field(name) for name in dict.fromkeys(names)])
        return pa.Table.from_batches(read_labels(self.labels, kinds), kinds)

    def times(self, about: pa.Table, found: Matched) -> pa.ChunkedArray:
        """Return the moment of each label that was not logged, and null for all others.

        Raises InvalidValue where no column tells it or it is null, InvalidType for one that is no time with a zone.
        """
        unlogged = found.rows == NONE
        if self.label_time is None:
            self._require(about, unlogged, "were not logged; name the column of their own time as label_time")
            return pa.chunked_array([pa.nulls(about.num_rows, UTC)])
        times = about[self.label_time]
        if not pa.types.is_timestamp(times.type) or times.type.tz is None:
            raise InvalidType(f"label column '{self.label_time}' is {times.type}; it is a timestamp with a zone")
        null = np.asarray(times.is_null().to_numpy(), np.bool_)
        self._require(about, unlogged & null, f"were not logged and have no '{self.label_time}'")
        kind = pa.timestamp("ns" if times.type.unit == "ns" else "us", "UTC")
        return pc.if_else(pa.array(unlogged), times.cast(kind), pa.scalar(None, kind))

    def other_keys(self, schema: pa.Schema, found: Matched) -> int:
        """Return how many labels have, under the name of a key and of its kind, another than they were served for."""
        keys = {name: columns[0] for name in schema.names if (columns := self._served_keys(name, schema))}
        if not keys:
            return 0
        kinds = pa.schema([schema.field(name) for name in keys])
        labels = pa.Table.from_batches(read_labels(self.labels, kinds), kinds)
        served = rows_at(self.log, found.rows, keys.values())
        other = np.zeros(len(found.rows), np.bool_)
        for name, column in keys.items():
            same = pc.equal(labels[name].cast(served[column].type, safe=False), served[column])
            other |= ~np.asarray(pc.fill_null(same, True).to_numpy(), np.bool_)
        return int(np.count_nonzero(other))

    def _served_keys(self, name: str, schema: pa.Schema) -> list[str]:
        if name not in self.log.key_names:
            return []
        try:
            return self.log.keys(name, rowkeys.kind(schema.field(name).type))
        except InvalidType:
            return []

    def _require(self, about: pa.Table, wrong: np.ndarray, what: str) -> None:
        rows = np.flatnonzero(wrong)
        if len(rows):
            ids = about[self.request_id].take(pa.array(rows[:_SHOWN])).to_pylist()
            raise InvalidValue(f"{len(rows)} of {about.num_rows} labels {what}; the first are of requests {ids}")


@dataclass(frozen=True)
class Spine:
    """Labels beside what the log has for each: ``keys`` to join by, and ``columns`` of the log."""

    source: LabelledLog
    schema: pa.Schema
    found: Matched
    times: pa.ChunkedArray
    keys: Sequence[KeyColumn]
    columns: Sequence[str]

    def write(self, path: Path) -> str:
        """Make the Parquet file hold the rows; return the fingerprint of the labels."""
        log = self.source.log
        sources = {key.label: key.sources(log, self.schema) for key in self.keys}
        require_keys(self.keys, sources, list(dict.fromkeys([*log.key_names, *self.schema.names])))
        served = [name for some in sources.values() for name in some if name in log.schema.names]
        names = list(dict.fromkeys([SERVED_AT, *served, *self.columns]))
        labels = Fingerprint(self.schema)
        schema = self._row(self.schema.empty_table(), 0, names, sources).schema
        parquet.write(path, self._batches(names, sources, schema, labels), schema=schema)
        return labels.hexdigest()

    def _batches(
        self, names: Sequence[str], sources: dict[str, list[str]], schema: pa.Schema, labels: Fingerprint
    ) -> Iterator[pa.RecordBatch]:
        start = 0
        for part in shards(read_labels(self.source.labels, self.schema), self.schema, rows_that_fit(schema)):
            labels.update(part)
            yield from self._row(part, start, names, sources).to_batches()
            start += part.num_rows

    def _row(self, part: pa.Table, start: int, names: Sequence[str], sources: dict[str, list[str]]) -> pa.Table:
        some = rows_at(self.source.log, self.found.rows[start : start + part.num_rows], names)
        own = self.times.slice(start, part.num_rows)
        taken = {name: part[name] for name in part.column_names} | {name: some[name] for name in names}
        whole = pa.table(taken)
        keys = {key.label: key.taken(whole, sources[key.label]) for key in self.keys}
        at = pc.coalesce(some[SERVED_AT].cast(own.type), own)
        return pa.table({**taken, **moments(at), **keys})
