"""CSV with a type for every column: declared, or the narrowest that holds all values of all files.

Quotes and newlines may stand in fields; dates and times are ISO 8601. A value in ``null_values`` is null, unless it
stands in quotes: so null and the empty text differ. Zoned times are written in UTC, with a Z; texts.py has the rest.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import chosen, conformed, in_range
from jukebox.formats.csv_faults import check_fields, check_quotes
from jukebox.formats.files import reading, source_files
from jukebox.formats.narrowing import narrow, narrowest
from jukebox.formats.texts import check_years, from_text, to_text
from jukebox.storage import readable
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.storage import Place, Where

SUFFIX = ".csv"
# A row must fit in a block; larger blocks give batches that are worth their overhead.
BLOCK_BYTES = 1 << 23
MISFIT = re.compile(r"CSV column #(\d+): CSV conversion error to (?!\w*: invalid UTF8)(.*)")


def schema(path: Where, *, options: Options = DEFAULTS) -> pa.Schema:
    """Return the declared types and, for the other columns, those that a pass over all values finds."""
    files = source_files(path)
    return _typed(files, chosen(None, _names(files[0], options), files[0]), options)


def read(
    path: Where,
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,
    rows: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name: all, or from the first up to the last.

    Asked columns without a declared type cost one more pass over the files. Raises NoPartition,
    MissingColumn, InvalidType where a value does not fit its declared type, and CorruptData naming the line of a
    row with too few or too many fields, or of a quote that is never closed.
    """
    files = source_files(path)
    wanted = _typed(files, chosen(columns, _names(files[0], options), files[0]), options)
    return in_range(itertools.chain.from_iterable(_rows(file, wanted, options) for file in files), rows)


def write(path: Where, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    Raises InvalidType for a column that text cannot hold without loss (bytes, lists, records), StorageError.
    """
    chosen(None, schema.names, "the schema to write")
    written = pa.schema([pa.field(field.name, _written_type(field)) for field in schema])
    rows = 0
    with written_whole(path) as temporary, pacsv.CSVWriter(temporary, written) as writer:
        for batch in conformed(batches, schema):
            arrays = [_written(column, field) for column, field in zip(batch.columns, written, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=written))
            rows += batch.num_rows
    return rows


def _names(path: Place, options: Options) -> list[str]:
    with reading(path, "CSV"):
        try:
            names: list[str] = _open(path, options).schema.names
        except pa.ArrowInvalid:
            check_fields(path, options)
            raise
    return names


def _typed(files: Sequence[Place], names: Sequence[str], options: Options) -> pa.Schema:
    declared = options.types or {}
    undeclared = [name for name in names if name not in declared]
    found = _narrowed(files, undeclared, options) if undeclared else {}
    return pa.schema([(name, declared[name] if name in declared else found[name]) for name in names])


def _narrowed(files: Sequence[Place], names: Sequence[str], options: Options) -> dict[str, pa.DataType]:
    possible: dict[str, list[pa.DataType] | None] = dict.fromkeys(names)
    for file in files:
        for batch in _rows(file, pa.schema([(name, pa.string()) for name in names]), options):
            for name, column in zip(names, batch.columns, strict=True):
                possible[name] = narrow(possible[name], column)
    return {name: narrowest(types) for name, types in possible.items()}


def _rows(path: Place, wanted: pa.Schema, options: Options) -> Iterator[pa.RecordBatch]:
    there = _names(path, options)
    chosen(wanted.names, there, path)
    told = [field.name for field in wanted if _is_told(field.type)]
    parsed = pa.schema([field.with_type(pa.string()) if field.name in told else field for field in wanted])
    with _explained(path, there, wanted, options):
        # In a file of one column an empty line is a null, elsewhere it is no row.
        reader = _open(path, options, parsed, blank_is_null=len(there) == 1)
    while True:
        with _explained(path, there, wanted, options):
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                break
        if batch.num_rows > 0:
            yield _as_declared(batch, wanted, path) if told else batch
    check_quotes(path, options)


def _as_declared(batch: pa.RecordBatch, wanted: pa.Schema, path: Place) -> pa.RecordBatch:
    try:
        arrays = [
            from_text(column, field.type, field.name) if _is_told(field.type) else column
            for column, field in zip(batch.columns, wanted, strict=True)
        ]
    except InvalidValue as exc:
        raise InvalidType(f"{path}: {exc}") from exc
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


@contextlib.contextmanager
def _explained(path: Place, there: Sequence[str], wanted: pa.Schema, options: Options) -> Iterator[None]:
    """Turn a value that does not fit its type into InvalidType with its column, the rest into CorruptData."""
    with reading(path, "CSV"):
        try:
            yield
        except pa.ArrowInvalid as exc:
            found = MISFIT.search(str(exc))
            if found is None:
                check_fields(path, options)
                raise
            name = there[int(found[1])]
            raise InvalidType(
                f"column '{name}' of {path} is declared {wanted.field(name).type} and holds another value: {found[2]}"
            ) from exc


def _open(
    path: Place, options: Options, wanted: pa.Schema | None = None, *, blank_is_null: bool = False
) -> pacsv.CSVStreamingReader:
    fields = [] if wanted is None else list(wanted)
    given = None if options.header else options.names
    return pacsv.open_csv(
        readable(path, unpacked=True),
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


def _written(column: pa.Array, field: pa.Field) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        return to_text(column, field.name)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        check_years(column, field.name)
    return column.cast(field.type)


def _is_told(kind: pa.DataType) -> bool:
    """Return whether a declared type is read as text first, for pyarrow's reader does not have it everywhere."""
    test = pa.types
    coarse = test.is_timestamp(kind) and kind.unit in {"s", "ms"}
    return coarse or test.is_decimal(kind) or test.is_time(kind) or test.is_date64(kind)


def _written_type(field: pa.Field) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        return pa.timestamp(kind.unit, None if kind.tz is None else "UTC")
    if pa.types.is_decimal(kind):
        return pa.string()
    test = pa.types
    fits = (test.is_integer, test.is_float32, test.is_float64, test.is_boolean, test.is_date, test.is_time)
    if any(is_kind(kind) for is_kind in fits) or kind in (pa.string(), pa.large_string(), pa.null()):
        return kind
    raise InvalidType(f"column '{field.name}' is {kind}, which CSV cannot hold; it holds numbers, text and times")
