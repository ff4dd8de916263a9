"""Files whose schemas differ and yet fit: columns that some lack, and types that one of both holds whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNITS = ("s", "ms", "us", "ns")


def widened(schemas: Iterable[tuple[object, pa.Schema]]) -> pa.Schema:
    """Return the columns of all schemas, in the order in which they come, with the types that hold all values.

    Each schema comes with the file that it is of. A column that a file lacks is null in it. Whole numbers go to wider
    ones, float to double, times to finer units, null to anything; any other two types raise InvalidType naming both
    files.
    """
    fields: dict[str, pa.Field] = {}
    where: dict[str, object] = {}
    for path, schema in schemas:
        for field in schema:
            there = fields.setdefault(field.name, field)
            kind = holding(there.type, field.type)
            if kind is None:
                told = f"{field.type} in {path} and {there.type} in {where[field.name]}"
                raise InvalidType(f"column '{field.name}' is {told}")
            if field.name not in where or not kind.equals(there.type):
                fields[field.name], where[field.name] = there.with_type(kind), path
    return pa.schema(list(fields.values()))


def holding(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the type that holds every value of both, or None where neither holds the other's."""
    if first.equals(second) or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if pa.types.is_integer(first) and pa.types.is_integer(second):
        return _whole(first, second)
    if pa.types.is_timestamp(first) and pa.types.is_timestamp(second) and first.tz == second.tz:
        return max(first, second, key=lambda kind: _UNITS.index(kind.unit))
    pairs = ((pa.float32(), pa.float64()), (pa.string(), pa.large_string()), (pa.binary(), pa.large_binary()))
    return next((wide for narrow, wide in pairs if {first, second} == {narrow, wide}), None)


def _whole(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    signed = [pa.types.is_signed_integer(kind) for kind in (first, second)]
    if all(signed) or not any(signed):
        return max(first, second, key=lambda kind: kind.bit_width)
    plain, natural = (first, second) if signed[0] else (second, first)
    kinds = (pa.int16(), pa.int32(), pa.int64())
    return next((kind for kind in kinds if kind.bit_width >= max(plain.bit_width, 2 * natural.bit_width)), None)


def fitted(batch: pa.RecordBatch, schema: pa.Schema, keys: Mapping[str, pa.Scalar], path: object) -> pa.RecordBatch:
    """Return the batch in the columns of ``schema``: ``keys`` are the same in all rows, what is nowhere is null."""
    if batch.schema.equals(schema):
        return batch
    return pa.RecordBatch.from_arrays([_column(batch, field, keys, path) for field in schema], schema=schema)


def _column(batch: pa.RecordBatch, field: pa.Field, keys: Mapping[str, pa.Scalar], path: object) -> pa.Array:
    if field.name in keys:
        return pa.repeat(keys[field.name], batch.num_rows)
    at = batch.schema.get_field_index(field.name)
    if at < 0:
        return pa.nulls(batch.num_rows, field.type)
    values = batch.column(at)
    encoded = pa.types.is_dictionary(field.type)
    if values.type.equals(field.type) or (encoded and pa.types.is_dictionary(values.type)):
        return values
    try:
        return values.cast(field.type)
    except pa.ArrowInvalid as exc:
        raise InvalidValue(f"column '{field.name}' of {path} does not fit into {field.type}: {reason(exc)}") from exc
