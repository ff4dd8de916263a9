"""Arrow's arrays as JSON text, a column at a time and without a loop over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats.embeddings import loose
from jukebox.formats.texts import is_told, to_text

SPECIAL = r'["\\\x00-\x1f]'
SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
EMPTY = pa.scalar("")


def check(schema: pa.Schema) -> None:
    """Raise InvalidType for the first column that JSON cannot hold."""
    for field in schema:
        json_type(field.type, field.name)


def json_type(kind: pa.DataType, name: str) -> pa.DataType:  # noqa: PLR0911  a line a type
    """Return the type that pyarrow's reader of JSON gives a column which was written from ``kind``."""
    test = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return json_type(kind.storage_type, name)
    if test.is_dictionary(kind):
        return json_type(kind.value_type, name)
    if test.is_map(kind):
        pair = pa.struct([("key", json_type(kind.key_type, name)), ("value", json_type(kind.item_type, name))])
        return pa.list_(pair)
    if test.is_struct(kind) and kind.num_fields > 0:
        return pa.struct([(field.name, json_type(field.type, f"{name}.{field.name}")) for field in kind])
    if test.is_list(kind) or test.is_large_list(kind) or test.is_fixed_size_list(kind):
        return pa.list_(json_type(kind.value_type, name))
    if test.is_floating(kind):
        return pa.float64()
    if test.is_integer(kind) or test.is_boolean(kind) or test.is_null(kind):
        return kind
    if is_told(kind) or str(kind).removeprefix("large_").removesuffix("_view") == "string":
        return pa.string()
    raise InvalidType(f"column '{name}' is {kind}, which JSON cannot hold without loss")


def rows_of(batch: pa.RecordBatch) -> pa.Buffer:
    """Return the rows as JSON, a line each. Raises InvalidValue for NaN and infinities, which JSON does not have."""
    if batch.num_rows == 0:
        return pa.py_buffer(b"")
    columns = [text_of(column, name) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    lines = _objects(batch.schema.names, columns, batch.num_rows, "}\n").cast(pa.large_binary())
    return lines.buffers()[2]


def text_of(array: pa.Array, name: str) -> pa.StringArray:
    """Return each value as JSON; a null is ``null``."""
    kind = array.type
    test = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return text_of(array.storage, name)
    if test.is_dictionary(kind):
        return text_of(array.cast(kind.value_type), name)
    if test.is_null(kind):
        return pa.array(["null"] * len(array), pa.string())
    if test.is_struct(kind):
        names = [field.name for field in kind]
        below = [text_of(array.field(at), f"{name}.{each}") for at, each in enumerate(names)]
        found = _objects(names, below, len(array), "}")
    elif test.is_map(kind) or test.is_list(kind) or test.is_large_list(kind) or test.is_fixed_size_list(kind):
        found = _lists(array, name)
    elif test.is_floating(kind):
        found = _floats(array, name)
    elif test.is_integer(kind) or test.is_boolean(kind):
        found = array.cast(pa.string())
    else:
        found = _quoted(to_text(array, name) if is_told(kind) else array.cast(pa.string()))
    if array.null_count == 0:
        return found
    return pc.if_else(array.is_valid(), found, pa.scalar("null"))


def _objects(names: list[str], columns: list[pa.StringArray], rows: int, end: str) -> pa.StringArray:
    keys = [quoted_text(name) + ":" for name in names]
    pieces: list[Any] = []
    for at, (key, column) in enumerate(zip(keys, columns, strict=True)):
        pieces += [pa.scalar(("{" if at == 0 else ",") + key), column]
    if not pieces:
        return pa.array(["{" + end] * rows, pa.string())
    return pc.binary_join_element_wise(*pieces, pa.scalar(end), EMPTY)


def _lists(array: pa.Array, name: str) -> pa.StringArray:
    array = loose(array)
    if pa.types.is_map(array.type):
        pairs = [text_of(array.keys, f"{name}.key"), text_of(array.items, f"{name}.value")]
        items = _objects(["key", "value"], pairs, len(array.keys), "}")
    else:
        items = text_of(array.values, name)
    kind: Any = np.int64 if pa.types.is_large_list(array.type) else np.int32
    ends = (
        np.frombuffer(array.buffers()[1], kind, len(array) + 1, array.offset * kind().itemsize) if len(array) else [0]
    )
    ends = np.asarray(ends, np.int32)
    lists = pa.Array.from_buffers(pa.list_(pa.string()), len(array), [None, pa.py_buffer(ends)], children=[items])
    inner = pc.binary_join(lists, ",")
    return pc.binary_join_element_wise(pa.scalar("["), inner, pa.scalar("]"), EMPTY)


def _floats(array: pa.Array, name: str) -> pa.StringArray:
    if pa.types.is_float16(array.type):
        values = array.to_numpy(zero_copy_only=False).astype(np.float32)
        array = pa.array(values, mask=array.is_null().to_numpy(zero_copy_only=False))
    if pc.all(pc.is_finite(array)).as_py() is False:
        raise InvalidValue(f"column '{name}' holds NaN or an infinity, which JSON does not have")
    # A whole number is written as one of floats, or it would come back as an integer.
    return pc.replace_substring_regex(array.cast(pa.string()), r"^(-?[0-9]+)$", r"\1.0")


def _quoted(array: pa.StringArray) -> pa.StringArray:
    if pc.any(pc.match_substring_regex(array, SPECIAL)).as_py():
        array = pc.replace_substring(pc.replace_substring(array, "\\", "\\\\"), '"', '\\"')
        for code in range(32):
            array = pc.replace_substring(array, chr(code), SHORT.get(chr(code), f"\\u{code:04x}"))
    quote = pa.scalar('"')
    return pc.binary_join_element_wise(quote, array, quote, EMPTY)


def quoted_text(text: str) -> str:
    """Return a text as JSON writes it."""
    quoted: str = _quoted(pa.array([text]))[0].as_py()
    return quoted
