"""Columns in the keys of ``tf.train.Example`` with nothing lost: what an example rounds stands beside it once more.

::

    <column>          the value as ``formats.tfexample`` writes it; left out where it is null, and where there is no
                      such value: a decimal, an integer beyond int64, a list that holds a null
    <column> exact    the packed cell (``core.cells``) of that one value, in the rows where the first key is not it:
                      left out too, or a float64 that float32 rounds

So TensorFlow reads the first key as ever, and whoever needs each bit reads both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core import cells
from jukebox.core.cell_reading import reader
from jukebox.errors import CorruptData, InvalidType
from jukebox.formats.tfexample import is_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Truths = NDArray[np.bool_]

_EXACT = pa.binary()
_MOST = np.uint64(2**63 - 1)
# A cell of one value without nulls: the version, a bitmap of no bit, the value.
_HEAD = 2


def exact_key(column: str) -> str:
    """Return the key of the packed cells of a column."""
    return f"{column} exact"


def example_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns that a table of ``schema`` is written to an example as."""
    fields = []
    for field in schema:
        if _has_form(field.type):
            fields.append(pa.field(field.name, field.type))
        if _may_lose(field.type):
            fields.append(pa.field(exact_key(field.name), _EXACT))
    return pa.schema(fields)


def to_examples(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch under ``example_schema``; raises InvalidType for a type that no cell can hold."""
    made = example_schema(batch.schema)
    columns: dict[str, pa.Array] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        columns |= {name: column} if not _may_lose(column.type) else _split(name, column)
    return pa.RecordBatch.from_arrays([columns[name] for name in made.names], schema=made)


def from_examples(found: Mapping[str, pa.Array], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """Return the columns of ``schema`` from the keys ``found``; raises CorruptData for what is no cell of its type."""
    columns = []
    for field in schema:
        kept, exact = found.get(field.name), found.get(exact_key(field.name))
        kept = pa.nulls(rows, field.type) if kept is None else kept
        columns.append(kept if exact is None or exact.null_count == rows else _met(kept, exact))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _element(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_list(kind) else kind


def _has_form(kind: pa.DataType) -> bool:
    """Return whether an example has values for the type: of times, whole microseconds and days alone are exact."""
    element, test = _element(kind), pa.types
    if test.is_timestamp(element):
        return bool(element.unit == "us")
    tests = test.is_boolean, test.is_integer, test.is_floating, test.is_date32, test.is_string, test.is_binary
    return any(test(element) for test in tests) or _is_bytes(element)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_binary(kind) and not pa.types.is_decimal(kind)


def _may_lose(kind: pa.DataType) -> bool:
    if pa.types.is_null(kind):
        return False
    return is_list(kind) or not _has_form(kind) or pa.types.is_float64(kind) or pa.types.is_uint64(kind)


def _split(name: str, column: pa.Array) -> dict[str, pa.Array]:
    kind, rows = column.type, len(column)
    dense = column.drop_null()
    places = np.flatnonzero(np.asarray(column.is_valid().to_numpy(zero_copy_only=False)))
    if not _has_form(kind):
        return {exact_key(name): _spread(_packed(dense), places, rows)}
    rounded, unfit = (_of_rows(dense, flags) for flags in _faults(dense.flatten() if is_list(kind) else dense))
    told = rounded | unfit
    exact = _spread(_packed(dense.take(pa.array(np.flatnonzero(told)))), places[told], rows)
    kept = column if not unfit.any() else _spread(dense.take(pa.array(np.flatnonzero(~unfit))), places[~unfit], rows)
    return {name: kept, exact_key(name): exact}


def _faults(items: pa.Array) -> tuple[Truths, Truths]:
    """Return which of the values an example rounds, and which it cannot hold."""
    rounded = np.zeros(len(items), np.bool_)
    unfit = np.asarray(items.is_null().to_numpy(zero_copy_only=False), np.bool_)
    if pa.types.is_float64(items.type):
        values = np.asarray(items.to_numpy(zero_copy_only=False), np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            back = values.astype(np.float32).astype(np.float64)
        rounded = back.view(np.int64) != values.view(np.int64)
        unfit = unfit | (np.isinf(back) & ~np.isinf(values))
    if pa.types.is_uint64(items.type):
        unfit = unfit | (np.asarray(pc.fill_null(items, 0).to_numpy(zero_copy_only=False)) > _MOST)
    return rounded, unfit


def _of_rows(dense: pa.Array, flags: Truths) -> Truths:
    """Return which rows have a value that is flagged, where the values are those of lists."""
    if not is_list(dense.type):
        return flags
    if pa.types.is_fixed_size_list(dense.type):
        counts = np.full(len(dense), dense.type.list_size, np.int64)
    else:
        counts = pc.list_value_length(dense).to_numpy(zero_copy_only=False).astype(np.int64)
    found = np.zeros(len(dense), np.bool_)
    found[np.repeat(np.arange(len(dense)), counts)[flags]] = True
    return found


def _packed(values: pa.Array) -> pa.Array:
    plain = cells.plain_type(values.type)
    if values.type != plain:
        raise InvalidType(f"{values.type} has no cell of its own, as {plain} has")
    return cells.encode([values]).cast(_EXACT)


def _spread(values: pa.Array, places: NDArray[np.int64], rows: int) -> pa.Array:
    """Return ``rows`` values: those given at their places, and null at all others."""
    if len(values) == rows:
        return values
    at = np.zeros(rows, np.int64)
    missing = np.ones(rows, np.bool_)
    at[places], missing[places] = np.arange(len(places)), False
    return values.take(pa.array(at, mask=missing))


def _met(kept: pa.Array, exact: pa.Array) -> pa.Array:
    told = np.asarray(exact.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    at = np.arange(len(kept))
    at[told] = len(kept) + np.arange(int(told.sum()))
    return pa.concat_arrays([kept, _unpacked(exact.drop_null(), kept.type)]).take(pa.array(at))


def _unpacked(packed: pa.Array, kind: pa.DataType) -> pa.Array:
    if cells.is_fixed_width(kind):
        return _numbers(packed, kind)
    read = reader([kind])
    values: list[Any] = [read(cell)[0] for cell in packed.to_pylist()]
    return pa.array(values, kind)


def _numbers(packed: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return what ``reader`` would, for the cells of one number each, all at once."""
    width = _HEAD + kind.bit_width // 8
    lengths = pc.binary_length(packed).to_numpy(zero_copy_only=False)
    data = np.frombuffer(b"".join(packed.to_pylist()), np.uint8)
    if np.any(lengths != width) or np.any(data.reshape(-1, width)[:, :_HEAD] != (cells.VERSION, 0)):
        raise CorruptData(f"a packed cell is not that of one {kind}")
    values = np.ascontiguousarray(data.reshape(-1, width)[:, _HEAD:])
    return pa.Array.from_buffers(kind, len(packed), [None, pa.py_buffer(values)])
