"""Serialized ``tf.train.Example`` to Arrow, by tfx_bsl's decoder: the way back from ``tfexample``.

An example knows int64, float32 and bytes, always in lists: all else takes a declared type, read back
as ``tfexample`` writes it. A missing key, and a key without a kind, are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue, MissingDependency
from jukebox.formats.embeddings import fixed
from jukebox.formats.tfexample import (
    BYTES_LIST,
    FLOAT_LIST,
    element_type,
    is_list,
    kind_of,
    offsets_from,
    offsets_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    Decode = Callable[[list[bytes]], pa.RecordBatch]
    Counts = npt.NDArray[np.int64]

Shape = tuple[pa.DataType, bool]  # type of an element, null where no kind is seen; more than one a row


def shapes(batches: Iterable[pa.RecordBatch]) -> dict[str, Shape]:
    """Return every key of the decoded batches: its element type, and whether a row holds more than one."""
    found: dict[str, Shape] = {}
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            kind, many = found.get(name, (pa.null(), False))
            if not pa.types.is_null(column.type):
                kind = _met(name, kind, column.type.value_type)
                many = many or (pc.max(pc.list_value_length(column)).as_py() or 0) > 1
            found[name] = (kind, many)
    return found


def decoder(schema: pa.Schema | None = None) -> Decode:
    """Return what turns records into columns of lists: those of ``schema``, or all that there are.

    Raises MissingDependency where tfx_bsl is not installed. Its import costs 0.1 s and brings no TensorFlow.
    """
    try:
        from tensorflow_metadata.proto.v0 import schema_pb2
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder
    except ImportError as exc:
        raise MissingDependency.of("tfx-bsl", "tfx") from exc
    if schema is None:
        return cast("Decode", ExamplesToRecordBatchDecoder().DecodeBatch)
    kinds = {BYTES_LIST: schema_pb2.BYTES, FLOAT_LIST: schema_pb2.FLOAT}
    wanted = schema_pb2.Schema()
    for field in schema:
        if not pa.types.is_null(field.type):
            kind = kind_of(field.name, element_type(field.type))
            wanted.feature.add(name=field.name, type=kinds.get(kind, schema_pb2.INT))
    return cast("Decode", ExamplesToRecordBatchDecoder(wanted.SerializeToString()).DecodeBatch)


def typed(lists: pa.RecordBatch, schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """Return the columns of lists under ``schema``.

    Raises InvalidValue for a second value where a scalar is due, and for a value outside of the type.
    """
    columns = []
    for field in schema:
        at = lists.schema.get_field_index(field.name)
        columns.append(pa.nulls(rows, field.type) if at < 0 else _column(field, lists.column(at)))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _met(name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_null(one) or one.equals(other):
        return other
    raise InvalidType(f"key '{name}' holds {one} in some records and {other} in others")


def _column(field: pa.Field, lists: pa.LargeListArray) -> pa.Array:
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    try:
        values = _values(lists.flatten(), element_type(field.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise InvalidValue(f"key '{field.name}' does not hold {field.type}: {exc}") from exc
    if is_list(field.type):
        return _lists(field, values, counts, lists.is_valid().to_numpy(zero_copy_only=False))
    return _scalars(field, values, counts)


def _lists(field: pa.Field, values: pa.Array, counts: Counts, valid: npt.NDArray[np.bool_]) -> pa.Array:
    if pa.types.is_fixed_size_list(field.type):
        return fixed(values, counts, valid, field)
    starts = offsets_from(counts).astype(np.int64 if pa.types.is_large_list(field.type) else np.int32)
    buffers = [pa.array(valid).buffers()[1], pa.py_buffer(starts)]
    return pa.Array.from_buffers(field.type, len(counts), buffers, children=[values])


def _scalars(field: pa.Field, values: pa.Array, counts: Counts) -> pa.Array:
    if counts.max(initial=0) > 1:
        raise InvalidValue(f"key '{field.name}' is declared {field.type} and a row holds {counts.max()} values")
    places = pa.array(np.cumsum(counts) - 1, mask=counts == 0)
    scalars = values.take(places)
    if pa.types.is_dictionary(field.type):
        encoded = scalars.dictionary_encode()
        indices = encoded.indices.cast(field.type.index_type)
        return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)
    return scalars


def _values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp("us", kind.tz)).cast(kind)
    if pa.types.is_date(kind):
        return values.cast(pa.int32()).cast(pa.date32()).cast(kind)
    if pa.types.is_boolean(kind) and pc.any(pc.greater_equal(values.view(pa.uint64()), 2)).as_py():
        raise pa.ArrowInvalid("a value is neither 0 nor 1")
    if pa.types.is_float16(kind):
        return pa.array(values.to_numpy(zero_copy_only=False).astype(np.float16))
    if pa.types.is_fixed_size_binary(kind):
        starts = offsets_of(values)
        if np.any(np.diff(starts) != kind.byte_width):
            raise pa.ArrowInvalid(f"a value is not {kind.byte_width} bytes long")
        data = pa.py_buffer(b"") if len(values) == 0 else values.buffers()[2].slice(int(starts[0]))
        return pa.Array.from_buffers(kind, len(values), [None, data])
    return values.cast(kind)
