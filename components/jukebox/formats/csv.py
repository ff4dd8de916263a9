"""CSV with a type for every column: declared, or the narrowest that holds all values of all files.

Quotes and newlines may stand in fields; times are ISO 8601. A value in ``null_values`` is null, unless it
stands in quotes: so null and the empty text differ. Zoned times are written in UTC, with a Z.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv

from jukebox.errors import InvalidType
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import chosen, conformed
from jukebox.formats.files import reading, source_files
from jukebox.formats.narrowing import narrow, narrowest
from jukebox.tables import written_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SUFFIX = ".csv"
# A row must fit in a block; larger blocks give batches that are worth their overhead.
BLOCK_BYTES = 1 << 23
MISFIT = re.compile(r"CSV column #(\d+): CSV conversion error to (?!\w*: invalid UTF8)(.*)")


def schema(path: str | os.PathLike[str], *, options: Options = DEFAULTS) -> pa.Schema:
    """Return the declared types and, for the other columns, those that a pass over all values finds."""
    files = source_files(path)
    return _typed(files, chosen(None, _names(files[0], options), files[0]), options)


def read(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name.

    Asked columns without a declared type cost one more pass over the files. Raises NoPartition,
    MissingColumn, InvalidType where a value does not fit its declared type, and CorruptData.
    """
    files = source_files(path)
    wanted = _typed(files, chosen(columns, _names(files[0], options), files[0]), options)
    return itertools.chain.from_iterable(_rows(file, wanted, options) for file in files)


def write(path: str | os.PathLike[str], batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    Raises InvalidType for a column that text cannot hold without loss (bytes, lists, records), StorageError.
    """
    chosen(None, schema.names, "the schema to write")
    written = pa.schema([pa.field(field.name, _written_type(field)) for field in schema])
    rows = 0
    with written_whole(path) as temporary, pacsv.CSVWriter(temporary, written) as writer:
        for batch in conformed(batches, schema):
            arrays = [column.cast(field.type) for column, field in zip(batch.columns, written, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=written))
            rows += batch.num_rows
    return rows


def _names(path: Path, options: Options) -> list[str]:
    with reading(path, "CSV"):
        names: list[str] = _open(path, options).schema.names
    return names


def _typed(files: Sequence[Path], names: Sequence[str], options: Options) -> pa.Schema:
    declared = options.types or {}
    undeclared = [name for name in names if name not in declared]
    found = _narrowed(files, undeclared, options) if undeclared else {}
    return pa.schema([(name, declared[name] if name in declared else found[name]) for name in names])


def _narrowed(files: Sequence[Path], names: Sequence[str], options: Options) -> dict[str, pa.DataType]:
    possible: dict[str, list[pa.DataType] | None] = dict.fromkeys(names)
    for file in files:
        for batch in _rows(file, pa.schema([(name, pa.string()) for name in names]), options):
            for name, column in zip(names, batch.columns, strict=True):
                possible[name] = narrow(possible[name], column)
    return {name: narrowest(types) for name, types in possible.items()}


def _rows(path: Path, wanted: pa.Schema, options: Options) -> Iterator[pa.RecordBatch]:
    there = _names(path, options)
    chosen(wanted.names, there, path)
    with _explained(path, there, wanted):
        # In a file of one column an empty line is a null, elsewhere it is no row.
        reader = _open(path, options, wanted, blank_is_null=len(there) == 1)
    while True:
        with _explained(path, there, wanted):
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        if batch.num_rows > 0:
            yield batch


@contextlib.contextmanager
def _explained(path: Path, there: Sequence[str], wanted: pa.Schema) -> Iterator[None]:
    """Turn a value that does not fit its type into InvalidType with its column, the rest into CorruptData."""
    with reading(path, "CSV"):
        try:
            yield
        except pa.ArrowInvalid as exc:
            found = MISFIT.search(str(exc))
            if found is None:
                raise
            name = there[int(found[1])]
            raise InvalidType(
                f"column '{name}' of {path} is declared {wanted.field(name).type} and holds another value: {found[2]}"
            ) from exc


def _open(
    path: Path, options: Options, wanted: pa.Schema | None = None, *, blank_is_null: bool = False
) -> pacsv.CSVStreamingReader:
    fields = [] if wanted is None else list(wanted)
    given = None if options.header else options.names
    return pacsv.open_csv(
        path,
        read_options=pacsv.ReadOptions(
            block_size=BLOCK_BYTES,
            column_names=None if given is None else list(given),
            autogenerate_column_names=not options.header and given is None,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=options.delimiter, newlines_in_values=True, ignore_empty_lines=not blank_is_null
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={field.name: field.type for field in fields},
            include_columns=[field.name for field in fields],
            null_values=list(options.null_values),
            strings_can_be_null=True,
            quoted_strings_can_be_null=options.quoted_nulls,
            true_values=["true", "True", "TRUE", "1"],
            false_values=["false", "False", "FALSE", "0"],
        ),
    )


def _written_type(field: pa.Field) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return pa.timestamp(kind.unit, None if kind.tz is None else "UTC")
    fits = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_date)
    if any(test(kind) for test in fits) or kind in (pa.string(), pa.large_string(), pa.null()):
        return kind
    raise InvalidType(f"column '{field.name}' is {kind}, which CSV cannot hold; it holds numbers, text and times")
