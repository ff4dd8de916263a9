"""Entity keys as small integers: every key that the labels hold gets a code, all others get -1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.asof_times import Integers, Truths, combined, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNKNOWN = -1
_LONG = 64
_TEXT, _BYTES = ("string", "large_string", "string_view"), ("binary", "large_binary", "binary_view")


class Keys(Protocol):
    """The distinct values of one label column."""

    def codes(self, column: pa.ChunkedArray) -> Integers:
        """Return the code of each value in the column, -1 for null and for what no label has."""
        ...

    def __len__(self) -> int:
        """Return how many codes there are."""
        ...


def family(kind: pa.DataType) -> str | None:
    """Return the name of all types that a key of this type may meet, or None where it can be no key.

    Integers of any width meet, texts of any layout, byte strings of any layout; a null column meets all.
    """
    if pa.types.is_dictionary(kind):
        return family(kind.value_type)
    if pa.types.is_integer(kind):
        return "integer"
    name = str(kind)
    if name in _TEXT:
        return "text"
    if name in _BYTES:
        return "bytes"
    arrow_compares = pa.types.is_decimal(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_null(kind)
    return name if arrow_compares or _is_number(kind) else None


def keys_of(column: pa.ChunkedArray) -> Keys:
    """Return the distinct keys of a label column."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind):
        return NoKeys()
    plain = _decoded(column)
    if not _is_number(kind):
        # Unique values of a long column fit where all of them would overflow 32-bit offsets.
        return OtherKeys(pc.unique(_without_views(plain)).drop_null())
    numbers, known = _numbers(plain)
    return NumberKeys(whole_keys(numbers[known]), unsigned=pa.types.is_uint64(kind))


@dataclass(frozen=True)
class NoKeys:
    """The keys of a column that holds nothing but nulls."""

    def codes(self, column: pa.ChunkedArray) -> Integers:
        """Return -1 for every row."""
        return np.full(len(column), UNKNOWN, np.int64)

    def __len__(self) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True)
class NumberKeys:
    """Keys whose values are 64 bits or fewer: integers, times, bools, floats (-0.0 is 0.0, NaN is null)."""

    known: WholeKeys
    unsigned: bool

    def codes(self, column: pa.ChunkedArray) -> Integers:
        """Return the code of each value."""
        return _through_dictionaries(self._code, column)

    def _code(self, column: pa.ChunkedArray) -> Integers:
        numbers, known = _numbers(column)
        # The same 64 bits are one number signed and another unsigned.
        if self.unsigned != pa.types.is_uint64(column.type):
            known = known & (numbers >= 0)
        return np.where(known, self.known.codes(numbers), UNKNOWN)

    def __len__(self) -> int:
        """Return how many codes there are."""
        return len(self.known.values)


@dataclass(frozen=True)
class OtherKeys:
    """Keys that Arrow compares: text, byte strings, decimals."""

    known: pa.Array

    def codes(self, column: pa.ChunkedArray) -> Integers:
        """Return the code of each value."""
        return _through_dictionaries(self._code, column)

    def _code(self, column: pa.ChunkedArray) -> Integers:
        if pa.types.is_null(column.type) or len(self.known) == 0:
            return np.full(len(column), UNKNOWN, np.int64)
        values = _without_views(column)
        found = combined(pc.index_in(values, value_set=self.known.cast(values.type)))
        return np.asarray(found.fill_null(UNKNOWN).to_numpy(), dtype=np.int64)

    def __len__(self) -> int:
        """Return how many codes there are."""
        return len(self.known)


@dataclass(frozen=True)
class WholeKeys:
    """Distinct int64 values, ascending; ``table`` leads from value - least to code where the span is small."""

    values: Integers
    table: Integers | None

    def codes(self, numbers: Integers) -> Integers:
        """Return the position of each number among the values, -1 where it is not there."""
        if len(self.values) == 0:
            return np.full(len(numbers), UNKNOWN, np.int64)
        if self.table is None:
            found = pc.index_in(pa.array(numbers), value_set=pa.array(self.values))
            return np.asarray(found.fill_null(UNKNOWN).to_numpy(), dtype=np.int64)
        least, greatest = self.values[0], self.values[-1]
        inside = (numbers >= least) & (numbers <= greatest)
        return np.where(inside, self.table[np.where(inside, numbers, least) - least], UNKNOWN)


def whole_keys(numbers: Integers) -> WholeKeys:
    """Return the distinct numbers, ready to be looked up."""
    values = np.unique(numbers)
    if len(values) == 0 or int(values[-1]) - int(values[0]) > 8 * len(values) + 65_536:
        return WholeKeys(values, None)
    table = np.full(int(values[-1]) - int(values[0]) + 1, UNKNOWN, np.int64)
    table[values - values[0]] = np.arange(len(values))
    return WholeKeys(values, table)


@dataclass(frozen=True)
class CompositeKeys:
    """Keys of several columns: the pairs of codes that the labels hold, column after column."""

    columns: tuple[Keys, ...]
    pairs: tuple[WholeKeys, ...]

    def codes(self, columns: Sequence[pa.ChunkedArray], rows: int) -> Integers:
        """Return the code of each row; all rows have code 0 where the key has no column."""
        if not self.columns:
            return np.zeros(rows, np.int64)
        parts = [keys.codes(column) for keys, column in zip(self.columns, columns, strict=True)]
        steps = zip(parts[1:], self.columns[1:], self.pairs, strict=True)
        return reduce(lambda left, step: step[2].codes(_pair(left, step[0], len(step[1]))), steps, parts[0])

    def __len__(self) -> int:
        """Return how many codes there are."""
        if not self.columns:
            return 1
        return len(self.pairs[-1].values) if self.pairs else len(self.columns[0])


def composite(columns: Sequence[Keys], codes: Sequence[Integers]) -> CompositeKeys:
    """Return the keys of several label columns, from each column's keys and the labels' codes in it."""
    pairs = []
    left = codes[0] if codes else np.zeros(0, np.int64)
    for keys, right in zip(columns[1:], codes[1:], strict=True):
        both = _pair(left, right, len(keys))
        pairs.append(whole_keys(both[both != UNKNOWN]))
        left = pairs[-1].codes(both)
    return CompositeKeys(tuple(columns), tuple(pairs))


def _pair(left: Integers, right: Integers, width: int) -> Integers:
    return np.where((left == UNKNOWN) | (right == UNKNOWN), UNKNOWN, left * width + right)


def _is_number(kind: pa.DataType) -> bool:
    if pa.types.is_temporal(kind):
        return not pa.types.is_interval(kind)
    real = pa.types.is_float32(kind) or pa.types.is_float64(kind)
    return bool(real or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _numbers(column: pa.ChunkedArray) -> tuple[Integers, Truths]:
    array = combined(column)
    known = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    if pa.types.is_null(array.type):
        return np.zeros(len(array), np.int64), known
    if pa.types.is_floating(array.type):
        numbers = np.asarray(array.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False))
        return ordered(numbers), known & ~np.isnan(numbers)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    elif pa.types.is_temporal(array.type) or pa.types.is_uint64(array.type):
        array = array.view(pa.int64() if array.type.bit_width == _LONG else pa.int32())
    whole = array.cast(pa.int64())
    return np.asarray((whole.fill_null(0) if whole.null_count > 0 else whole).to_numpy()), known


def _through_dictionaries(code: Callable[[pa.ChunkedArray], Integers], column: pa.ChunkedArray) -> Integers:
    if not pa.types.is_dictionary(column.type):
        return code(column)
    dictionaries = pa.chunked_array([chunk.dictionary for chunk in column.chunks], column.type.value_type)
    # The last entry stands for the null of an empty dictionary.
    codes = np.append(code(dictionaries), UNKNOWN)
    parts, start = [np.zeros(0, np.int64)], 0
    for chunk in column.chunks:
        places = np.asarray(chunk.indices.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
        known = chunk.indices.is_valid().to_numpy(zero_copy_only=False)
        parts.append(np.where(known, codes[start + places], UNKNOWN))
        start += len(chunk.dictionary)
    return np.concatenate(parts)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)


def _without_view(kind: pa.DataType) -> pa.DataType:
    return {"string_view": pa.large_string(), "binary_view": pa.large_binary()}.get(str(kind), kind)


def _without_views(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = _without_view(values.type)
    if kind == values.type:
        return values
    # Arrow hashes no views, and casts them only in its newest versions.
    return pa.chunked_array([pa.array(values.to_pylist(), kind)], kind)
