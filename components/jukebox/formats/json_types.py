"""What pyarrow's reader of JSON finds, held against what may be believed of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats.embeddings import tight
from jukebox.formats.texts import from_text, is_told

# From here on not every whole number is a float64.
EXACT = 1 << 53
LARGEST = int(np.finfo(np.float64).max)


def merged(one: pa.DataType | None, other: pa.DataType, where: str) -> pa.DataType:
    """Return the type that holds both; text that looks like a time is text. Raises InvalidType where there is none."""
    if pa.types.is_timestamp(other):
        other = pa.string()
    if pa.types.is_list(other):
        before = one.value_type if one is not None and pa.types.is_list(one) else None
        item = pa.list_(merged(before, other.value_type, where))
        return item if before is not None else _met(one, item, where)
    if pa.types.is_struct(other):
        known = {field.name: field.type for field in one} if one is not None and pa.types.is_struct(one) else {}
        for field in other:
            known[field.name] = merged(known.get(field.name), field.type, f"'{field.name}' in {where}")
        record = pa.struct(list(known.items()))
        return record if one is not None and pa.types.is_struct(one) else _met(one, record, where)
    return _met(one, other, where)


def _met(one: pa.DataType | None, other: pa.DataType, where: str) -> pa.DataType:
    if one is None or pa.types.is_null(one) or one.equals(other):
        return other
    if pa.types.is_null(other):
        return one
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    raise InvalidType(f"{where} holds {one} in some lines and {other} in others; declare its type, or mend it")


def exact(column: pa.ChunkedArray) -> bool:
    """Return whether no float is so large that it may stand for a whole number which it does not hold."""
    return all(_exact(chunk) for chunk in column.chunks)


def rounded(value: Any, kind: pa.DataType) -> int | None:
    """Return the first whole number in ``value`` where ``kind`` has a float, and the float is another number."""
    if isinstance(value, list) and pa.types.is_list(kind):
        below = [(each, kind.value_type) for each in value]
    elif isinstance(value, dict) and pa.types.is_struct(kind):
        below = [(value.get(field.name), field.type) for field in kind]
    elif isinstance(value, int) and pa.types.is_floating(kind):
        return value if abs(value) > LARGEST or int(float(value)) != value else None
    else:
        return None
    found = (rounded(each, inner) for each, inner in below)
    return next((number for number in found if number is not None), None)


def _exact(array: pa.Array) -> bool:
    if pa.types.is_list(array.type):
        return _exact(array.flatten())
    if pa.types.is_struct(array.type):
        return all(_exact(array.field(at)) for at in range(array.type.num_fields))
    if not pa.types.is_floating(array.type):
        return True
    return not pc.any(pc.greater_equal(pc.abs(array), float(EXACT))).as_py()


def as_declared(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.Array:
    """Return a column under its type; raises InvalidValue for a value that the type does not hold."""
    arrays = [_declared(chunk, kind, name) for chunk in column.chunks]
    if isinstance(kind, pa.BaseExtensionType) or len(arrays) == 1:
        return arrays[0]
    return pa.concat_arrays(arrays) if arrays else pa.array([], kind)


def _declared(array: pa.Array, kind: pa.DataType, name: str) -> pa.Array:  # noqa: PLR0911  a line a type
    test = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _declared(array, kind.storage_type, name))
    if test.is_dictionary(kind):
        encoded = _declared(array, kind.value_type, name).dictionary_encode()
        return pa.DictionaryArray.from_arrays(encoded.indices.cast(kind.index_type), encoded.dictionary)
    if test.is_null(array.type):
        return pa.nulls(len(array), kind)
    if test.is_struct(kind):
        fields = [_declared(array.field(at), field.type, f"{name}.{field.name}") for at, field in enumerate(kind)]
        return pa.Array.from_buffers(kind, len(array), [_mask(array)], children=fields)
    if test.is_list(kind) or test.is_large_list(kind) or test.is_fixed_size_list(kind) or test.is_map(kind):
        return _lists(array, kind, name)
    if is_told(kind):
        return from_text(array, kind, name)
    return _scalars(array, kind, name)


def _lists(array: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    test = pa.types
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    ends: Any = np.concatenate([[0], np.cumsum(counts)])
    if test.is_map(kind):
        pair = pa.struct([kind.key_field, kind.item_field])
        items = _declared(array.flatten(), pair, name)
        if items.field(0).null_count > 0:
            raise InvalidValue(f"column '{name}' is declared {kind} and holds a null for a key")
    else:
        items = _declared(array.flatten(), kind.value_type, name)
    if test.is_fixed_size_list(kind):
        buffers = [_mask(array), pa.py_buffer(ends.astype(np.int32))]
        plain = pa.Array.from_buffers(pa.list_(kind.value_type), len(array), buffers, children=[items])
        return tight(plain, pa.field(name, kind))
    wide = np.int64 if test.is_large_list(kind) else np.int32
    return pa.Array.from_buffers(kind, len(array), [_mask(array), pa.py_buffer(ends.astype(wide))], children=[items])


def _scalars(array: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    if pa.types.is_integer(kind) and pa.types.is_floating(array.type):
        raise InvalidValue(f"column '{name}' is declared {kind} and holds a number with a point or an exponent")
    if array.type.equals(kind):
        return array
    if not pa.types.is_floating(kind):
        return array.cast(kind)
    values = array.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        found = values.astype(kind.to_pandas_dtype())
    if np.count_nonzero(np.isinf(found)) > np.count_nonzero(np.isinf(values)):
        raise InvalidValue(f"column '{name}' is declared {kind} and holds a larger number")
    return pa.array(found, kind, mask=array.is_null().to_numpy(zero_copy_only=False))


def _mask(array: pa.Array) -> pa.Buffer | None:
    return pa.array(array.is_valid().to_numpy(zero_copy_only=False)).buffers()[1] if array.null_count > 0 else None
