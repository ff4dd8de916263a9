"""Avro's object container files, block by block: null, deflate, snappy, zstandard, bzip2 and xz.

Types that Avro lacks are written as wider ones, and a note in the header (``jukebox.arrow_schema``) brings them back;
docs/formats.md has the table. Unions of more than null and one type are refused, for Arrow's columns have one.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.kernel import choose
from jukebox.errors import InvalidValue, JukeboxError, MissingDependency
from jukebox.formats import DEFAULTS, Options
from jukebox.formats.avro_columns import array_of, columns_of, retargeted
from jukebox.formats.avro_container import (
    CODEC,
    MARK_BYTES,
    NOTE,
    SCHEMA,
    Header,
    block_bytes,
    check_codec,
    corrupt,
    header_bytes,
    read_blocks,
    read_header,
)
from jukebox.formats.avro_parsing import Parser
from jukebox.formats.avro_schema import Node, avro_of, program
from jukebox.formats.columns import chosen, conformed, in_range, same_types
from jukebox.formats.files import reading, source_files
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.formats.avro_container import Block
    from jukebox.storage import Place, Where

coder, NAME, WHY = choose("jukebox.formats._avro", "jukebox.formats.avro_rows")
CODER = NAME if NAME == "compiled" else "fastavro"

SUFFIX = ".avro"
BLOCK_ROWS = 8_192
# Small blocks are read together: a batch shall be worth its overhead, and fit in memory many times.
BATCH_BYTES, BATCH_ROWS = 1 << 23, 131_072


@dataclass(frozen=True)
class File:
    """A file whose header has been read: its nodes, and the types of its columns in memory."""

    path: Place
    header: Header
    root: Node
    blocks_at: int

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        return pa.schema(list(self.root.arrow))


def schema(path: Where, *, options: Options = DEFAULTS) -> pa.Schema:  # noqa: ARG001
    """Return the schema of the file, or of a folder's first file."""
    return _opened(source_files(path)[0]).schema


def read(
    path: Where,
    *,
    columns: Sequence[str] | None = None,
    options: Options = DEFAULTS,  # noqa: ARG001
    rows: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Return a stream of the rows of the file, or of a folder's files by name: all, or from the first up to the last.

    Raises NoPartition, MissingColumn, CorruptData naming the file and the byte, InvalidValue for a codec that is not
    known, and InvalidType for a union that Arrow cannot hold or where the files of a folder give a column two types.
    """
    files = source_files(path)
    first = _opened(files[0])
    wanted = pa.schema([first.schema.field(name) for name in chosen(columns, first.schema.names, files[0])])
    return in_range(itertools.chain.from_iterable(_rows(file, wanted, files[0]) for file in files), rows)


def write(
    path: Where,
    batches: Iterable[pa.RecordBatch],
    *,
    schema: pa.Schema,
    codec: str = "deflate",
    block_rows: int = BLOCK_ROWS,
) -> int:
    """Return the number of rows that ``path`` now holds: all of them, or the file is as it was before.

    Raises InvalidType for a column that Avro cannot hold, InvalidValue for a value or a name that it cannot,
    StorageError.
    """
    check_codec(codec, path)
    if block_rows < 1:
        raise InvalidValue(f"block_rows is {block_rows}; a block has one row or more")
    avro = avro_of(schema)
    root = _retyped(_parsed(avro, path), schema)
    if root.least_bytes == 0:
        raise InvalidValue(f"{path} would have rows without a byte; Avro's readers want a column that is not null")
    notes = {CODEC: codec.encode(), SCHEMA: json.dumps(avro).encode(), NOTE: _noted(schema)}
    header = Header(notes, os.urandom(MARK_BYTES))
    packed, count = program(root, set(schema.names)), 0
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        stream.write(header_bytes(header))
        for batch in conformed(batches, schema):
            found = _columns(batch, root)
            for start in range(0, batch.num_rows, block_rows):
                size = min(block_rows, batch.num_rows - start)
                stream.write(block_bytes(size, coder.encode(packed, found, start, size), header))
            count += batch.num_rows
    return count


def _columns(batch: pa.RecordBatch, root: Node) -> list[Any]:
    below = (
        columns_of(column, node, name)
        for column, node, name in zip(batch.columns, root.children, batch.schema.names, strict=True)
    )
    return [(batch.num_rows, None, None, None), *itertools.chain.from_iterable(below)]


def _opened(path: Place) -> File:
    with reading(path, "Avro"), path.open("rb") as stream:
        header = read_header(stream, path)
        place = stream.tell()
        root = Parser(path).root(header.notes[SCHEMA])
        if NOTE in header.notes:
            root = _restored(root, header, path)
    return File(path, header, root, place)


def _noted(schema: pa.Schema) -> bytes:
    # As text, for fastavro takes all notes for text.
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes())


def _restored(root: Node, header: Header, where: object) -> Node:
    """Return the nodes with the types of the note, for the columns that are as they would have been written."""
    noted = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(header.notes[NOTE])))
    there = {field["name"]: field for field in json.loads(header.notes[SCHEMA])["fields"]}
    try:
        written = {field["name"]: field for field in avro_of(noted)["fields"]}
    except JukeboxError as exc:
        raise corrupt(where, f"its note '{NOTE}' tells what nobody has written: {exc}", 0) from exc
    fields = [
        noted.field(field.name) if field.name in written and written[field.name] == there[field.name] else field
        for field in root.arrow
    ]
    return _retyped(root, pa.schema(fields))


def _parsed(avro: dict[str, Any], where: object) -> Node:
    return Parser(where).root(json.dumps(avro).encode())


def _retyped(root: Node, schema: pa.Schema) -> Node:
    return retargeted(root, pa.struct([pa.field(field.name, field.type, field.nullable) for field in schema]))


def _rows(path: Place, wanted: pa.Schema, first: Place) -> Iterator[pa.RecordBatch]:
    file = _opened(path)
    chosen(wanted.names, file.schema.names, path)
    same_types(file.schema, wanted, path, first)
    packed = program(file.root, set(wanted.names))
    with reading(path, "Avro"), path.open("rb") as stream:
        stream.seek(file.blocks_at)
        blocks = read_blocks(stream, file.header, path, least_bytes=file.root.least_bytes)
        for group in _groups(blocks):
            yield _batch(file, packed, group, wanted)


def _groups(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    held: list[Block] = []
    rows = size = 0
    for block in blocks:
        held.append(block)
        rows, size = rows + block.rows, size + len(block.data)
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            yield held
            held, rows, size = [], 0, 0
    if held:
        yield held


def _batch(file: File, packed: bytes, group: list[Block], wanted: pa.Schema) -> pa.RecordBatch:
    try:
        columns = iter(coder.decode(packed, [(block.rows, block.data) for block in group]))
    except MissingDependency:
        raise
    except ValueError as exc:
        raise corrupt(file.path, f"{exc}, counted from the block", group[0].offset) from exc
    next(columns)
    arrays = {}
    for field, node in zip(file.root.arrow, file.root.children, strict=True):
        if field.name in wanted.names:
            try:
                arrays[field.name] = array_of(node, columns, field.name)
            except InvalidValue as exc:
                raise corrupt(file.path, str(exc), group[0].offset) from exc
        else:
            list(itertools.islice(columns, _size(node)))
    return pa.RecordBatch.from_arrays([arrays[name] for name in wanted.names], schema=wanted)


def _size(node: Node) -> int:
    return 1 + sum(_size(child) for child in node.children)
