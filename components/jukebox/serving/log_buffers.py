"""Served vectors on their way to a file of the log: one buffer for each set of features and kinds of keys."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import rowkeys
from jukebox.engine.served_logs import ABOUT, STATUS_TYPE, column_of, event_time_of, key_column, key_type, status_of
from jukebox.errors import reason
from jukebox.formats import parquet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from jukebox.serving.served import Served, ServedFeature

Shape = tuple[tuple[str, ...], tuple[str, ...]]
"""The columns of a vector's features, and the columns of what its entity gives."""

_WORD = 2**64
# Arrow arrays of single rows cost fifty times what rows of this many cost.
_ROWS_AT_ONCE = 512


def is_sampled(entity: Mapping[str, Any], share: float, by: Collection[str] | None = None) -> bool:
    """Return whether the vectors of an entity are logged: a hash of its key says so, always and everywhere the same.

    ``by`` names the parts of the key that are hashed, by default all. Raises InvalidType for what is no key.
    """
    if share >= 1:
        return True
    parts = [value for name, value in entity.items() if by is None or name in by]
    # By values alone: one key may go by several names. A null matches nothing, but who asks with one is logged too.
    encoded = sorted(b"" if value is None else rowkeys.encode_one([value]) for value in parts)
    digest = hashlib.blake2b(b"".join(encoded), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _WORD


def columns_of(served: Served) -> dict[str, ServedFeature]:
    """Return the features of a round by their columns of the log, in order; one that was asked for twice is one."""
    named = ((column_of(each.feature, each.max_age, each.keys), each) for each in served.features)
    return dict(sorted(named, key=lambda pair: pair[0]))


def shapes_of(served: Served, places: Sequence[int]) -> dict[Shape, list[int]]:
    """Return which entities of a round go to which buffer; raises InvalidType for what is no key."""
    features = tuple(columns_of(served))
    found: dict[Shape, list[int]] = defaultdict(list)
    for place in places:
        given = ((name, value) for name, value in served.entities[place].items() if value is not None)
        found[features, tuple(sorted(key_column(name, value) for name, value in given))].append(place)
    return found


@dataclass
class Buffer:
    """Rows of one shape that no file holds yet, since when, and how many bytes they take, as far as that is known."""

    keys: tuple[str, ...]
    since: float
    rows: int = 0
    bytes: int = 0
    failed: int = 0
    error: str | None = None
    _waiting: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    _types: dict[str, pa.DataType | None] = field(default_factory=dict)
    _batches: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, served: Served, places: Sequence[int]) -> None:
        """Take in the vectors of a round at ``places``, whose shape this is: all of them, or none after an error."""
        rows = self._rows_of(served, places)
        for name, values in rows.items():
            self._waiting[name].extend(values)
        self.rows += len(places)
        if len(self._waiting[ABOUT.names[0]]) >= _ROWS_AT_ONCE:
            self._settle()

    def _rows_of(self, served: Served, places: Sequence[int]) -> dict[str, list[Any]]:
        count = len(places)
        about = ([served.request_id] * count, list(places), [served.model] * count, [served.served_at] * count)
        rows: dict[str, list[Any]] = dict(zip(ABOUT.names, about, strict=True))
        types: dict[str, pa.DataType | None] = dict(zip(ABOUT.names, ABOUT.types, strict=True))
        for key in self.keys:
            name = key.partition(":")[2].rpartition(":")[0]
            rows[key], types[key] = [served.entities[place][name] for place in places], key_type(key)
        for column, feature in columns_of(served).items():
            times, status = event_time_of(column), status_of(column)
            told = {column: feature.values, times: feature.event_times, status: feature.statuses}
            rows |= {name: [values[place] for place in places] for name, values in told.items()}
            # What has no type yet is found to have one when there are rows with values.
            types |= {column: feature.type, times: _clock(rows[times]) or self._types.get(times), status: STATUS_TYPE}
        self._types |= types
        return rows

    def _settle(self) -> None:
        rows, self._waiting = self._waiting, defaultdict(list)
        batches = self._batches_of(dict(rows))
        self._batches += batches
        self.bytes += sum(batch.nbytes for batch in batches)

    def _batches_of(self, rows: Mapping[str, list[Any]]) -> list[pa.RecordBatch]:
        """Return the rows as batches; those that have no place in one are counted, and no others with them."""
        count = len(next(iter(rows.values()), ()))
        try:
            arrays = [pa.array(values, self._types[name]) for name, values in rows.items()]
            return [pa.RecordBatch.from_arrays(arrays, names=list(rows))] if count else []
        except Exception as exc:  # noqa: BLE001 - a value may raise whatever it likes
            if count == 1:
                self.failed, self.rows, self.error = self.failed + 1, self.rows - 1, reason(exc)
                return []
        halves = (slice(count // 2), slice(count // 2, None))
        return [
            batch
            for half in halves
            for batch in self._batches_of({name: values[half] for name, values in rows.items()})
        ]

    def write(self, folder: str) -> Path | None:
        """Make a new file of the log hold the rows, whole or not at all; None where there are none.

        Raises StorageError.
        """
        self._settle()
        if not self._batches:
            return None
        now = datetime.now(timezone.utc)
        name = f"served-{now:%Y%m%dT%H%M%S%f}-{os.getpid()}-{uuid.uuid4().hex[:8]}{parquet.SUFFIX}"
        path = Path(folder) / f"date={now.date().isoformat()}" / name
        table = pa.Table.from_batches(_alike(self._batches)).combine_chunks()
        parquet.write(path, table.to_batches(), schema=table.schema)
        return path


def _clock(times: Sequence[datetime | None]) -> pa.DataType | None:
    first = next((time for time in times if time is not None), None)
    return None if first is None else pa.timestamp("us", None if first.tzinfo is None else "UTC")


def _alike(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return the batches in one schema: a column of nulls alone in some has its type from the others."""
    types: dict[str, pa.DataType] = {}
    for batch in batches:
        for each in batch.schema:
            if pa.types.is_null(types.get(each.name, pa.null())):
                types[each.name] = each.type
    schema = pa.schema(types.items())
    return [
        pa.RecordBatch.from_arrays([batch.column(at).cast(kind) for at, kind in enumerate(schema.types)], schema=schema)
        for batch in batches
    ]
