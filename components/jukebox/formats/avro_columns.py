"""Arrow's arrays to what Avro's coders read and write, and back: the buffers of each node, in preorder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, reason
from jukebox.formats.avro_decimals import from_decimals, to_decimals
from jukebox.formats.avro_schema import stored_type
from jukebox.formats.embeddings import loose, tight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.formats.avro_schema import Column, Node

PHYSICAL = {"boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64()}


def retargeted(node: Node, kind: pa.DataType) -> Node:
    """Return the node with ``kind``, which is written as this node is, in memory."""
    inner = _without_extension(kind)
    children: tuple[Node, ...]
    if pa.types.is_map(inner):
        key, value = node.children[0].children
        pair = replace(node.children[0], arrow=pa.struct([inner.key_field, inner.item_field]))
        children = (replace(pair, children=(retargeted(key, inner.key_type), retargeted(value, inner.item_type))),)
    elif pa.types.is_struct(inner):
        children = tuple(retargeted(child, field.type) for child, field in zip(node.children, inner, strict=True))
    else:
        children = tuple(retargeted(child, inner.value_type) for child in node.children)
    return replace(node, arrow=kind, children=children)


def array_of(node: Node, columns: Iterator[Column], name: str) -> pa.Array:
    """Return the array of a node from its buffers and those of its children, which follow in ``columns``.

    Raises InvalidValue for a value that the type in memory does not hold.
    """
    count, valid, first, second = next(columns)
    mask = None if valid is None else _bits(valid)
    if node.op == "array":
        child = array_of(node.children[0], columns, name)
        return _as_extension(_lists(node, count, [mask, pa.py_buffer(first)], child, name), node.arrow)
    if node.op == "record":
        children = [array_of(child, columns, name) for child in node.children]
        kind = _without_extension(node.arrow)
        return _as_extension(pa.Array.from_buffers(kind, count, [mask], children=children), node.arrow)
    if node.op == "null":
        return pa.nulls(count)
    if node.op == "bytes":
        kind = pa.binary() if _is_decimal(node) else stored_type(_plain(node.arrow))
        found = pa.Array.from_buffers(kind, count, [mask, pa.py_buffer(first), pa.py_buffer(second)])
    elif node.op == "fixed":
        found = pa.Array.from_buffers(pa.binary(node.number), count, [mask, pa.py_buffer(first)])
    else:
        values = _bits(first) if node.op == "boolean" else pa.py_buffer(first)
        found = pa.Array.from_buffers(PHYSICAL[node.op], count, [mask, values])
    try:
        found.validate(full=True)
        return _as_extension(_typed(found, node), node.arrow)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowIndexError) as exc:
        raise InvalidValue(f"column '{name}' does not hold {node.arrow}: {reason(exc)}") from exc


def _lists(node: Node, count: int, buffers: list[Any], child: pa.Array, name: str) -> pa.Array:
    kind = _without_extension(node.arrow)
    if pa.types.is_map(kind):
        return pa.Array.from_buffers(kind, count, buffers, children=[child])
    if pa.types.is_large_list(kind):
        wide = np.frombuffer(buffers[1], np.int32).astype(np.int64)
        return pa.Array.from_buffers(kind, count, [buffers[0], pa.py_buffer(wide)], children=[child])
    if pa.types.is_fixed_size_list(kind):
        plain = pa.Array.from_buffers(pa.list_(kind.value_type), count, buffers, children=[child])
        return tight(plain, pa.field(name, kind))
    return pa.Array.from_buffers(kind, count, buffers, children=[child])


def _typed(array: pa.Array, node: Node) -> pa.Array:
    kind = _without_extension(node.arrow)
    if _is_decimal(node):
        return to_decimals(array, kind)
    if node.symbols:
        return pa.DictionaryArray.from_arrays(array, pa.array(node.symbols, pa.string()))
    if pa.types.is_dictionary(kind):
        encoded = _typed(array, replace(node, arrow=kind.value_type)).dictionary_encode()
        indices = encoded.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered)
    if array.type == kind or node.op == "fixed":
        return array
    stored = stored_type(kind)
    found = array if array.type == stored else array.view(stored)
    if pa.types.is_float16(kind):
        values = found.to_numpy(zero_copy_only=False).astype(np.float16)
        return pa.array(values, kind, mask=found.is_null().to_numpy(zero_copy_only=False))
    return found if stored == kind else found.cast(kind)


def columns_of(array: pa.Array, node: Node, name: str, *, within_null: bool = False) -> Iterator[Column]:
    """Yield the buffers of the node of ``array``, and of all below it.

    Raises InvalidValue for a value that Avro's type does not hold, and for a null where none is allowed.
    """
    while isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    nulls = array.null_count > 0
    if nulls and node.null_at < 0 and node.op != "null" and not within_null:
        raise InvalidValue(f"column '{name}' holds a null and is declared to hold none")
    valid = array.is_valid().to_numpy(zero_copy_only=False).view(np.uint8) if nulls else None
    within_null = within_null or nulls
    if node.op == "array":
        offsets, child = _items(array)
        yield len(array), valid, offsets, None
        yield from columns_of(child, node.children[0], name, within_null=within_null)
    elif node.op == "record":
        yield len(array), valid, None, None
        for at, child in enumerate(node.children):
            yield from columns_of(array.field(at), child, name, within_null=within_null)
    elif node.op == "null":
        yield len(array), None, None, None
    else:
        try:
            yield _leaf(array, node, valid)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
            raise InvalidValue(f"column '{name}' ({node.arrow}) has a value that Avro cannot hold: {exc}") from exc


def _items(array: pa.Array) -> tuple[Any, pa.Array]:
    array = loose(array)
    wide = pa.types.is_large_list(array.type)
    kind: Any = np.int64 if wide else np.int32
    offsets: Any = (
        np.frombuffer(array.buffers()[1], kind, len(array) + 1, array.offset * kind().itemsize) if len(array) else []
    )
    child = (
        pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
        if pa.types.is_map(array.type)
        else array.values
    )
    if wide and len(offsets) and offsets[-1] >= 1 << 31:
        raise InvalidType("a column of lists has more than 2**31 values in one batch; give smaller batches")
    return np.asarray(offsets if len(offsets) else [0], np.int32), child


def _leaf(array: pa.Array, node: Node, valid: Any) -> Column:
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if _is_decimal(node):
        return len(array), valid, from_decimals(array, node.number), None
    if node.op == "fixed":
        return len(array), valid, _values(array, node.number), None
    stored = stored_type(array.type)
    if pa.types.is_float16(array.type):
        array = pa.array(
            array.to_numpy(zero_copy_only=False).astype(np.float32), mask=None if valid is None else valid == 0
        )
    array = array if array.type == stored else array.cast(stored)
    if node.op == "boolean":
        return len(array), valid, _values(array.cast(pa.uint8()), 1), None
    if node.op != "bytes":
        return len(array), valid, _values(array, array.type.bit_width // 8), None
    if len(array) == 0:
        return 0, valid, np.zeros(1, np.int32), b""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4)
    return len(array), valid, ends, b"" if data is None else data


def _values(array: pa.Array, width: int) -> Any:
    data = array.buffers()[1]
    return b"" if data is None else memoryview(data)[array.offset * width :]


def _bits(values: bytes) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.frombuffer(values, np.uint8), bitorder="little"))


def _is_decimal(node: Node) -> bool:
    return bool(pa.types.is_decimal(_without_extension(node.arrow)))


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = _without_extension(kind)
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _without_extension(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _as_extension(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, array) if isinstance(kind, pa.BaseExtensionType) else array
