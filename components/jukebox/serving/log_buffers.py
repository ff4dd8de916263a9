"""Served vectors on their way to a file of the log: one buffer for each set of features and kinds of keys."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import rowkeys
from jukebox.engine.served_logs import ABOUT, STATUS_TYPE, column_of, event_time_of, key_column, key_type, status_of
from jukebox.errors import InvalidValue, reason
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from jukebox.engine.served_files import StorageFormat
    from jukebox.serving.served import Served, ServedFeature

Asked = tuple[Any, ...]
"""Which features a round has, and how they were asked for: equal for rounds of equal columns."""
Entities = Sequence[Mapping[str, Any]]

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


def asked_of(features: Sequence[ServedFeature]) -> Asked:
    """Return what tells the columns of a round from those of others."""
    return tuple(
        [
            each.feature
            if each.max_age is None and not each.keys and not each.identifiers
            else (each.feature, each.max_age, *each.keys.items(), "", *each.identifiers.items())
            for each in features
        ]
    )


def columns_of(features: Sequence[ServedFeature]) -> dict[str, int]:
    """Return the columns of the log that features go to, by name, with their places; of two alike the last counts."""
    named = {
        column_of(each.feature, each.max_age, each.keys, each.identifiers): place for place, each in enumerate(features)
    }
    return dict(sorted(named.items()))


def keyed(entities: Entities, places: Sequence[int]) -> dict[tuple[tuple[str, str], ...], list[int]]:
    """Return which entities have keys of which kinds: by pairs of a column and its name in the entity, sorted.

    Raises InvalidType for what is no key.
    """
    found: dict[tuple[tuple[str, str], ...], list[int]] = defaultdict(list)
    for place in places:
        given = [(key_column(name, value), name) for name, value in entities[place].items() if value is not None]
        found[tuple(sorted(given)) if len(given) > 1 else tuple(given)].append(place)
    return found


class Buffer:
    """Rows of equal columns that no file holds yet, since when, and how many bytes they take, as far as is known."""

    def __init__(self, features: Sequence[ServedFeature], keys: Sequence[tuple[str, str]], since: float) -> None:
        self.since, self.bytes, self.failed = since, 0, 0
        self.error: str | None = None
        columns = columns_of(features)
        self._keys, self._features = [name for _, name in keys], list(columns.values())
        self._types: dict[str, pa.DataType | None] = dict(zip(ABOUT.names, ABOUT.types, strict=True))
        self._types |= {column: key_type(column) for column, _ in keys}
        for column, place in columns.items():
            self._types |= {column: features[place].type, event_time_of(column): None, status_of(column): STATUS_TYPE}
        self._times = {event_time_of(column) for column in columns}
        self._waiting: list[list[Sequence[Any]]] = [[] for _ in self._types]
        self._unsettled = 0
        self._batches: list[pa.RecordBatch] = []

    def add(self, served: Served, entities: Entities, places: Sequence[int]) -> None:
        """Take in the vectors of a round at ``places``, of these columns: all of them, or none after an error."""
        count = len(places)
        rows: list[Sequence[Any]] = [[served.request_id] * count, places, [served.model] * count]
        rows.append([served.served_at] * count)
        rows += [[entities[place][name] for place in places] for name in self._keys]
        for at in self._features:
            feature = served.features[at]
            rows += (feature.values, feature.event_times, feature.statuses)
        if count < len(entities):
            told = 4 + len(self._keys)
            rows[told:] = [[column[place] for place in places] for column in rows[told:]]
        if any(len(column) != count for column in rows):
            raise InvalidValue("a feature was told with another number of values than there are entities")
        for waiting, column in zip(self._waiting, rows, strict=True):
            waiting.append(column)
        self._unsettled += count
        if self._unsettled >= _ROWS_AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        waiting, self._waiting, self._unsettled = self._waiting, [[] for _ in self._waiting], 0
        # Features of one table share the lists of their times and states.
        whole = {tuple(map(id, parts)): parts for parts in waiting}
        joined: dict[tuple[int, ...], list[Any]] = {key: list(chain(*parts)) for key, parts in whole.items()}
        batches = self._batches_of([joined[tuple(map(id, parts))] for parts in waiting])
        self._batches += batches
        self.bytes += sum(batch.nbytes for batch in batches)

    def _batches_of(self, rows: Sequence[list[Any]]) -> list[pa.RecordBatch]:
        """Return the rows as batches; those that have no place in one are counted, and no others with them."""
        count = len(rows[0])
        try:
            made: dict[tuple[Any, ...], pa.Array] = {}
            keys = [
                (id(values), kind, name in self._times)
                for values, (name, kind) in zip(rows, self._types.items(), strict=True)
            ]
            for values, key in zip(rows, keys, strict=True):
                if key not in made:
                    _, kind, is_time = key
                    made[key] = pa.array(values, _clock(values) if is_time else kind)
            arrays = [made[key] for key in keys]
            return [pa.RecordBatch.from_arrays(arrays, names=list(self._types))] if count else []
        except Exception as exc:  # noqa: BLE001 - a value may raise whatever it likes
            if count == 1:
                self.failed, self.error = self.failed + 1, reason(exc)
                return []
        halves = (slice(count // 2), slice(count // 2, None))
        return [batch for half in halves for batch in self._batches_of([values[half] for values in rows])]

    def settled(self) -> list[pa.RecordBatch]:
        """Return the rows; those that have no place in a batch are counted in ``failed``, and ``error`` says why."""
        self._settle()
        return self._batches


def write(batches: Sequence[pa.RecordBatch], folder: str, storage: StorageFormat) -> None:
    """Make a new file of the log hold the rows of ``batches``, which ``together`` put together, whole or not at all.

    Raises StorageError, and InvalidType for columns that the format does not hold.
    """
    now = datetime.now(timezone.utc)
    name = f"served-{now:%Y%m%dT%H%M%S%f}-{os.getpid()}-{uuid.uuid4().hex[:8]}{storage.SUFFIX}"
    path = place_of(folder) / f"date={now.date().isoformat()}" / name
    table = pa.Table.from_batches(batches).combine_chunks()
    storage.write(path, table.to_batches(), schema=table.schema)


def together(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield the batches in groups of one schema each, as few as may be: a column that some lack is null there.

    So requests for whatever features share a file. Two types of one column do not; a column of nulls alone has any.
    """
    groups: list[tuple[dict[str, pa.DataType], list[pa.RecordBatch]]] = []
    for batch in batches:
        fields = dict(zip(batch.schema.names, batch.schema.types, strict=True))
        met = next((each for each in groups if _meet(each[0], fields)), None)
        if met is None:
            groups.append((fields, [batch]))
        else:
            types, held = met
            types |= {name: kind for name, kind in fields.items() if pa.types.is_null(types.get(name, pa.null()))}
            held.append(batch)
    for types, held in groups:
        schema = pa.schema(types.items())
        yield [_under(schema, batch) for batch in held]


def _meet(types: Mapping[str, pa.DataType], others: Mapping[str, pa.DataType]) -> bool:
    return all(
        kind == others[name] or pa.types.is_null(kind) or pa.types.is_null(others[name])
        for name, kind in types.items()
        if name in others
    )


def _under(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    there = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = [
        there[field.name].cast(field.type) if field.name in there else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _clock(times: Sequence[datetime | None]) -> pa.DataType | None:
    first = next((time for time in times if time is not None), None)
    return None if first is None else pa.timestamp("us", None if first.tzinfo is None else "UTC")
