"""Feature tables as pieces: record batches grouped until looking up a piece is worth its fixed cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence

Stream: TypeAlias = pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch]

# Each piece rebuilds Arrow's hash table of the labels' keys: a million rows make that cheap.
ROWS, BYTES = 2**20, 2**26


def opened(table: Stream, whose: str) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    """Return the schema of a table or stream, and its batches.

    The schema of a bare iterable is its first batch's, the only one that is read here. Raises InvalidType
    for anything else, InvalidValue for an iterable without a batch.
    """
    if isinstance(table, pa.RecordBatch):
        return table.schema, [table]
    if isinstance(table, pa.Table):
        return table.schema, table.to_batches(max_chunksize=ROWS)
    if isinstance(table, pa.RecordBatchReader):
        return table.schema, table
    if not isinstance(table, Iterable) or isinstance(table, (str, bytes, Mapping)):
        raise InvalidType(
            f"{whose} is {type(table).__name__}; it must be a pyarrow Table or a stream of record batches"
        )
    batches = iter(table)
    first = next(batches, None)
    if first is None:
        raise InvalidValue(f"{whose} is a stream without a batch and so without a schema; pass a RecordBatchReader")
    _check(first, whose)
    return first.schema, chain([first], batches)


def pieces(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str], schema: pa.Schema, whose: str
) -> Iterator[pa.Table]:
    """Yield the asked columns in source order, about a million rows or 64 MB at a time.

    Raises InvalidType where a later batch holds a column otherwise than the schema says.
    """
    wanted = pa.schema([schema.field(name) for name in columns])
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        part = _selected(batch, wanted, whose)
        if held and (rows + part.num_rows > ROWS or size + _size(part) > BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
        held.append(part)
        rows, size = rows + part.num_rows, size + _size(part)
    if held:
        yield pa.Table.from_batches(held)


def _selected(batch: pa.RecordBatch, wanted: pa.Schema, whose: str) -> pa.RecordBatch:
    _check(batch, whose)
    columns = []
    for field in wanted:
        place = batch.schema.get_field_index(field.name)
        found = batch.schema.field(place).type if place >= 0 else "nothing"
        if found != field.type:
            raise InvalidType(f"{whose} holds '{field.name}' as {field.type} at first and as {found} in a later batch")
        columns.append(batch.column(place))
    return pa.RecordBatch.from_arrays(columns, names=wanted.names)


def _check(batch: object, whose: str) -> None:
    if not isinstance(batch, pa.RecordBatch):
        raise InvalidType(f"{whose} is a stream of {type(batch).__name__}; it must be one of pyarrow record batches")


def _size(batch: pa.RecordBatch) -> int:
    try:
        return int(batch.nbytes)
    except pa.ArrowTypeError:
        # The size of a slice of views is not told; that of all they point into is, and only cuts pieces smaller.
        return int(batch.get_total_buffer_size())
