"""TFRecord files of ``tf.train.Example``: read as gzip or plain, written as gzip unless asked otherwise."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, reason
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.columns import chosen, conformed
from jukebox.formats.files import reading, source_files
from jukebox.formats.framing import framed, records
from jukebox.formats.tfdecoding import decoder, shapes, typed
from jukebox.formats.tfexample import check, encode
from jukebox.tables import written_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from jukebox.formats.tfdecoding import Decode

SUFFIX = ".tfrecord.gz"
CHUNK_ROWS = 65_536


def schema(path: str | os.PathLike[str], *, options: Options = DEFAULTS) -> pa.Schema:
    """Return the declared columns in their order, then all others by name with the types that are found.

    Reads everything once. Text and bytes look alike in an example: both are bytes unless declared.
    """
    return _found(source_files(path), options)


def read(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name.

    A declared column may be missing in every row: it is null. Asking for all columns, or for one without a
    declared type, costs one more pass. Raises NoPartition, MissingColumn, InvalidValue where a value does not
    fit its declared type, and CorruptData.
    """
    files, declared = source_files(path), options.types or {}
    if columns is not None and all(name in declared for name in columns):
        there = pa.schema(list(declared.items()))
    else:
        there = _found(files, options)
    names = chosen(columns, there.names, path)
    wanted = pa.schema([there.field(name) for name in names])
    decode = decoder(wanted)
    return itertools.chain.from_iterable(_rows(file, wanted, decode) for file in files)


def write(
    path: str | os.PathLike[str],
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
                frames = framed(encode(batch.slice(start, CHUNK_ROWS)))
                file.write(frames if gzip is None else gzip.compress(frames))
            rows += batch.num_rows
        if gzip is not None:
            file.write(gzip.flush())
    return rows


def _found(files: Sequence[Path], options: Options) -> pa.Schema:
    declared, decode = options.types or {}, decoder()
    found = shapes(lists for file in files for lists, _ in _decoded(file, decode))
    types = {name: _type(*found[name], options) for name in sorted(found) if name not in declared}
    return pa.schema([*declared.items(), *types.items()])


def _type(element: pa.DataType, many: bool, options: Options) -> pa.DataType:
    if pa.types.is_large_binary(element):
        element = pa.binary()
    if pa.types.is_null(element) or (options.scalars and not many):
        return element
    return pa.list_(element)


def _rows(path: Path, wanted: pa.Schema, decode: Decode) -> Iterator[pa.RecordBatch]:
    for lists, rows in _decoded(path, decode):
        if not wanted.names:
            raise InvalidValue(f"{path} has records and no key in any of them; declare a column")
        try:
            batch = typed(lists, wanted, rows)
        except InvalidValue as exc:
            raise InvalidValue(f"{path}: {exc}") from exc
        yield batch


def _decoded(path: Path, decode: Decode) -> Iterator[tuple[pa.RecordBatch, int]]:
    for found in records(path):
        with reading(path, "TFRecord of tf.Example"):
            try:
                lists = decode(found)
            except RuntimeError as exc:
                if "had wrong type" in str(exc):
                    raise InvalidType(
                        f"{path} holds another kind than is declared or was found before: {reason(exc)}"
                    ) from exc
                raise
        yield lists, len(found)
