"""Avro's rows to columns and back by fastavro, a row at a time: where ``_avro`` was not compiled, with its answers.

Reading is forty times slower, of which three quarters are the look at the bytes before.
The schema and the columns are those that ``_avro.h`` describes.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.errors import MissingDependency
from jukebox.formats.avro_checking import Check
from jukebox.formats.avro_columns import PHYSICAL, array_of, columns_of
from jukebox.formats.avro_schema import OPS, Column, Node, field_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def decode(program: bytes, blocks: list[tuple[int, bytes]]) -> list[Column]:
    """Return the columns of the nodes; those that are not wanted are read all the same."""
    read = _fastavro().schemaless_reader
    root = _node(struct.iter_unpack("<4i", program))
    avro = _avro(root, "r")
    rows: list[Any] = []
    for place, (count, data) in enumerate(blocks):
        check, stream = Check(data), io.BytesIO(data)
        try:
            check.rows(root, count)
        except ValueError as exc:
            raise ValueError(f"{exc}, at byte {check.at} of block {place}") from exc
        rows.extend(read(stream, avro) for _ in range(count))
    return list(columns_of(pa.array(rows, root.arrow), root, "a column"))


def encode(program: bytes, columns: Sequence[Column], start: int, rows: int) -> bytes:
    """Return the bytes of these rows."""
    write = _fastavro().schemaless_writer
    root = _node(struct.iter_unpack("<4i", program))
    avro = _avro(root, "r")
    out = io.BytesIO()
    for row in array_of(root, iter(columns), "a column").slice(start, rows).to_pylist():
        write(out, avro, row)
    return out.getvalue()


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError as exc:
        raise MissingDependency.of("fastavro", "avro") from exc
    return fastavro


def _node(packed: Iterator[tuple[int, ...]]) -> Node:
    op, null_at, number, _ = next(packed)
    name = OPS[op]
    children = tuple(_node(packed) for _ in range(number if name == "record" else name == "array"))
    fields = [field_of(f"f{at}", child) for at, child in enumerate(children)]
    if name == "record":
        kind = pa.struct(fields)
    elif name == "array":
        kind = pa.list_(fields[0].with_name("item"))
    elif name == "fixed":
        kind = pa.binary(number)
    else:
        kind = {**PHYSICAL, "null": pa.null(), "bytes": pa.binary()}[name]
    return Node(name, kind, null_at, number, children=children)


def _avro(node: Node, path: str) -> Any:
    kind: Any = node.op
    if node.op == "record":
        fields = [{"name": f"f{at}", "type": _avro(child, f"{path}_{at}")} for at, child in enumerate(node.children)]
        kind = {"type": "record", "name": path, "fields": fields}
    elif node.op == "array":
        kind = {"type": "array", "items": _avro(node.children[0], f"{path}_0")}
    elif node.op == "fixed":
        kind = {"type": "fixed", "name": path, "size": node.number}
    if node.null_at < 0:
        return kind
    return ["null", kind] if node.null_at == 0 else [kind, "null"]
