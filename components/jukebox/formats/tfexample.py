"""Arrow to serialized ``tf.train.Example``, a column at a time and without a loop over rows.

What a column becomes, also inside of a list (one level):

=======================  ==========  ===========================================================
column                   kind        value
=======================  ==========  ===========================================================
bool, integers           int64_list  itself; a uint64 above 2**63 - 1 is refused
date                     int64_list  days since 1970-01-01
timestamp                int64_list  microseconds since 1970-01-01 (UTC); finer ones are refused
float16, 32, 64          float_list  as float32, the only float there is: a float64 is rounded
string, bytes            bytes_list  itself; text as UTF-8
dictionary, extension    as above    what it stands for
null                     none        the key is left out
=======================  ==========  ===========================================================

An empty list keeps its key. A null inside of a list, and every other type, is refused by name.
The same batch gives the same bytes: keys stand in the order of the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats.columns import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Sizes = npt.NDArray[np.int64]

BYTES_LIST, FLOAT_LIST, INT64_LIST = b"\x0a", b"\x12", b"\x1a"
FIRST, SECOND = b"\x0a", b"\x12"  # tags of a message's fields 1 and 2, both with a length
# Up to here a table of all sizes is cheaper than sorting them.
SMALL = 1 << 16


class _Rows(NamedTuple):
    """One piece of bytes a row; null where the row has no such key."""

    kind: bytes
    pieces: pa.LargeBinaryArray
    sizes: Sizes
    valid: npt.NDArray[np.bool_] | None


def encode(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Return the serialized example of each row.

    Raises InvalidType for a column that an example cannot hold, InvalidValue for a value that it cannot.
    """
    check(batch.schema)
    pieces: list[pa.LargeBinaryArray | pa.LargeBinaryScalar] = []
    total = np.zeros(batch.num_rows, np.int64)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        rows = _rows(field.name, column)
        heads, head_sizes = by_size(rows.sizes, rows.valid, _head_of(field.name, rows.kind))
        pieces += [heads, rows.pieces]
        total += head_sizes + rows.sizes
    outer, _ = by_size(total, None, lambda size: FIRST + _varint(size))
    return join(outer, *pieces, rows=batch.num_rows)


def check(schema: pa.Schema) -> None:
    """Raise InvalidType for the first column that an example cannot hold, NameClash for a name used twice."""
    chosen(None, schema.names, "the table")
    for field in schema:
        if not pa.types.is_null(field.type):
            kind_of(field.name, element_type(field.type))


def join(*pieces: pa.LargeBinaryArray | pa.LargeBinaryScalar, rows: int) -> pa.LargeBinaryArray:
    """Return the pieces of each row put together, nulls left out; a scalar stands in every row."""
    # An array among the pieces, or scalars alone would be joined to one scalar.
    empty = large_binary(np.zeros(rows + 1, np.int64), b"")
    separator = pa.scalar(b"", pa.large_binary())
    return pc.binary_join_element_wise(*pieces, empty, separator, null_handling="skip")


def large_binary(
    offsets: Sizes,
    data: bytes | pa.Buffer | npt.NDArray[np.generic],
    valid: npt.NDArray[np.bool_] | None = None,
) -> pa.LargeBinaryArray:
    """Return the slices of ``data`` between the ``offsets``, without a copy."""
    mask = None if valid is None else pa.array(valid).buffers()[1]
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def offsets_of(array: pa.LargeBinaryArray) -> Sizes:
    """Return where each value begins in the data buffer, and where the last ends."""
    return np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, array.offset * 8)


def _rows(name: str, column: pa.Array) -> _Rows:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if str(column.type).endswith("_view"):
        column = column.cast(pa.large_binary())  # views know few kernels
    valid, dense = None, column
    if column.null_count > 0:
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        dense = column.drop_null()
    elements, counts = _elements(name, dense)
    kind, data, starts = _encoded(name, elements)
    if counts is not None:
        starts = starts[offsets_from(counts)]
    sizes = np.zeros(len(column), np.int64)
    sizes[slice(None) if valid is None else valid] = np.diff(starts)
    return _Rows(kind, large_binary(offsets_from(sizes), data, valid), sizes, valid)


def _elements(name: str, dense: pa.Array) -> tuple[pa.Array, Sizes | None]:
    if not is_list(dense.type):
        return dense, None
    elements = dense.flatten()
    if elements.null_count > 0:
        raise InvalidValue(f"column '{name}' has {elements.null_count} nulls inside of lists; tf.Example has none")
    if pa.types.is_fixed_size_list(dense.type):
        return elements, np.full(len(dense), dense.type.list_size, np.int64)
    return elements, pc.list_value_length(dense).to_numpy(zero_copy_only=False).astype(np.int64)


def _encoded(name: str, elements: pa.Array) -> tuple[bytes, pa.Buffer | npt.NDArray[np.generic], Sizes]:
    """Return the kind, the bytes of all elements one after the other, and where each begins."""
    if pa.types.is_null(elements.type):
        return BYTES_LIST, np.empty(0, np.uint8), np.zeros(1, np.int64)
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    kind = kind_of(name, elements.type)
    if kind == BYTES_LIST:
        values = elements.cast(pa.large_binary())
        heads, _ = by_size(np.diff(offsets_of(values)), None, lambda size: FIRST + _varint(size))
        values = join(heads, values, rows=len(values))
        data = values.buffers()[2]
        return kind, np.empty(0, np.uint8) if data is None else data, offsets_of(values)
    if kind == FLOAT_LIST:
        return kind, _floats(name, elements), np.arange(len(elements) + 1, dtype=np.int64) * 4
    data, sizes = varints(_int64(name, elements))
    return kind, data, offsets_from(sizes)


def _floats(name: str, elements: pa.Array) -> npt.NDArray[np.float32]:
    values = elements.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        rounded: npt.NDArray[np.float32] = values.astype("<f4")
    if values.dtype == np.float64 and np.count_nonzero(np.isinf(rounded)) > np.count_nonzero(np.isinf(values)):
        raise InvalidValue(f"column '{name}' has values beyond float32, the only float of tf.Example")
    return rounded


def _int64(name: str, elements: pa.Array) -> npt.NDArray[np.int64]:
    try:
        if pa.types.is_timestamp(elements.type):
            elements = elements.cast(pa.timestamp("us", elements.type.tz))
        elif pa.types.is_date(elements.type):
            elements = elements.cast(pa.date32()).cast(pa.int32())
        whole: npt.NDArray[np.int64] = elements.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as exc:
        raise InvalidValue(f"column '{name}' ({elements.type}) has a value that int64 does not hold: {exc}") from exc
    return whole


def varints(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], Sizes]:
    """Return the values as base-128 varints one after the other, and the bytes of each: 1 to 10."""
    left = values.view(np.uint64)
    sizes = np.ones(len(left), np.int64)
    most = len(_varint(int(left.max(initial=0))))
    digits = np.empty((len(left), most), np.uint8)
    for place in range(most):
        digits[:, place] = left
        left = left >> np.uint64(7)
        more = left != 0
        digits[:, place] &= 0x7F
        digits[:, place] |= more.view(np.uint8) << 7
        sizes += more
    if sizes.min(initial=most) == most:
        return digits.reshape(-1), sizes
    return digits[np.arange(most) < sizes[:, None]], sizes


def by_size(
    sizes: Sizes, valid: npt.NDArray[np.bool_] | None, head: Callable[[int], bytes]
) -> tuple[pa.LargeBinaryArray | pa.LargeBinaryScalar, Sizes]:
    """Return ``head(size)`` for each row (null where not valid), and its length, calling it once a size."""
    if sizes.max(initial=0) < SMALL:
        present = np.flatnonzero(np.bincount(sizes))
        places = np.zeros(SMALL, np.int32)
        places[present] = np.arange(len(present), dtype=np.int32)
        index = places[sizes]
    else:
        present, index = np.unique(sizes, return_inverse=True)
    heads = [head(size) for size in present.tolist()]
    lengths = np.array([len(each) for each in heads], np.int64)
    if valid is None and len(heads) == 1:
        return pa.scalar(heads[0], pa.large_binary()), lengths[index]
    taken = pa.array(index, mask=None if valid is None else ~valid)
    return pa.array(heads, pa.large_binary()).take(taken), lengths[index] * (1 if valid is None else valid)


def _head_of(name: str, kind: bytes) -> Callable[[int], bytes]:
    """Return what stands before a row's ``size`` bytes of values, up to the entry of the map of features."""
    text = name.encode()
    key = FIRST + _varint(len(text)) + text

    def head(size: int) -> bytes:
        packed = b"" if kind == BYTES_LIST or size == 0 else FIRST + _varint(size)
        values = kind + _varint(len(packed) + size) + packed
        feature = SECOND + _varint(len(values) + size) + values
        return FIRST + _varint(len(key) + len(feature) + size) + key + feature

    return head


def _varint(value: int) -> bytes:
    digits = []
    while value >> 7:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def offsets_from(sizes: Sizes) -> Sizes:
    """Return where each of the sizes begins, and where the last ends."""
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return offsets


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds many values a row."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def element_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of one value: without its list, dictionary and extension."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    kind = kind.value_type if is_list(kind) else kind
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def kind_of(name: str, kind: pa.DataType) -> bytes:
    """Return the tag of the list that holds values of type ``kind``; InvalidType where there is none."""
    test = pa.types
    if test.is_integer(kind) or test.is_boolean(kind) or test.is_date(kind) or test.is_timestamp(kind):
        return INT64_LIST
    if test.is_floating(kind):
        return FLOAT_LIST
    if str(kind).removeprefix("large_").removesuffix("_view") in {"string", "binary"}:
        return BYTES_LIST
    if test.is_fixed_size_binary(kind) and not test.is_decimal(kind):
        return BYTES_LIST
    raise InvalidType(f"column '{name}' holds {kind}, which tf.Example does not; it has int64, float and bytes")
