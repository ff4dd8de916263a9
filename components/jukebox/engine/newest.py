"""The newest row of every key, from rows that come in any order and need not fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core import rowkeys
from jukebox.core.layouts import layout_of
from jukebox.core.newest import newest
from jukebox.errors import InvalidType, InvalidValue, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ROWS_AT_ONCE = 500_000


@dataclass(frozen=True)
class Newest:
    """The newest row of each key, in source order, and what became of the ``read`` rows.

    ``null_keys``, ``null_times`` and ``filtered`` rows were left out, one reason each, in this order; the rest were
    older than one of ``rows``.
    """

    rows: pa.Table
    read: int
    null_keys: int
    null_times: int
    filtered: int

    @property
    def older(self) -> int:
        """How many rows a newer one of their key had beaten."""
        return self.read - self.null_keys - self.null_times - self.filtered - len(self.rows)


def newest_per_key(
    batches: pa.Table | Iterable[pa.RecordBatch],
    *,
    keys: Sequence[str],
    event_time: str | None,
    created_time: str | None = None,
    only: pa.Table | None = None,
) -> Newest:
    """Return the row of each key with the greatest (event, created, position), position being the order of reading.

    A row with a null key matches nothing, one with a null event or created time was never known: they are left out
    and counted, as the point-in-time join leaves them out. ``only`` is a table of the keys to keep, in columns of the
    same names. Memory grows with the number of keys, not of rows. Raises MissingColumn, NameClash and InvalidType for
    columns that are no keys or no times, and InvalidValue where there is no batch, and so no columns.
    """
    parts = iter(batches.to_batches() or [_nothing(batches.schema)] if isinstance(batches, pa.Table) else batches)
    first = next(parts, None)
    if first is None:
        raise InvalidValue("there is no batch of rows to find the newest in")
    layout_of(first.schema, keys=keys, event_time=event_time, created_time=created_time)
    reduction = _Reduction(first.schema, tuple(keys), (event_time, created_time), _wanted(only, keys, first.schema))
    for batch in chain([first], parts):
        if not batch.schema.equals(first.schema):
            raise InvalidType(f"a batch has other columns or types than the first: {_said(batch)}, not {_said(first)}")
        reduction.add(batch)
    return reduction.done()


def _said(batch: pa.RecordBatch) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in batch.schema)


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _wanted(only: pa.Table | None, keys: Sequence[str], schema: pa.Schema) -> pa.Array | None:
    if only is None:
        return None
    for name in keys:
        if name not in only.column_names:
            raise MissingColumn(f"key '{name}' is not in the filter keys; they have {', '.join(only.column_names)}")
        ours, theirs = rowkeys.kind(schema.field(name).type), rowkeys.kind(only[name].type)
        if ours != theirs:
            raise InvalidType(f"key '{name}' is {ours} in the rows and {theirs} in the filter keys")
    return rowkeys.encode(only.filter(_valid(only, keys)), keys).unique()


def _valid(rows: pa.Table, columns: Iterable[str | None]) -> pa.ChunkedArray:
    masks = [rows[name].is_valid() for name in columns if name is not None]
    return reduce(pc.and_, masks) if masks else pa.chunked_array([np.ones(rows.num_rows, np.bool_)])


class _Reduction:
    """Rows on their way to the newest of each key: those kept so far, and those that came since."""

    def __init__(
        self, schema: pa.Schema, keys: tuple[str, ...], times: tuple[str | None, str | None], wanted: pa.Array | None
    ) -> None:
        self._keys, self._times, self._wanted = keys, times, wanted
        self._kept = schema.empty_table()
        self._pending: list[pa.RecordBatch] = []
        self._waiting = self._read = self._null_keys = self._null_times = self._filtered = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch; reduce when there are as many new rows as kept ones, so that each is sorted a few times."""
        self._pending.append(batch)
        self._waiting += batch.num_rows
        self._read += batch.num_rows
        if self._waiting >= max(_ROWS_AT_ONCE, self._kept.num_rows):
            self._reduce()

    def done(self) -> Newest:
        """Return what all batches come to."""
        self._reduce()
        return Newest(self._kept, self._read, self._null_keys, self._null_times, self._filtered)

    def _reduce(self) -> None:
        fresh = pa.Table.from_batches(self._pending, self._kept.schema)
        keyed = fresh.filter(_valid(fresh, self._keys))
        timed = keyed.filter(_valid(keyed, self._times))
        self._null_keys += fresh.num_rows - keyed.num_rows
        self._null_times += keyed.num_rows - timed.num_rows
        if self._wanted is not None:
            kept = timed.filter(pc.is_in(rowkeys.encode(timed, self._keys), value_set=self._wanted))
            self._filtered += timed.num_rows - kept.num_rows
            timed = kept
        rows = pa.concat_tables([self._kept, timed])
        event, created = (None if name is None else rows[name] for name in self._times)
        self._kept = rows.take(pa.array(newest(rowkeys.encode(rows, self._keys), event, created)))
        self._pending, self._waiting = [], 0
