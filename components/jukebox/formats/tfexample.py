"""Arrow to serialized ``tf.train.Example``, and what a column becomes in it.

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

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats.codec import coder
from jukebox.formats.columns import chosen

if TYPE_CHECKING:
    import numpy.typing as npt

    Sizes = npt.NDArray[np.int64]

BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3  # the fields of a Feature


def encode(batch: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Return the serialized example of each row.

    Raises InvalidType for a column that an example cannot hold, InvalidValue for a value that it cannot, or for a
    row beyond 2 GiB.
    """
    data, ends = _coded(batch, framed=False)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), batch.num_rows, buffers)


def framed(batch: pa.RecordBatch) -> bytes:
    """Return the examples of the rows in the frames of TFRecord; raises what ``encode`` does."""
    return _coded(batch, framed=True)[0]


def check(schema: pa.Schema) -> None:
    """Raise InvalidType for the first column that an example cannot hold, NameClash for a name used twice."""
    chosen(None, schema.names, "the table")
    for field in schema:
        if not pa.types.is_null(field.type):
            kind_of(field.name, element_type(field.type))


def _coded(batch: pa.RecordBatch, *, framed: bool) -> tuple[bytes, Sizes]:
    check(batch.schema)
    columns = [
        _column(field.name, column)
        for field, column in zip(batch.schema, batch.columns, strict=True)
        if not pa.types.is_null(field.type)
    ]
    ends = np.zeros(batch.num_rows + 1, np.int64)
    try:
        return coder.encode(batch.num_rows, columns, framed, ends), ends
    except ValueError as exc:
        raise InvalidValue(f"the rows are too long for tf.Example: {exc}") from exc


def _column(name: str, column: pa.Array) -> tuple[Any, ...]:
    """Return what the coder takes: name, kind, mask, counts and values of the rows in it, offsets of byte strings."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if str(column.type).endswith("_view"):
        column = column.cast(pa.large_binary())  # views know few kernels
    valid, dense = None, column
    if column.null_count > 0:
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        dense = column.drop_null()
    elements, counts = _elements(name, dense)
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    kind = kind_of(name, elements.type)
    if kind == BYTES_LIST:
        values = elements.cast(pa.large_binary())
        _, offsets, data = values.buffers()
        starts = np.frombuffer(offsets, np.int64, len(values) + 1, values.offset * 8)
        return name.encode(), kind, valid, counts, b"" if data is None else data, starts
    numbers = _floats(name, elements) if kind == FLOAT_LIST else _int64(name, elements)
    return name.encode(), kind, valid, counts, np.ascontiguousarray(numbers), None


def _elements(name: str, dense: pa.Array) -> tuple[pa.Array, Sizes | None]:
    if not is_list(dense.type):
        return dense, None
    elements = dense.flatten()
    if elements.null_count > 0:
        raise InvalidValue(f"column '{name}' has {elements.null_count} nulls inside of lists; tf.Example has none")
    if pa.types.is_fixed_size_list(dense.type):
        return elements, np.full(len(dense), dense.type.list_size, np.int64)
    return elements, pc.list_value_length(dense).to_numpy(zero_copy_only=False).astype(np.int64)


def _floats(name: str, elements: pa.Array) -> npt.NDArray[np.float32]:
    values = elements.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        rounded: npt.NDArray[np.float32] = values.astype("<f4", copy=False)
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


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds many values a row."""
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def element_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of one value: without its list, dictionary and extension."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    kind = kind.value_type if is_list(kind) else kind
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def kind_of(name: str, kind: pa.DataType) -> int:
    """Return the kind of list that holds values of type ``kind``; InvalidType where there is none."""
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
