"""Parquet in pieces: the row groups of files, each of which may be read often and from several threads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.formats.parquet_groups import ROW_GROUP_ROWS, group_batches
from jukebox.formats.parquet_members import Member, Members, members_of
from jukebox.formats.parquet_opening import reopened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow.parquet as pq

    from jukebox.formats.parquet_opening import File
    from jukebox.storage import Place


@dataclass(frozen=True)
class RowGroup:
    """One row group of a file, which may be read often and from several threads."""

    file: Member
    number: int
    schema: pa.Schema

    @property
    def _group(self) -> pq.RowGroupMetaData:
        return self.file.metadata.row_group(self.number)

    @cached_property
    def _own(self) -> frozenset[str]:
        """The columns that the file holds just as they are read."""
        mine = self.file.schema
        if mine.equals(self.schema):
            return frozenset(mine.names)
        return frozenset(each.name for each in mine if each.type.equals(self.schema.field(each.name).type))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self._group.num_rows)

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows with these columns; those ``encoded`` come as dictionaries. Raises CorruptData."""
        dictionaries = [name for name in encoded if name in columns and name in self._own and self._is_dictionary(name)]
        file = reopened(self.file.path, self.file.metadata, dictionaries)
        fields = [self.schema.field(name) for name in columns]
        kinds = [_encoded(field) if field.name in dictionaries else field for field in fields]
        # Every batch of a row group brings the whole dictionary: one batch for most.
        yield from group_batches(self.file, file, self.number, pa.schema(kinds), ROW_GROUP_ROWS)

    def _is_dictionary(self, column: str) -> bool:
        """Return whether all of a column's pages are dictionary-encoded, and the row group is of the common size."""
        group = self._group
        chunks = [group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema == column]
        # The dictionary's own page is told as PLAIN too, by the newer name alone.
        allowed = {"PLAIN_DICTIONARY": 0, "RLE_DICTIONARY": 1}
        return self.rows <= 4 * ROW_GROUP_ROWS and any(
            chunk.encodings.count("PLAIN") <= most and name in chunk.encodings
            for chunk in chunks
            for name, most in allowed.items()
        )

    def bounds(self, column: str) -> tuple[int, int] | tuple[bytes, bytes] | None:
        """Return the least and the greatest value that the file's statistics give for a column, or None.

        Whole numbers and times are told as integers, in the column's own unit, texts as their bytes.
        """
        group = self._group
        places = [at for at in range(group.num_columns) if group.column(at).path_in_schema == column]
        found = group.column(places[0]).statistics if places and column in self._own else None
        if found is None or not found.has_min_max or not _is_told_plainly(self.schema.field(column).type, found):
            return None
        ends = found.min_raw, found.max_raw
        return ends if isinstance(ends[0], (int, bytes)) else None


def _is_told_plainly(kind: pa.DataType, found: pq.Statistics) -> bool:
    # A file may hold a time in another unit than the column that is read from it.
    if pa.types.is_timestamp(kind):
        units = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        return f'"timeUnit": "{units.get(kind.unit)}"' in found.logical_type.to_json()
    return bool(
        pa.types.is_date32(kind)
        or pa.types.is_signed_integer(kind)
        or pa.types.is_string(kind)
        or pa.types.is_binary(kind)
    )


def _encoded(field: pa.Field) -> pa.Field:
    return field.with_type(pa.dictionary(pa.int32(), field.type))


@dataclass(frozen=True)
class ParquetPieces:
    """Files, or folders of files, as one table in pieces: their row groups in order.

    What one of them lacks, or holds in a narrower type, fits. Raises NoPartition, CorruptData naming the file, and
    InvalidType where a file gives a column a type that does not go with the others'.
    """

    paths: Sequence[Place | File]

    def __reduce__(self) -> Any:
        """Travel without what is known of the files here."""
        return ParquetPieces, (self.paths,)

    @cached_property
    def _members(self) -> Members:
        return members_of(self.paths)

    @property
    def schema(self) -> pa.Schema:
        """The columns of all files."""
        return self._members.schema

    @cached_property
    def _pieces(self) -> tuple[RowGroup, ...]:
        return tuple(
            RowGroup(file, number, self.schema)
            for file in self._members.files
            for number in range(file.metadata.num_row_groups)
        )

    def pieces(self) -> Sequence[RowGroup]:
        """Return the row groups."""
        return self._pieces
