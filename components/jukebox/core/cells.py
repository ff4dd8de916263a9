"""Packed cells: the event time, created time and values of one row as few bytes, typed by a layout kept elsewhere.

::

    cell     = version (0x01), bitmap, the fields that are not null, one after another
    fields   = event time where the layout has one, created time where it has one, then the values
    bitmap   = a bit for each field, set where it is null; the lowest bit of the first byte is the first field

    bool                               1 byte
    numbers, times, decimals, and
    byte strings of a fixed length     their width in Arrow, little-endian
    text, byte strings                 length, bytes
    lists                              2 x length + 1 where any item is null, then the items; in such a list
                                       each item has a byte before it, 1 for a value and 0 for a null
    structs                            bitmap, then the fields that are not null
    length                             groups of seven bits, the lowest first, 0x80 set in all but the last (LEB128)

Everything is exact: NaN keeps its bits, a list of nulls is neither null nor empty. Reading a cell takes the very
layout that it was written with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.core.ragged import Ragged, constant, fixed, joined, of_binary, of_fixed_width, varints
from jukebox.errors import InvalidType

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
_PLAIN = {"large_string": pa.string(), "string_view": pa.string()}
_PLAIN |= {"large_binary": pa.binary(), "binary_view": pa.binary()}


def plain_type(of: pa.DataType) -> pa.DataType:
    """Return the type that a cell holds for a column of type ``of``: dictionaries, large types and views undone.

    Raises InvalidType for what a cell cannot hold: maps, unions, intervals and the like.
    """
    if pa.types.is_dictionary(of):
        return plain_type(of.value_type)
    if pa.types.is_fixed_size_list(of):
        return pa.list_(plain_type(of.value_type), of.list_size)
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        return pa.list_(plain_type(of.value_type))
    if pa.types.is_struct(of) and of.num_fields > 0:
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in of])
    plain = _PLAIN.get(str(of), of)
    if is_text(plain) or is_fixed_width(plain) or pa.types.is_boolean(plain) or pa.types.is_null(plain):
        return plain
    raise InvalidType(f"a cell cannot hold {of}; it holds bools, numbers, times, text, bytes, lists and structs")


def is_text(of: pa.DataType) -> bool:
    """Return whether cells hold this type as a length and bytes."""
    return bool(pa.types.is_string(of) or pa.types.is_binary(of))


def is_list(of: pa.DataType) -> bool:
    """Return whether cells hold this type as a length and items."""
    return bool(pa.types.is_list(of) or pa.types.is_fixed_size_list(of))


def is_fixed_width(of: pa.DataType) -> bool:
    """Return whether cells hold this type as its bytes in Arrow."""
    numeric = pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of)
    # Intervals are temporal to Arrow and have no order.
    temporal = pa.types.is_temporal(of) and not str(of).startswith("month")
    return bool(numeric or temporal or (pa.types.is_fixed_size_binary(of) and of.byte_width > 0))


def encode(columns: Sequence[pa.Array]) -> pa.LargeBinaryArray:
    """Return the cell of each row of ``columns``: event and created time where there are any, then the values.

    The columns are of equal length, at least one, and of types that ``plain_type`` returned.
    """
    return joined([constant(VERSION, len(columns[0])), *_fields(columns)]).to_arrow()


def _fields(columns: Sequence[pa.Array]) -> list[Ragged]:
    nulls = [np.asarray(column.is_null().to_numpy(zero_copy_only=False)) for column in columns]
    bitmap = fixed(np.packbits(np.column_stack(nulls), axis=1, bitorder="little"))
    return [bitmap, *map(_packed, columns)]


def _packed(array: pa.Array) -> Ragged:
    if array.null_count == 0:
        return _whole(array)
    valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
    return _whole(array.drop_null()).spread(valid)


def _whole(array: pa.Array) -> Ragged:
    if pa.types.is_null(array.type):
        return fixed(np.zeros((len(array), 0)))
    if pa.types.is_boolean(array.type):
        return fixed(array.cast(pa.uint8()).to_numpy()[:, None])
    if is_text(array.type):
        strings = of_binary(array)
        return joined([varints(strings.lengths), strings])
    if is_list(array.type):
        return _lists(array)
    if pa.types.is_struct(array.type):
        return joined(_fields(array.flatten()))
    return of_fixed_width(array)


def _lists(array: pa.Array) -> Ragged:
    if pa.types.is_fixed_size_list(array.type):
        counts = np.full(len(array), array.type.list_size, np.int64)
    else:
        counts = array.value_lengths().to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    items = array.flatten()
    null = np.asarray(items.is_null().to_numpy(zero_copy_only=False))
    nulls_before = np.concatenate([[0], np.cumsum(null)])
    marked = np.diff(nulls_before[offsets]) > 0
    packed = _packed(items)
    if marked.any():
        each = np.repeat(marked, counts)
        packed = joined([fixed(~null[each][:, None]).spread(each), packed])
    return joined([varints(counts * 2 + marked), packed.grouped(offsets)])
