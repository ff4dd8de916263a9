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
from jukebox.stores.bigtable.mutations import BYTES_AT_ONCE, MUTATIONS_AT_ONCE, ROWS_AT_ONCE, Batch, request_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jukebox.core.layouts import Layout
    from jukebox.core.ragged import Ragged
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
        lengths = of_binary(rowkeys.encode(rows, layout.key_names)).lengths
        long = np.flatnonzero(lengths + around > LONGEST_KEY)
        if len(long) > 0:
            raise InvalidValue(
                f"{len(long):,} keys are longer than Bigtable's {LONGEST_KEY:,} bytes, with {around} for the entity; "
                f"the first is of row {long[0]:,}, of {int(lengths[long[0]]) + around:,} bytes"
            )
    for batch in rows.to_batches(max_chunksize=ROWS_AT_ONCE):
        # No value grows by more than that: a bool has a bit in Arrow and a byte here, and so has a null in a list.
        if batch.nbytes * 8 > LARGEST_CELL:
            largest = pc.max(pc.binary_length(layout.cells(batch))).as_py()
            if largest > LARGEST_CELL:
                raise InvalidValue(f"a row of {largest:,} bytes is larger than Bigtable's {LARGEST_CELL:,} a cell")


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
            sizes = np.sum([each.lengths for each in packed], axis=0)
            counts = self._counts(found.keys, len(names), standing)
            values = list(zip(*(each.to_bytes() for each in packed), strict=True))
            for start, end in _cut(sizes, counts):
                rows = zip(*(each[start:end] for each in (*found, values)), strict=True)
                request = self._request(rows, names, standing)
                if request.entries:
                    yield Batch(request)

    @property
    def _is_apart(self) -> bool:
        """Whether every feature has a cell of its own."""
        return self.connection.place.columns and len(self.layout.value_names) > 0

    def _counts(
        self, keys: Sequence[bytes], features: int, standing: Mapping[bytes, list[cells.Cell]]
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return how many mutations the entry of each row has at most."""
        counts = np.full(len(keys), features + self._is_apart, np.int64)
        return counts + [len(standing.get(key, ())) for key in keys] if standing else counts

    def _packed(self, batch: pa.RecordBatch) -> tuple[list[bytes], list[Ragged]]:
        if not self._is_apart:
            return [b""], [of_binary(self.layout.cells(batch))]
        return [name.encode() for name in self.layout.value_names], list(map(of_binary, self.layout.cells_apart(batch)))

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
        request = request_of(self.connection.place)
        entries = request.entries
        # One entry that is written over and copied: a third faster than new ones.
        entry, written = MutateRows.Entry(), None
        targets = [entry.mutations.add().set_cell for _ in names]
        # A packed cell in the same place would be read instead: it is what these cells correct.
        packed = entry.mutations.add().delete_from_column if self._is_apart else None
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
                if packed is not None:
                    packed.family_name, packed.column_qualifier = cells.FAMILY, qualifier(self.column, b"", rank)
            entry.row_key = key
            for target, value in zip(targets, values, strict=True):
                target.timestamp_micros = stamp
                target.value = value
            if packed is not None:
                _at(packed, stamp)
            entries.append(entry)
            for each in beaten:
                gone = entries[-1].mutations.add().delete_from_column
                gone.family_name, gone.column_qualifier = cells.FAMILY, each.qualifier
                _at(gone, each.stamp)
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


def _at(gone: Any, stamp: int) -> None:
    """Make a removal that of one timestamp."""
    gone.time_range.start_timestamp_micros = stamp
    gone.time_range.end_timestamp_micros = stamp + _STEP


def _cut(
    sizes: np.ndarray[Any, np.dtype[np.int64]], counts: np.ndarray[Any, np.dtype[np.int64]]
) -> Iterator[tuple[int, int]]:
    """Yield the bounds of runs of rows of at most 4 MB and 100,000 mutations each, or of one row."""
    start = taken = mutations = 0
    if int(sizes.sum()) > BYTES_AT_ONCE or int(counts.sum()) > MUTATIONS_AT_ONCE:
        for place, (size, count) in enumerate(zip(sizes.tolist(), counts.tolist(), strict=True)):
            too_many = taken + size > BYTES_AT_ONCE or mutations + count > MUTATIONS_AT_ONCE
            if too_many and place > start:
                yield start, place
                start, taken, mutations = place, 0, 0
            taken, mutations = taken + size, mutations + count
    yield start, len(sizes)
