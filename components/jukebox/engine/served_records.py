"""Files of a log in TFRecords of ``tf.train.Example``, and beside each one that tells its columns and its rows.

``served-….tfrecord.gz`` is what TensorFlow reads, and ``_served-….tfrecord.gz.columns.json`` holds what an example does
not tell: the types of the columns and which there are, for a null leaves its key out. It is written first: no file of
records is ever without it, and without the file of records it is nothing.
"""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.engine.exact_examples import example_schema, from_examples, to_examples
from jukebox.errors import CorruptData, InvalidType, InvalidValue, StorageError, reason
from jukebox.formats import Options, tfrecord
from jukebox.tables import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.storage import Place

SUFFIX = tfrecord.SUFFIX
_VERSION = 1
# To make examples holds Python's lock, which the reads of the process want too.
_ROWS_AT_ONCE = 1_024


@dataclass(frozen=True)
class _Told:
    """What stands beside a file of records."""

    schema: pa.Schema
    rows: int


def beside(path: Place) -> Place:
    """Return the file that tells the columns of a file of records."""
    return path.parent / f"_{path.name}.columns.json"


def schema(path: Place) -> pa.Schema:
    """Return the columns that ``read`` gives; raises CorruptData where nothing tells them."""
    return _told(path).schema


def count_rows(path: Place) -> int:
    """Return how many rows the file was written with; raises CorruptData."""
    return _told(path).rows


def read(path: Place, *, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows with these columns, all by default, to the bit as they were written.

    Raises CorruptData for a file that is not whole, or is not the one that its columns were told of; StorageError.
    """
    told = _told(path)
    asked = told.schema if columns is None else pa.schema([told.schema.field(name) for name in columns])
    there, rows = example_schema(asked), 0
    types = dict(zip(there.names, there.types, strict=True))
    try:
        for batch in tfrecord.read(path, columns=there.names, options=Options(types=types)):
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield from_examples(found, asked, batch.num_rows)
            rows += batch.num_rows
    except (CorruptData, InvalidType, InvalidValue) as exc:
        raise CorruptData(f"{path} is not what its columns were told of: {exc}") from exc
    if rows != told.rows:
        raise CorruptData(f"{path} has {rows} rows, and was written with {told.rows}")


def write(path: Place, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
    """Return the number of rows that a new file holds: all of them, or nothing is there.

    Raises InvalidType for a column that has no place in an example, StorageError.
    """
    held = list(batches)
    rows = sum(batch.num_rows for batch in held)
    packed = base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode()
    columns = {field.name: str(field.type) for field in schema}
    about = {"jukebox_served_records": _VERSION, "rows": rows, "columns": columns, "arrow_schema": packed}
    write_text(beside(path), json.dumps(about, indent=1) + "\n")
    try:
        return tfrecord.write(path, map(to_examples, _parts(held)), schema=example_schema(schema))
    except BaseException:
        with contextlib.suppress(OSError):
            beside(path).unlink()
        raise


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from (batch.slice(start, _ROWS_AT_ONCE) for start in range(0, batch.num_rows, _ROWS_AT_ONCE))


def _told(path: Place) -> _Told:
    about = beside(path)
    if not about.is_file():
        raise CorruptData(f"{path} has no {about.name} beside it, which tells its columns")
    try:
        body = json.loads(about.read_text())
        _require_version(body["jukebox_served_records"], about)
        held = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(body["arrow_schema"])))
        return _Told(held, int(body["rows"]))
    except CorruptData:
        raise
    except OSError as exc:
        raise StorageError(f"{about} cannot be read: {reason(exc)}") from exc
    except (ValueError, KeyError, TypeError, pa.ArrowException) as exc:
        raise CorruptData(f"{about} does not tell the columns of a log: {reason(exc)}") from exc


def _require_version(written: object, about: Place) -> None:
    if written != _VERSION:
        raise CorruptData(f"{about} has the format {written}; this version of Jukebox reads {_VERSION}")
