"""What feature tables are to the join: pieces that can be read again, or streams of record batches that cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa

from jukebox.core import kernel
from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Collection

# Without the compiled kernel each table rebuilds Arrow's hash table of the labels' keys: a million rows make that
# cheap. With it, a table need only be worth its fixed cost.
ROWS, BYTES = (2**16 if kernel.is_compiled() else 2**20), 2**26
TABLE_ROWS = 2**18


Bounds: TypeAlias = tuple[int, int] | tuple[bytes, bytes]


class Piece(Protocol):
    """Some rows of a feature table that follow each other, which may be read often and beside other pieces."""

    @property
    def rows(self) -> int:
        """The number of rows."""

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield all rows in their order with these columns; those ``encoded`` may come as dictionaries."""

    def bounds(self, column: str) -> Bounds | None:
        """Return what no value of the column is below and none above, or None where that is not known.

        Whole numbers and times are told as integers, in the column's own unit, texts as their bytes.
        """


@runtime_checkable
class Pieces(Protocol):
    """A feature table in pieces; its rows are in the order of the pieces."""

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""

    def pieces(self) -> Sequence[Piece]:
        """Return the pieces."""


Stream: TypeAlias = pa.RecordBatchReader | Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class TablePiece:
    """Record batches that are in memory."""

    batches: tuple[pa.RecordBatch, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(batch.num_rows for batch in self.batches)

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Yield the batches with these columns."""
        for batch in self.batches:
            yield pa.RecordBatch.from_arrays([batch.column(name) for name in columns], names=list(columns))

    def bounds(self, column: str) -> None:
        """Return that nothing is known."""


@dataclass(frozen=True)
class TablePieces:
    """A table in memory."""

    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        """The table's schema."""
        return self.table.schema

    def pieces(self) -> Sequence[Piece]:
        """Return the table's batches, those that are small together."""
        found: list[Piece] = []
        held: list[pa.RecordBatch] = []
        for batch in self.table.to_batches(max_chunksize=TABLE_ROWS):
            held.append(batch)
            if sum(part.num_rows for part in held) >= ROWS:
                found.append(TablePiece(tuple(held)))
                held = []
        return [*found, TablePiece(tuple(held))] if held else found


def opened(table: Any, whose: str) -> tuple[pa.Schema, Pieces | Iterable[pa.RecordBatch]]:
    """Return the schema of a table, of pieces or of a stream, and what its rows are read from.

    The schema of a bare iterable is its first batch's, the only one that is read here. Raises InvalidType
    for anything else, InvalidValue for an iterable without a batch.
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if isinstance(table, pa.Table):
        return table.schema, TablePieces(table)
    if isinstance(table, pa.RecordBatchReader):
        return table.schema, table
    if isinstance(table, Pieces) and isinstance(table.schema, pa.Schema):
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


def grouped(
    batches: Iterable[pa.RecordBatch], wanted: pa.Schema, whose: str, encoded: Collection[str] = ()
) -> Iterator[pa.Table]:
    """Yield the columns of ``wanted`` in source order, in tables that are worth the fixed cost of looking them up.

    Raises InvalidType where a later batch holds a column otherwise than the schema says.
    """
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        part = _selected(batch, wanted, whose, encoded)
        if held and (rows + part.num_rows > ROWS or size + _size(part) > BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
        held.append(part)
        rows, size = rows + part.num_rows, size + _size(part)
    if held:
        yield pa.Table.from_batches(held)


def _selected(batch: pa.RecordBatch, wanted: pa.Schema, whose: str, encoded: Collection[str]) -> pa.RecordBatch:
    _check(batch, whose)
    columns = []
    for field in wanted:
        place = batch.schema.get_field_index(field.name)
        found = batch.schema.field(place).type if place >= 0 else "nothing"
        if found != field.type and not (field.name in encoded and pa.types.is_dictionary(found)):
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
