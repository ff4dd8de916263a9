"""Entity keys as small integers: every key that the labels hold gets a code, all others get -1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jukebox.core import kernel
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_times import Integers, combined, integers, known_of, ordered

if TYPE_CHECKING:
    from collections.abc import Callable

    from jukebox.core.asof_times import Mask

Codes = NDArray[np.int32]

_OFFSETS_END = 2**31 - 1
_TEXT, _BYTES = ("string", "large_string", "string_view"), ("binary", "large_binary", "binary_view")


class Keys(Protocol):
    """The distinct values of one label column."""

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """Return the code of each value in the column, -1 for null and for what no label has."""
        ...

    def meet(self, least: int | bytes, greatest: int | bytes) -> bool:
        """Return whether a key may lie between the bounds."""
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


def keys_of(column: pa.ChunkedArray) -> tuple[Keys, Codes]:
    """Return the distinct keys of a label column, and the code of each label."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind):
        return NoKeys(), np.full(len(column), NONE, np.int32)
    if _is_number(kind):
        numbers, known = _numbers(combined(_decoded(column)))
        return whole_keys(numbers, known, unsigned=pa.types.is_uint64(kind))
    plain = _without_views(_decoded(column))
    if kernel.is_compiled() and family(kind) in {"text", "bytes"}:
        return text_keys(plain)
    # Unique values of a long column fit where all of them would overflow 32-bit offsets.
    keys = OtherKeys(pc.unique(plain).drop_null())
    return keys, keys.codes(plain)


@dataclass(frozen=True)
class NoKeys:
    """The keys of a column that holds nothing but nulls."""

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """Return -1 for every row."""
        return np.full(len(column), NONE, np.int32)

    def meet(self, least: int | bytes, greatest: int | bytes) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def __len__(self) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True)
class WholeKeys:
    """Keys whose values are 64 bits or fewer: integers, times, bools, floats (-0.0 is 0.0, NaN is null).

    ``near`` leads from value - ``least`` to code where the span of the values is small; ``table`` is the loops' own.
    """

    table: Any
    count: int
    unsigned: bool
    least: int
    greatest: int
    near: Codes | None

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """Return the code of each value."""
        return _through_dictionaries(self._code, column)

    def _code(self, column: pa.ChunkedArray) -> Codes:
        numbers, known = _numbers(combined(column))
        # The same 64 bits are one number signed and another unsigned.
        if self.unsigned != pa.types.is_uint64(column.type):
            known = numbers >= 0 if known is None else known & (numbers >= 0)
        return self.find(numbers, known)

    def meet(self, least: int | bytes, greatest: int | bytes) -> bool:
        """Return whether a key may lie between the bounds."""
        if isinstance(least, bytes) or isinstance(greatest, bytes) or self.unsigned:
            return True
        return least <= self.greatest and greatest >= self.least

    def find(self, numbers: Integers, known: Mask) -> Codes:
        """Return the code of each number that is known, -1 for the others."""
        codes = np.empty(len(numbers), np.int32)
        if self.count == 0:
            codes[:] = NONE
        elif self.near is not None:
            kernel.loops.find_near(numbers, known, self.least, self.near, codes)
        else:
            kernel.loops.find_integers(numbers, known, self.table, codes)
        return codes

    def __len__(self) -> int:
        """Return how many codes there are."""
        return self.count


def whole_keys(numbers: Integers, known: Mask, *, unsigned: bool = False) -> tuple[WholeKeys, Codes]:
    """Return the distinct numbers that are known, ready to be looked up, and the code of each number."""
    codes, first = np.empty(len(numbers), np.int32), np.empty(len(numbers), np.int64)
    table, count = kernel.loops.index_integers(numbers, known, codes, first)
    distinct = numbers[first[:count]]
    least, greatest = (int(distinct.min()), int(distinct.max())) if count > 0 else (0, -1)
    near = None
    if count > 0 and greatest - least <= 8 * count + 65_536:
        near = np.full(greatest - least + 1, NONE, np.int32)
        near[distinct - least] = np.arange(count)
    return WholeKeys(table, count, unsigned, least, greatest, near), codes


@dataclass(frozen=True)
class TextKeys:
    """Texts or byte strings in a hash table of the compiled kernel, which compares their bytes."""

    texts: pa.Array
    first: Integers
    table: Any
    ends: tuple[bytes, bytes]

    def meet(self, least: int | bytes, greatest: int | bytes) -> bool:
        """Return whether a key may lie between the bounds."""
        if isinstance(least, int) or isinstance(greatest, int):
            return True
        return len(self) > 0 and least <= self.ends[1] and greatest >= self.ends[0]

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """Return the code of each value."""
        return _through_dictionaries(self._code, column)

    def _code(self, column: pa.ChunkedArray) -> Codes:
        parts = [self._found(chunk) for chunk in _without_views(column).chunks]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int32), *parts])

    def _found(self, array: pa.Array) -> Codes:
        codes = np.full(len(array), NONE, np.int32)
        if not pa.types.is_null(array.type) and len(self.first) > 0:
            ours, theirs = _laid_out(array), _laid_out(self.texts)
            kernel.loops.find_texts(*ours, known_of(array), self.table, *theirs, self.first, codes)
        return codes

    def __len__(self) -> int:
        """Return how many codes there are."""
        return len(self.first)


def text_keys(column: pa.ChunkedArray) -> tuple[TextKeys, Codes]:
    """Return the distinct texts of a label column, and the code of each label."""
    if column.nbytes >= _OFFSETS_END and column.num_chunks > 1:
        wide = pa.large_string() if family(column.type) == "text" else pa.large_binary()
        column = column.cast(wide)
    texts = combined(column)
    codes, first = np.empty(len(texts), np.int32), np.empty(len(texts), np.int64)
    table, count = kernel.loops.index_texts(*_laid_out(texts), known_of(texts), codes, first)
    first = first[:count].copy()
    least, greatest = pc.min_max(texts).values()
    ends = (least.as_buffer().to_pybytes(), greatest.as_buffer().to_pybytes()) if count > 0 else (b"", b"")
    return TextKeys(texts, first, table, ends), codes


def _laid_out(array: pa.Array) -> tuple[NDArray[Any], bool, Any]:
    _, offsets, data = array.buffers()
    wide = str(array.type).startswith("large")
    if offsets is None or len(array) == 0:
        return np.zeros(1, np.int64 if wide else np.int32), wide, b""
    places = np.frombuffer(offsets, np.int64 if wide else np.int32)[array.offset : array.offset + len(array) + 1]
    return places, wide, b"" if data is None else data


@dataclass(frozen=True)
class OtherKeys:
    """Keys that Arrow compares: decimals and byte strings of one width; without the compiled kernel text as well."""

    known: pa.Array

    def meet(self, least: int | bytes, greatest: int | bytes) -> bool:  # noqa: ARG002
        """Return True: these values are not ordered here."""
        return True

    def codes(self, column: pa.ChunkedArray) -> Codes:
        """Return the code of each value."""
        return _through_dictionaries(self._code, column)

    def _code(self, column: pa.ChunkedArray) -> Codes:
        if pa.types.is_null(column.type) or len(self.known) == 0:
            return np.full(len(column), NONE, np.int32)
        values = _without_views(column)
        found = combined(pc.index_in(values, value_set=self.known.cast(values.type)))
        return np.asarray(found.fill_null(NONE).to_numpy(), dtype=np.int32)

    def __len__(self) -> int:
        """Return how many codes there are."""
        return len(self.known)


def _is_number(kind: pa.DataType) -> bool:
    if pa.types.is_temporal(kind):
        return not pa.types.is_interval(kind)
    real = pa.types.is_float32(kind) or pa.types.is_float64(kind)
    return bool(real or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _numbers(array: pa.Array) -> tuple[Integers, Mask]:
    if pa.types.is_null(array.type):
        return np.zeros(len(array), np.int64), np.zeros(len(array), np.bool_)
    known = known_of(array)
    if pa.types.is_floating(array.type):
        numbers = np.asarray(array.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False))
        real = ~np.isnan(numbers)
        return ordered(numbers), real if known is None else known & real
    return integers(array), known


def _through_dictionaries(code: Callable[[pa.ChunkedArray], Codes], column: pa.ChunkedArray) -> Codes:
    if not pa.types.is_dictionary(column.type):
        return code(column)
    dictionaries = pa.chunked_array([chunk.dictionary for chunk in column.chunks], column.type.value_type)
    # The last entry stands for what is null.
    codes = np.append(code(dictionaries), np.int32(NONE))
    parts, start = [np.zeros(0, np.int32)], 0
    for chunk in column.chunks:
        places, known = integers(chunk.indices), known_of(chunk.indices)
        places = places if known is None else np.where(known, places, len(codes) - 1 - start)
        parts.append(codes[start:].take(places))
        start += len(chunk.dictionary)
    return parts[1] if len(parts) == 2 else np.concatenate(parts)  # noqa: PLR2004 - one chunk


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
