"""TFRecord files of ``tf.train.Example`` and ``SequenceExample``, gzip or plain; written are Examples, as gzip."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.errors import InvalidValue
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import asked, conformed, in_range
from jukebox.formats.files import source_files
from jukebox.formats.framing import blocks
from jukebox.formats.tfdecoding import Shape, decoded, shapes, typed, wanted
from jukebox.formats.tfexample import check, framed
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.formats.framing import Block
    from jukebox.storage import Place, Where

SUFFIX = ".tfrecord.gz"
# So few that their bytes find room in memory that is mapped already.
CHUNK_ROWS = 4_096


def schema(path: Where, *, options: Options = DEFAULTS) -> pa.Schema:
    """Return the declared columns in their order, then all others by name with the types that are found.

    Reads everything once. Text and bytes look alike in an example: both are bytes unless declared.
    """
    return _found(source_files(path), options)


def read(
    path: Where,
    *,
    columns: Sequence[str] | None = None,
    rows: tuple[int, int] | None = None,
    options: Options = DEFAULTS,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name.

    Of ``rows`` the first is read, counted from 0 over all files, and the last is not; nothing is read after it.
    A declared column may be missing in every row: it is null. Asking for all columns, or for one without a
    declared type, costs one more pass. Raises NoPartition, MissingColumn, InvalidValue where a value does not
    fit its declared type, and CorruptData.
    """
    files = source_files(path)
    named = asked(columns, options.types or {}, partial(_found, files, options), path)
    in_range((), rows)
    return _rows(_within(files, rows), named)


def lists(path: Where) -> Iterator[pa.RecordBatch]:
    """Yield the rows with the keys that come in them as lists: what TensorFlow Data Validation takes."""
    for block in _within(source_files(path), None):
        found = decoded(block)
        yield pa.RecordBatch.from_arrays([each.to_arrow() for each in found], [each.name for each in found])


def write(
    path: Where,
    batches: Iterable[pa.RecordBatch],
    *,
    schema: pa.Schema,
    gzip_level: int | None = 1,
) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    The same rows give the same bytes. ``gzip_level`` None writes plain. Raises InvalidType for a column that
    an example cannot hold, InvalidValue for a value that it cannot, StorageError.
    """
    check(schema)
    rows = 0
    with written_whole(path) as temporary, temporary.open("wb") as file:
        gzip = None if gzip_level is None else zlib.compressobj(gzip_level, wbits=zlib.MAX_WBITS | 16)
        for batch in conformed(batches, schema):
            for start in range(0, batch.num_rows, CHUNK_ROWS):
                part = batch.slice(start, CHUNK_ROWS)
                file.write(framed(part) if gzip is None else gzip.compress(framed(part)))
            rows += batch.num_rows
        if gzip is not None:
            file.write(gzip.flush())
    return rows


def _found(files: Sequence[Place], options: Options) -> pa.Schema:
    declared = options.types or {}
    found = shapes(decoded(block) for block in _within(files, None))
    types = {name: _type(found[name], options) for name in sorted(found) if name not in declared}
    return pa.schema([*declared.items(), *types.items()])


def _type(shape: Shape, options: Options) -> pa.DataType:
    element = pa.binary() if pa.types.is_large_binary(shape.element) else shape.element
    if shape.nested:
        return pa.list_(pa.list_(element))
    if pa.types.is_null(element) or (options.scalars and not shape.many):
        return element
    return pa.list_(element)


def _within(files: Sequence[Place], rows: tuple[int, int] | None) -> Iterator[Block]:
    """Yield the blocks of the files, as far as their records are among the ``rows``, counted through all files."""
    first, last = (0, None) if rows is None else rows
    passed = 0
    for file in files:
        for block in blocks(file):
            inside = block.slice(max(first - passed, 0), len(block) if last is None else max(last - passed, 0))
            passed += len(block)
            if len(inside) > 0:
                yield inside
            if last is not None and passed >= last:
                return


def _rows(parts: Iterable[Block], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    asked = wanted(schema)
    for block in parts:
        if not schema.names:
            raise InvalidValue(f"{block.path} has records and no key in any of them; declare a column")
        found = decoded(block, asked)
        try:
            batch = typed(found, schema, len(block))
        except InvalidValue as exc:
            raise InvalidValue(f"{block.path}: {exc}") from exc
        yield batch
