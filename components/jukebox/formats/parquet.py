"""Parquet, read a row group at a time and written in row groups of 262,144 rows."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jukebox.errors import InvalidType, InvalidValue, reason
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import chosen, conformed, in_range
from jukebox.formats.embeddings import loose, loosened
from jukebox.formats.parquet_groups import ROW_GROUP_ROWS, group_batches
from jukebox.formats.parquet_members import members_of
from jukebox.formats.parquet_opening import CHECKSUMS, reopened
from jukebox.formats.parquet_pieces import ParquetPieces
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.formats.parquet_members import Member
    from jukebox.storage import Where

__all__ = ["SUFFIX", "ParquetPieces", "count_rows", "created_by", "read", "schema", "write"]

SUFFIX = ".parquet"


def schema(path: Where, *, options: Options = DEFAULTS) -> pa.Schema:
    """Return the columns of the file, or of a folder's files together, with those that their folders' names hold."""
    return members_of([path], options.types).schema


def count_rows(path: Where) -> int:
    """Return the number of rows of the file, or of a folder's files."""
    return sum(file.rows for file in members_of([path]).files)


def created_by(path: Where) -> str:
    """Return what the file says of the library that wrote it."""
    return str(members_of([path]).files[0].metadata.created_by)


def read(
    path: Where,
    *,
    columns: Sequence[str] | None = None,
    rows: tuple[int, int] | None = None,
    options: Options = DEFAULTS,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name, at most 131,072 at a time.

    ``rows`` are a first one, counted from 0, and one that is not read any more; row groups before and after are
    passed over. A column that some files lack is null there, a narrower type goes to the wider one, and folders
    called ``key=value`` give a column for each key, whose type ``options`` may declare. Raises NoPartition,
    MissingColumn, CorruptData naming the file, InvalidType where files give one column two types that do not go
    together, and InvalidValue where a row group unpacks to more than 1 GiB.
    """
    table = members_of([path], options.types)
    wanted = pa.schema([table.schema.field(name) for name in chosen(columns, table.schema.names, table.first)])
    if rows is None:
        return (batch for file in table.files for batch in _rows(file, wanted, range(file.metadata.num_row_groups)))
    in_range((), rows)
    return _between(table.files, wanted, *rows)


def _between(files: Sequence[Member], wanted: pa.Schema, first: int, last: int) -> Iterator[pa.RecordBatch]:
    at = 0
    for file in files:
        starts, groups = [], []
        for number in range(file.metadata.num_row_groups):
            after = at + file.metadata.row_group(number).num_rows
            if at < last and after > first:
                starts.append(at)
                groups.append(number)
            at = after
        if groups:
            start = starts[0]
            yield from in_range(_rows(file, wanted, groups), (max(0, first - start), last - start))


def _rows(file: Member, wanted: pa.Schema, groups: Iterable[int]) -> Iterator[pa.RecordBatch]:
    opened = reopened(file.path, file.metadata, ())
    for group in groups:
        yield from group_batches(file, opened, group, wanted)


def write(
    path: Where,
    batches: Iterable[pa.RecordBatch],
    *,
    schema: pa.Schema,
    compression: str = "zstd",
    row_group_rows: int = ROW_GROUP_ROWS,
) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    A row group has ``row_group_rows`` rows, the last one what is left. Raises StorageError where the folder is full or
    cannot be written, InvalidType for a column that Parquet cannot hold.
    """
    chosen(None, schema.names, "the schema to write")
    if isinstance(row_group_rows, bool) or not isinstance(row_group_rows, int) or row_group_rows < 1:
        raise InvalidValue(f"row_group_rows is {row_group_rows!r}; a row group has 1 row or more")
    rows = 0
    loose_schema = pa.schema([loosened(field) for field in schema], schema.metadata)
    # Version 2.6 keeps nanoseconds, which 2.4 rounds to microseconds.
    options: dict[str, Any] = {"compression": compression, "version": "2.6"}
    options = {**options, "write_page_checksum": True} if CHECKSUMS else options
    try:
        with written_whole(path) as temporary:
            tables = _row_groups(conformed(batches, schema), loose_schema, row_group_rows)
            first = list(islice(tables, 1))
            repeating = _repeating(first[0] if first else loose_schema.empty_table())
            with pq.ParquetWriter(temporary, loose_schema, use_dictionary=repeating, **options) as writer:
                for table in chain(first, tables):
                    writer.write_table(table, row_group_size=row_group_rows)
                    rows += table.num_rows
    except pa.ArrowNotImplementedError as exc:
        columns = ", ".join(f"'{field.name}' {field.type}" for field in schema)
        raise InvalidType(f"{path} cannot hold one of the columns {columns}: {reason(exc)}") from exc
    return rows


def _repeating(table: pa.Table) -> list[str]:
    """Return the columns to write as dictionaries; to look for what repeats costs more than to write what does not.

    Floats and instants seldom repeat, and integers do where at most half of the first 4,096 differ. Ten columns of 1 M
    floats take 0.2 CPU seconds without dictionaries and 1.5 with, and without they are the smaller.
    """

    def repeats(field: pa.Field) -> bool:
        if pa.types.is_integer(field.type):
            sample = table[field.name].slice(0, 4_096)
            return bool(2 * pc.count_distinct(sample).as_py() <= len(sample))
        return not (pa.types.is_floating(field.type) or pa.types.is_timestamp(field.type))

    return [field.name for field in table.schema if repeats(field)]


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema, most: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(pa.RecordBatch.from_arrays([loose(column) for column in batch.columns], schema=schema))
        rows += batch.num_rows
        if rows >= most:
            table, whole = pa.Table.from_batches(held, schema), rows - rows % most
            yield table.slice(0, whole)
            held = table.slice(whole).to_batches()
            rows -= whole
    if rows > 0:
        yield pa.Table.from_batches(held, schema)
