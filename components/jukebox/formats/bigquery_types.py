"""What BigQuery makes of Arrow's types, and Arrow of BigQuery's, without a network.

Reading follows the Storage Read API's Arrow types. Before a load every column is cast to the type that comes back, so
that nothing is rounded on the way: finer times, wider decimals and null lists are refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import CorruptData, InvalidType, InvalidValue, reason
from jukebox.formats.columns import chosen
from jukebox.formats.embeddings import loose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Digits before and after the point.
NUMERIC, BIGNUMERIC = (29, 9), (38, 38)
ARROW = {
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
}


def bigquery_type(kind: pa.DataType, name: str) -> str:
    """Return the type of one value of a column in BigQuery; InvalidType for one that it does not have."""
    test = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return bigquery_type(kind.storage_type, name)
    if test.is_dictionary(kind):
        return bigquery_type(kind.value_type, name)
    if test.is_decimal(kind):
        before = kind.precision - kind.scale
        for word, (most, after) in {"NUMERIC": NUMERIC, "BIGNUMERIC": BIGNUMERIC}.items():
            if before <= most and 0 <= kind.scale <= after:
                return word
    words = {
        "BOOLEAN": test.is_boolean,
        "INTEGER": test.is_integer,
        "FLOAT": test.is_floating,
        "DATE": test.is_date,
        "TIME": test.is_time,
        "STRING": lambda each: test.is_string(each) or test.is_large_string(each),
        "BYTES": lambda each: (
            not test.is_decimal(each)
            and (test.is_binary(each) or test.is_large_binary(each) or test.is_fixed_size_binary(each))
        ),
    }
    if test.is_timestamp(kind):
        return "DATETIME" if kind.tz is None else "TIMESTAMP"
    if test.is_struct(kind) and kind.num_fields > 0:
        return "RECORD"
    found = next((word for word, holds in words.items() if holds(kind)), None)
    if found is None:
        raise InvalidType(f"column '{name}' is {kind}, which BigQuery cannot hold without loss")
    return found


def stored(field: pa.Field) -> pa.Field:
    """Return the field as it comes back from BigQuery; InvalidType for a type that it does not have."""
    return pa.field(field.name, _stored(field.type, field.name), field.nullable)


def _stored(kind: pa.DataType, name: str) -> pa.DataType:
    if _is_list(kind):
        if _is_list(kind.value_type):
            raise InvalidType(f"column '{name}' is {kind}, and BigQuery has no lists of lists")
        return pa.list_(_stored(kind.value_type, name))
    word = bigquery_type(kind, name)
    if word == "RECORD":
        return pa.struct([pa.field(field.name, _stored(field.type, f"{name}.{field.name}")) for field in kind])
    return ARROW[word]


def to_load(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch under the ``stored`` types.

    Raises InvalidValue for a value that they do not hold, and for a null list or a null in a list: BigQuery would make
    the one empty and has no other.
    """
    arrays = [_cast(column, field.type, field.name) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, kind: pa.DataType, name: str) -> pa.Array:  # noqa: PLR0911  a line a type
    if isinstance(array.type, pa.BaseExtensionType):
        return _cast(array.storage, kind, name)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_list(kind):
        array = loose(array)
        if array.null_count > 0 or array.flatten().null_count > 0:
            raise InvalidValue(f"column '{name}' has a null list or a null in a list, which BigQuery does not have")
        values = _cast(array.flatten(), kind.value_type, name)
        counts = pc.list_value_length(array).to_pylist()
        ends = pa.array([0, *_running(counts)], pa.int32())
        return pa.ListArray.from_arrays(ends, values).cast(kind)
    if pa.types.is_struct(kind):
        fields = [_cast(array.field(at), field.type, f"{name}.{field.name}") for at, field in enumerate(kind)]
        mask = pa.array(array.is_valid().to_numpy(zero_copy_only=False)).buffers()[1]
        return pa.Array.from_buffers(kind, len(array), [mask], children=fields)
    try:
        if pa.types.is_fixed_size_binary(array.type) and not pa.types.is_decimal(array.type):
            return pa.array(array.to_pylist(), kind)
        if pa.types.is_float16(array.type):
            return pa.array([None if each is None else float(each) for each in array.to_pylist()], kind)
        if pa.types.is_decimal(kind) and not array.type.equals(kind):
            return pa.array(array.to_pylist(), kind)
        return array.cast(kind)
    except pa.ArrowInvalid as exc:
        raise InvalidValue(f"column '{name}' has a value that BigQuery cannot hold: {reason(exc)}") from exc


def _running(counts: Sequence[int]) -> Iterator[int]:
    total = 0
    for count in counts:
        total += count
        yield total


def decoded(
    schema: bytes, batches: Iterable[bytes], columns: Sequence[str] | None, where: object
) -> Iterator[pa.RecordBatch]:
    """Yield the batches that the Storage Read API sends, with the asked columns in the asked order.

    Raises MissingColumn, and CorruptData for what is no batch of the schema.
    """
    found = schema_of(schema, where)
    names = chosen(columns, found.names, where)
    for packed in batches:
        try:
            batch = pa.ipc.read_record_batch(pa.py_buffer(packed), found)
            batch.validate(full=True)
        except (pa.ArrowInvalid, OSError) as exc:
            raise CorruptData(f"{where} sent what is no record batch: {reason(exc)}") from exc
        yield pa.RecordBatch.from_arrays([batch.column(found.get_field_index(name)) for name in names], names)


def schema_of(packed: bytes, where: object) -> pa.Schema:
    """Return the schema that a read session describes itself by; raises CorruptData."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(packed)).remove_metadata()
    except (pa.ArrowInvalid, OSError) as exc:
        raise CorruptData(f"{where} sent what is no schema: {reason(exc)}") from exc


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
