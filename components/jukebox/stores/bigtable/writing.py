"""From rows to mutations: what is refused, what each row's entry holds, and what it takes out of the row's way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core import rowkeys
from jukebox.core.coordinates import check_times, coordinates, parts, qualifier, row_key
from jukebox.core.ragged import of_binary
from jukebox.errors import InvalidValue
from jukebox.stores.bigtable import cells
from jukebox.stores.bigtable.connection import MutateRows
from jukebox.stores.bigtable.mutations import BYTES_AT_ONCE, ROWS_AT_ONCE, Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jukebox.core.layouts import Layout
    from jukebox.stores.bigtable.connection import Connection

LONGEST_KEY = 4_096
LARGEST_CELL = 100 * 2**20
# What a timestamp is given beside the exact one, to the next.
_STEP = 1_000


def check(layout: Layout, rows: pa.Table) -> None:
    """Raise InvalidValue where Bigtable cannot hold a row: its time, its key, or what it is worth in bytes."""
    check_times(layout, rows)
    if any(rowkeys.kind(layout.schema.field(name).type) in ("text", "bytes") for name in layout.key_names):
        around = len(row_key(layout.entity, b""))
        lengths = np.diff(np.frombuffer(rowkeys.encode(rows, layout.key_names).buffers()[1], np.int64))
        long = np.flatnonzero(lengths + around > LONGEST_KEY)
        if len(long) > 0:
            raise InvalidValue(
                f"{len(long):,} keys are longer than Bigtable's {LONGEST_KEY:,} bytes, with {around} for the entity; "
                f"the first is of row {long[0]:,}, of {int(lengths[long[0]]) + around:,} bytes"
            )
    if rows.nbytes > LARGEST_CELL:
        for batch in rows.to_batches(max_chunksize=ROWS_AT_ONCE):
            largest = pc.max(
                pc.binary_length(layout.cells(layout.fitted(pa.Table.from_batches([batch])).to_batches()[0]))
            )
            if largest.as_py() > LARGEST_CELL:
                raise InvalidValue(
                    f"a row of {largest.as_py():,} bytes is larger than Bigtable's {LARGEST_CELL:,} a cell"
                )


@dataclass
class Writing:
    """Rows on their way into a column of a table; ``older`` counts those that were beaten where it had to look."""

    connection: Connection
    column: bytes
    layout: Layout
    timeout: float
    older: int = 0

    def batches(self, table: pa.Table) -> Iterator[Batch]:
        """Yield the rows of a table, which have the layout, in requests."""
        for batch in table.combine_chunks().to_batches(max_chunksize=ROWS_AT_ONCE):
            found = coordinates(self.layout, pa.Table.from_batches([batch]))
            names, packed = self._packed(batch)
            standing = self._standing([key for key, rank in zip(found.keys, found.ranks, strict=True) if rank])
            sizes = np.sum([np.diff(_offsets(each)) for each in packed], axis=0)
            values = list(zip(*(of_binary(each).to_bytes() for each in packed), strict=True))
            for start, end in _cut(sizes):
                rows = zip(*(each[start:end] for each in (*found, values)), strict=True)
                request = self._request(rows, names, standing)
                if request.entries:
                    yield Batch(request)

    def _packed(self, batch: pa.RecordBatch) -> tuple[list[bytes], list[pa.LargeBinaryArray]]:
        if not self.connection.place.columns:
            return [b""], [self.layout.cells(batch)]
        alone = [self.layout.only(name) for name in self.layout.value_names]
        columns = [
            each.cells(pa.RecordBatch.from_arrays([batch.column(n) for n in each.schema.names], schema=each.schema))
            for each in alone
        ]
        return [name.encode() for name in self.layout.value_names], columns

    def _standing(self, keys: Sequence[bytes]) -> Mapping[bytes, list[cells.Cell]]:
        """Return the cells, without values, that stand in these rows.

        Rows of one millisecond lie in columns of their own, which are taken away when they are beaten.
        """
        if not keys:
            return {}
        asked = [(keys, cells.columns_filter([self.column], stripped=True))]
        return cells.read(self.connection, asked, self.timeout)

    def _request(
        self,
        rows: Iterable[tuple[bytes, int, bytes, tuple[bytes, ...]]],
        names: Sequence[bytes],
        standing: Mapping[bytes, list[cells.Cell]],
    ) -> Any:
        """Return the request that writes rows of key, timestamp, rank and values, but those that are beaten."""
        place = self.connection.place
        request = MutateRows(table_name=place.path, app_profile_id=place.app_profile)
        entries = request.entries
        # One entry that is written over and copied: a third faster than new ones.
        entry, written = MutateRows.Entry(), None
        targets = [entry.mutations.add().set_cell for _ in names]
        for key, stamp, rank, values in rows:
            beaten: list[cells.Cell] = []
            if rank and key in standing:
                newer, beaten = self._beaten(standing[key], stamp, rank)
                if newer:
                    self.older += 1
                    continue
            if rank != written:
                written = rank
                for target, name in zip(targets, names, strict=True):
                    target.family_name, target.column_qualifier = cells.FAMILY, qualifier(self.column, name, rank)
            entry.row_key = key
            for target, value in zip(targets, values, strict=True):
                target.timestamp_micros = stamp
                target.value = value
            entries.append(entry)
            for each in beaten:
                _delete(entries[-1], each)
        return request

    def _beaten(self, standing: Sequence[cells.Cell], stamp: int, rank: bytes) -> tuple[bool, list[cells.Cell]]:
        """Return whether a newer row stands, and the cells of older ones that are no longer kept.

        To take them away is safe: what beats them is written in the same mutation, or stands.
        """
        rows: dict[tuple[int, bytes], list[cells.Cell]] = defaultdict(list)
        for cell in standing:
            rows[cell.stamp, parts(cell.qualifier)[2]].append(cell)
        older = sorted((place for place in rows if place < (stamp, rank)), reverse=True)
        kept = self.connection.place.versions - 1
        return max(rows) > (stamp, rank), [cell for place in older[kept:] for cell in rows[place]]


def _delete(entry: Any, cell: cells.Cell) -> None:
    gone = entry.mutations.add().delete_from_column
    gone.family_name, gone.column_qualifier = cells.FAMILY, cell.qualifier
    gone.time_range.start_timestamp_micros = cell.stamp
    gone.time_range.end_timestamp_micros = cell.stamp + _STEP


def _offsets(array: pa.LargeBinaryArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]


def _cut(sizes: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[tuple[int, int]]:
    """Yield the bounds of runs of rows of at most 4 MB each, or of one row."""
    start = taken = 0
    if int(sizes.sum()) > BYTES_AT_ONCE:
        for place, size in enumerate(sizes.tolist()):
            if taken + size > BYTES_AT_ONCE and place > start:
                yield start, place
                start, taken = place, 0
            taken += size
    yield start, len(sizes)
