"""Parquet, read a row group at a time and written in row groups of 262,144 rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jukebox.errors import InvalidType, reason
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import chosen, conformed, same_types
from jukebox.formats.embeddings import loose, loosened, tight, tightened
from jukebox.formats.files import reading, source_files
from jukebox.formats.parquet_opening import CHECKSUMS, corrupt, files_of, opened, reopened
from jukebox.tables import written_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from jukebox.formats.parquet_opening import File

SUFFIX = ".parquet"
BATCH_ROWS = 131_072
ROW_GROUP_ROWS = 262_144


def schema(path: str | os.PathLike[str], *, options: Options = DEFAULTS) -> pa.Schema:  # noqa: ARG001
    """Return the schema of the file, or of a folder's first file."""
    return _schema(opened(source_files(path)[0]))


def count_rows(path: str | os.PathLike[str]) -> int:
    """Return the number of rows of the file, or of a folder's files."""
    return sum(opened(file).metadata.num_rows for file in source_files(path))


def read(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,  # noqa: ARG001
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name, at most 131,072 at a time.

    Raises NoPartition, MissingColumn, CorruptData naming the file, and InvalidType where the files of a
    folder give one column two types.
    """
    files = source_files(path)
    found = _schema(opened(files[0]))
    wanted = pa.schema([found.field(name) for name in chosen(columns, found.names, files[0])])
    return itertools.chain.from_iterable(_rows(file, wanted, files[0]) for file in files)


def write(
    path: str | os.PathLike[str],
    batches: Iterable[pa.RecordBatch],
    *,
    schema: pa.Schema,
    compression: str = "zstd",
) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    Raises StorageError where the folder is full or cannot be written, InvalidType for a column that Parquet
    cannot hold.
    """
    chosen(None, schema.names, "the schema to write")
    rows = 0
    loose_schema = pa.schema([loosened(field) for field in schema], schema.metadata)
    # Version 2.6 keeps nanoseconds, which 2.4 rounds to microseconds.
    options: dict[str, Any] = {"compression": compression, "version": "2.6", "use_dictionary": _repeating(loose_schema)}
    options = {**options, "write_page_checksum": True} if CHECKSUMS else options
    try:
        with written_whole(path) as temporary, pq.ParquetWriter(temporary, loose_schema, **options) as writer:
            for table in _row_groups(conformed(batches, schema), loose_schema):
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
                rows += table.num_rows
    except pa.ArrowNotImplementedError as exc:
        columns = ", ".join(f"'{field.name}' {field.type}" for field in schema)
        raise InvalidType(f"{path} cannot hold one of the columns {columns}: {reason(exc)}") from exc
    return rows


def _repeating(schema: pa.Schema) -> list[str]:
    """Return the columns to write as dictionaries: floats and instants seldom repeat, and looking costs more than all.

    Ten columns of 1 M floats take 0.2 CPU seconds without and 1.5 with, and without they are the smaller.
    """
    plain = (pa.types.is_floating, pa.types.is_timestamp)
    return [field.name for field in schema if not any(is_kind(field.type) for is_kind in plain)]


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(pa.RecordBatch.from_arrays([loose(column) for column in batch.columns], schema=schema))
        rows += batch.num_rows
        if rows >= ROW_GROUP_ROWS:
            table, whole = pa.Table.from_batches(held, schema), rows - rows % ROW_GROUP_ROWS
            yield table.slice(0, whole)
            held = table.slice(whole).to_batches()
            rows -= whole
    if rows > 0:
        yield pa.Table.from_batches(held, schema)


def _schema(file: pq.ParquetFile) -> pa.Schema:
    return pa.schema([tightened(field) for field in file.schema_arrow])


@dataclass(frozen=True)
class RowGroup:
    """One row group of a file, which may be read often and from several threads."""

    path: Path | File
    metadata: pq.FileMetaData
    number: int
    schema: pa.Schema

    def __reduce__(self) -> Any:
        """Travel without the footer, which all row groups of a file share: it is read again where they arrive."""
        return _row_group, (self.path, self.number, self.schema)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.metadata.row_group(self.number).num_rows)

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows with these columns; those ``encoded`` come as dictionaries. Raises CorruptData."""
        dictionaries = [name for name in encoded if name in columns and self._is_dictionary(name)]
        file = reopened(self.path, self.metadata, dictionaries)
        fields = [self.schema.field(name) for name in columns]
        kinds = [_encoded(field) if field.name in dictionaries else field for field in fields]
        # Every batch of a row group brings the whole dictionary: one batch for most.
        yield from _group(file, self.path, self.number, pa.schema(kinds), ROW_GROUP_ROWS)

    def _is_dictionary(self, column: str) -> bool:
        """Return whether all of a column's pages are dictionary-encoded, and the row group is of the common size."""
        group = self.metadata.row_group(self.number)
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
        group = self.metadata.row_group(self.number)
        places = [at for at in range(group.num_columns) if group.column(at).path_in_schema == column]
        found = group.column(places[0]).statistics if places else None
        if found is None or not found.has_min_max or not _is_told_plainly(self.schema.field(column).type, found):
            return None
        ends = found.min_raw, found.max_raw
        return ends if isinstance(ends[0], (int, bytes)) else None


def _row_group(path: Path | File, number: int, schema: pa.Schema) -> RowGroup:
    place: Any = path
    with reading(path, "Parquet"):
        about = path.stat()
    return RowGroup(path, _footer(place, (about.st_size, about.st_mtime_ns)), number, schema)


@lru_cache(maxsize=64)
def _footer(path: Path | File, stamp: tuple[int, int]) -> pq.FileMetaData:  # noqa: ARG001 - a file written again has another
    return opened(path).metadata


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

    Raises NoPartition, CorruptData naming the file, and InvalidType where a file gives a column another type than the
    first one does; MissingColumn where it lacks one.
    """

    paths: Sequence[Path | File]

    def __reduce__(self) -> Any:
        """Travel without the files that are open here."""
        return ParquetPieces, (self.paths,)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the first file."""
        return _schema(self._files[0][1])

    @cached_property
    def _files(self) -> list[tuple[Path | File, pq.ParquetFile]]:
        return [(file, opened(file)) for path in self.paths for file in files_of(path)]

    @cached_property
    def _pieces(self) -> tuple[RowGroup, ...]:
        first = self._files[0][0]
        for path, file in self._files[1:]:
            found = _schema(file)
            chosen(self.schema.names, found.names, path)
            same_types(found, self.schema, path, first)
        return tuple(
            RowGroup(path, file.metadata, number, self.schema)
            for path, file in self._files
            for number in range(file.num_row_groups)
        )

    def pieces(self) -> Sequence[RowGroup]:
        """Return the row groups."""
        return self._pieces


def _rows(path: Path, wanted: pa.Schema, first: Path) -> Iterator[pa.RecordBatch]:
    file = opened(path)
    found = _schema(file)
    chosen(wanted.names, found.names, path)
    same_types(found, wanted, path, first)
    for group in range(file.num_row_groups):
        yield from _group(file, path, group, wanted)


def _group(
    file: pq.ParquetFile, path: Path | File, group: int, wanted: pa.Schema, size: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    rows = 0
    with reading(path, "Parquet"):
        batches = _batches(file, group, wanted.names, size)
    while True:
        with reading(path, "Parquet"):
            batch = next(batches, None)
            if batch is None:
                break
            batch.validate(full=True)
        rows += batch.num_rows
        yield _selected(batch, wanted)
    if rows != file.metadata.row_group(group).num_rows:
        raise corrupt(path, f"row group {group} gives {rows} rows and declares another number")


def _batches(file: pq.ParquetFile, group: int, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    if file.metadata.row_group(group).num_rows > size:
        return iter(file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False))
    # What fits into one batch is read in one step, which takes a fifth less time.
    return iter(file.read_row_group(group, columns, use_threads=False).to_batches())


def _selected(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    # Asked for 'a', the reader also gives 'a.b'.
    places = [batch.schema.get_field_index(name) for name in wanted.names]
    arrays = [tight(batch.column(at), field) for at, field in zip(places, wanted, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)
