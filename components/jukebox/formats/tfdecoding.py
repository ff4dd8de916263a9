"""Serialized ``tf.train.Example`` and ``SequenceExample`` to Arrow: the way back from ``tfexample``.

An example knows int64, float32 and bytes, always in lists: all else takes a declared type, read back as
``tfexample`` writes it. A missing key, and a key without a kind, are null. A key among the feature lists of a
SequenceExample is a list of lists, with a null for a feature without a kind; an Example is one without such lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.formats.codec import coder
from jukebox.formats.columns import quoted, repeated
from jukebox.formats.embeddings import fixed
from jukebox.formats.tfexample import BYTES_LIST, FLOAT_LIST, INT64_LIST, element_type, is_list, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from jukebox.formats.framing import Block

    Counts = npt.NDArray[np.int32]
    Wanted = list[tuple[bytes, int, int]]

WHAT = "TFRecord of tf.Example"


@dataclass(frozen=True)
class Lists:
    """A key's values one after the other, and how many a row has, -1 for none.

    Of a nested key ``counts`` are features, and ``inner`` is what each of these has.
    """

    name: str
    nested: bool
    values: pa.Array
    counts: Counts
    inner: Counts

    def to_arrow(self) -> pa.Array:
        """Return a list a row, or a list of lists; nulls where no kind is known."""
        if pa.types.is_null(self.values.type) and not self.nested:
            return pa.nulls(len(self.counts))
        values = _lists(pa.list_(self.values.type), self.values, self.inner) if self.nested else self.values
        return _lists(pa.list_(values.type), values, self.counts)


@dataclass(frozen=True)
class Shape:
    """What rows hold under a key: the type of a value, null where no kind is seen; lists of lists; more than one."""

    element: pa.DataType
    nested: bool
    many: bool


def decoded(block: Block, wanted: Wanted | None = None) -> list[Lists]:
    """Return the wanted keys of the records, in their order; with None all that there are, as they come.

    Raises CorruptData with the place where a record is no example; InvalidType where a key holds another kind than
    is wanted, or two; NameClash for a key among the features and among the feature lists too.
    """
    try:
        found = coder.decode(block.data, np.ascontiguousarray(block.spans), wanted)
    except ValueError as exc:
        why, row, at, name = exc.args
        fault = block.corrupt(WHAT, why, row, at)
        if name is None:
            raise fault from exc
        raise InvalidType(
            f"key '{name.decode()}' of {block.path} holds another kind than is declared or was found before: "
            f"{why}, at byte {block.start + at}, in record {block.first + row}"
        ) from exc
    lists = [
        Lists(
            name.decode(), bool(nested), _array(kind, values, ends), *(np.frombuffer(each, np.int32) for each in counts)
        )
        for name, nested, kind, *counts, values, ends in found
    ]
    twice = repeated([each.name for each in lists])
    if twice:
        raise NameClash(f"{block.path} has {quoted(twice)} among the features and among the feature lists too")
    return lists


def wanted(schema: pa.Schema) -> Wanted:
    """Return what to ask the decoder for: the columns of ``schema`` but those that are null in every row."""
    return [
        (field.name.encode(), int(_is_nested(field.type)), kind_of(field.name, _innermost(field.type)))
        for field in schema
        if not pa.types.is_null(field.type)
    ]


def shapes(found: Iterable[list[Lists]]) -> dict[str, Shape]:
    """Return the shape of every key; InvalidType for one with two kinds."""
    shapes: dict[str, Shape] = {}
    for lists in found:
        for each in lists:
            old = shapes.get(each.name, Shape(pa.null(), each.nested, many=False))
            if old.nested != each.nested:
                raise NameClash(f"key '{each.name}' is among the features and among the feature lists too")
            element = _met(each.name, old.element, each.values.type)
            shapes[each.name] = Shape(element, each.nested, old.many or bool(each.counts.max(initial=0) > 1))
    return shapes


def typed(found: Iterable[Lists], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """Return the columns of lists under ``schema``.

    Raises InvalidValue for a second value where a scalar is due, and for a value outside of the type.
    """
    there = {each.name: each for each in found}
    columns = [
        _column(field, there[field.name]) if field.name in there else pa.nulls(rows, field.type) for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _numbers(data: bytes) -> Counts:
    return np.frombuffer(data, np.int32)


def _array(kind: int, values: bytes, ends: bytes) -> pa.Array:
    data = pa.py_buffer(values)
    if kind == INT64_LIST:
        return pa.Array.from_buffers(pa.int64(), len(values) // 8, [None, data])
    if kind == FLOAT_LIST:
        return pa.Array.from_buffers(pa.float32(), len(values) // 4, [None, data])
    if kind != BYTES_LIST:
        return pa.nulls(0)
    wide = len(values) >= 1 << 31
    offsets = np.concatenate([[0], np.frombuffer(ends, np.int64)]).astype(np.int64 if wide else np.int32)
    text = pa.large_binary() if wide else pa.binary()
    return pa.Array.from_buffers(text, len(offsets) - 1, [None, pa.py_buffer(offsets), data])


def _met(name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_null(one) or one.equals(other):
        return other
    if pa.types.is_null(other) or {str(one), str(other)} == {"binary", "large_binary"}:
        return one
    raise InvalidType(f"key '{name}' holds {one} in some records and {other} in others")


def _is_nested(kind: pa.DataType) -> bool:
    return is_list(kind) and is_list(kind.value_type)


def _innermost(kind: pa.DataType) -> pa.DataType:
    return element_type(kind.value_type if _is_nested(kind) else kind)


def _column(field: pa.Field, lists: Lists) -> pa.Array:
    try:
        values = _values(lists.values, _innermost(field.type))
        if lists.nested:
            values = _lists(field.type.value_type, values, lists.inner)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise InvalidValue(f"key '{field.name}' does not hold {field.type}: {exc}") from exc
    if not is_list(field.type):
        return _scalars(field, values, lists.counts)
    if pa.types.is_fixed_size_list(field.type):
        return fixed(values, np.maximum(lists.counts, 0), lists.counts >= 0, field)
    return _lists(field.type, values, lists.counts)


def _lists(kind: pa.DataType, values: pa.Array, counts: Counts) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        return fixed(values, np.maximum(counts, 0), counts >= 0, pa.field("inner", kind))
    starts = np.zeros(len(counts) + 1, np.int64 if pa.types.is_large_list(kind) else np.int32)
    np.cumsum(np.maximum(counts, 0), out=starts[1:])
    mask = pa.array(counts >= 0).buffers()[1] if counts.min(initial=0) < 0 else None
    return pa.Array.from_buffers(kind, len(counts), [mask, pa.py_buffer(starts)], children=[values])


def _scalars(field: pa.Field, values: pa.Array, counts: Counts) -> pa.Array:
    if counts.max(initial=0) > 1:
        raise InvalidValue(f"key '{field.name}' is declared {field.type} and a row holds {counts.max()} values")
    if len(values) == len(counts):
        scalars = values
    else:
        present = counts > 0
        scalars = values.take(pa.array(np.cumsum(present) - 1, mask=~present))
    if pa.types.is_dictionary(field.type):
        encoded = scalars.dictionary_encode()
        indices = encoded.indices.cast(field.type.index_type)
        return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)
    return scalars


def _values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(values.type):
        return pa.array([], kind)
    if pa.types.is_boolean(kind) and pc.any(pc.greater_equal(values.view(pa.uint64()), 2)).as_py():
        raise pa.ArrowInvalid("a value is neither 0 nor 1")
    if pa.types.is_fixed_size_binary(kind):
        return _fixed_bytes(values, kind)
    if pa.types.is_float16(kind):
        return pa.array(values.to_numpy(zero_copy_only=False).astype(np.float16))
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", kind.tz))
    elif pa.types.is_date(kind):
        values = values.cast(pa.int32()).cast(pa.date32())
    return values if values.type.equals(kind) else values.cast(kind)


def _fixed_bytes(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pc.any(pc.not_equal(pc.binary_length(values), kind.byte_width)).as_py():
        raise pa.ArrowInvalid(f"a value is not {kind.byte_width} bytes long")
    return pa.Array.from_buffers(kind, len(values), [None, values.buffers()[2]])
