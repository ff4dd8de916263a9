"""JSON lines: an object a line, every key a column. Types are declared, or found by reading all of the values once.

Found are int64, float64, bool, string, lists and records: text stays text, also where it looks like a time. What JSON
does not have is text where its type is declared (texts.py). A missing key is null.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.json as pajson

from jukebox.errors import CorruptData, InvalidType, InvalidValue, reason
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import asked, chosen, conformed, in_range
from jukebox.formats.files import reading, source_files
from jukebox.formats.json_text import check, json_type, rows_of
from jukebox.formats.json_types import as_declared, exact, merged, rounded
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.storage import Place, Where

SUFFIX = ".jsonl"
CHUNK_BYTES = 1 << 22
CHUNK_ROWS = 16_384
# A null where an object belongs crashes pyarrow's reader, and the process with it.
_MAYBE_A_NULL_ROW = re.compile(rb"(?:\A|\})\s*null")


def schema(path: Where, *, options: Options = DEFAULTS) -> pa.Schema:
    """Return the declared columns in their order, then all others as they first come, with the types that are found."""
    return _found(source_files(path), options)


def read(
    path: Where,
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,
    rows: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name: all, or from the first up to the last.

    Asking for all columns, or for one without a declared type, costs one more pass. Raises NoPartition, MissingColumn,
    InvalidType for a column of two kinds, InvalidValue where a value does not fit its declared type or a whole number
    among floats is not exact as one, and CorruptData naming the file and the line.
    """
    files = source_files(path)
    wanted = asked(columns, options.types or {}, partial(_found, files, options), path)
    check(wanted)
    return in_range(itertools.chain.from_iterable(_rows(file, wanted) for file in files), rows)


def write(path: Where, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    Raises InvalidType for a column that JSON cannot hold, InvalidValue for NaN, infinities and years outside of 1 to
    9999, StorageError.
    """
    chosen(None, schema.names, "the schema to write")
    check(schema)
    rows = 0
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        for batch in conformed(batches, schema):
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                stream.write(rows_of(batch.slice(start, CHUNK_ROWS)))
            rows += batch.num_rows
    return rows


def _found(files: Sequence[Place], options: Options) -> pa.Schema:
    declared = options.types or {}
    physical = pa.schema([(name, json_type(kind, name)) for name, kind in declared.items()])
    found: dict[str, pa.DataType] = {}
    for file in files:
        for first_line, chunk in _chunks(file):
            table = _parsed(chunk, file, first_line, physical, "infer")
            for field in table.schema:
                if field.name not in declared:
                    found[field.name] = merged(found.get(field.name), field.type, f"column '{field.name}' of {file}")
    return pa.schema([*declared.items(), *found.items()])


def _rows(path: Place, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
    physical = pa.schema([(field.name, json_type(field.type, field.name)) for field in wanted])
    for first_line, chunk in _chunks(path):
        table = _parsed(chunk, path, first_line, physical, "ignore")
        try:
            arrays = [as_declared(table[field.name], field.type, field.name) for field in wanted]
        except (InvalidValue, InvalidType) as exc:
            raise type(exc)(f"{path}, from line {first_line} on: {exc}") from exc
        if table.num_rows > 0:
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)


def _parsed(chunk: bytes, path: Place, first_line: int, physical: pa.Schema, others: str) -> pa.Table:
    if _MAYBE_A_NULL_ROW.search(chunk):
        explained = _explained(chunk, path, first_line, "")
        if isinstance(explained, CorruptData):
            raise explained
    try:
        # The reader takes bytes that are no UTF-8 for text.
        chunk.decode()
        table = pajson.read_json(
            io.BytesIO(chunk),
            read_options=pajson.ReadOptions(use_threads=False, block_size=len(chunk) + 1),
            parse_options=pajson.ParseOptions(explicit_schema=physical, unexpected_field_behavior=others),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as exc:
        raise _explained(chunk, path, first_line, reason(exc)) from exc
    doubtful = [field for field in table.schema if not exact(table[field.name])]
    if doubtful:
        _check_numbers(chunk, path, first_line, pa.schema(doubtful))
    return table


def _chunks(path: Place) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines in pieces of some megabytes, with the number of the first line; blank pieces are left out."""
    held, line = b"", 1
    with reading(path, "JSON lines"), path.open("rb") as stream:
        while True:
            more = stream.read(max(CHUNK_BYTES, len(held)))
            data = held + more
            end = data.rfind(b"\n") + 1 if more else len(data)
            chunk, held = data[:end], data[end:]
            if chunk.strip():
                yield line, chunk
            line += chunk.count(b"\n")
            if not more:
                return


def _explained(chunk: bytes, path: Place, first_line: int, why: str) -> CorruptData | InvalidType:
    """Return the error that names the first line which is no object, or else says what pyarrow says."""
    for line, text in enumerate(chunk.split(b"\n"), first_line):
        try:
            found = json.loads(text.decode()) if text.strip() else {}
        except (ValueError, RecursionError) as exc:
            return CorruptData(f"{path} is not whole JSON lines: line {line}: {reason(exc)}")
        if not isinstance(found, dict):
            return CorruptData(f"{path} is not whole JSON lines: line {line} is no object")
    return InvalidType(f"{path} cannot be read from line {first_line} on: {why}")


def _check_numbers(chunk: bytes, path: Place, first_line: int, types: pa.Schema) -> None:
    for line, text in enumerate(chunk.split(b"\n"), first_line):
        if text.strip():
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as exc:
                raise CorruptData(f"{path} is not whole JSON lines: line {line}: {reason(exc)}") from exc
            for field in types:
                number = rounded(row.get(field.name), field.type)
                if number is not None:
                    raise InvalidValue(
                        f"column '{field.name}' of {path} holds floats, and {number} is none exactly, at line {line}"
                    )
