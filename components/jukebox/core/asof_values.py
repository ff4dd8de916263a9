"""The values of winning rows: kept while they may still be an answer, gathered into columns at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.asof_times import as_arrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.asof_times import Integers

_OFFSETS_END = 2**31 - 1
SLACK = 65_536


@dataclass
class Store:
    """Rows of the asked feature columns; ``place[slot]`` is the row of the slot's winner, or -1.

    Dictionaries are kept decoded, as one that grew with every batch would grow with the features.
    """

    names: Sequence[str]
    types: Sequence[pa.DataType]
    place: Integers
    chunks: dict[str, list[pa.Array]] = field(default_factory=dict)
    rows: int = 0


def keep(store: Store, piece: pa.Table, rows: Integers, slots: Integers) -> None:
    """Store the values of the piece's ``rows``, ascending, which now win ``slots``."""
    for name in store.names:
        store.chunks.setdefault(name, []).extend(_picked(piece.column(name), rows))
    store.place[slots] = np.arange(store.rows, store.rows + len(rows))
    store.rows += len(rows)
    live = np.flatnonzero(store.place >= 0)
    if store.rows > 2 * len(live) + SLACK:
        _compact(store, live)


def _compact(store: Store, live: Integers) -> None:
    for name, kind in zip(store.names, store.types, strict=True):
        store.chunks[name] = gathered(store.chunks[name], store.place[live], stored(kind))
    store.place[live] = np.arange(len(live))
    store.rows = len(live)


def column_of(store: Store, name: str, places: Integers) -> pa.ChunkedArray:
    """Return a column of the source's own type with the values at ``places``, null at -1."""
    kind = store.types[list(store.names).index(name)]
    parts = gathered(store.chunks.get(name, []), places, stored(kind))
    return pa.chunked_array([piece for part in parts for piece in restored(part, kind)], kind)


def stored(kind: pa.DataType) -> pa.DataType:
    """Return the type in which values of a type are kept."""
    if isinstance(kind, pa.BaseExtensionType):
        return stored(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return stored(kind.value_type)
    # pyarrow 10 takes the wrong bytes of an interval; a view of the same 16 bytes is taken well.
    return pa.binary(16) if str(kind) == "month_day_nano_interval" else kind


def _picked(column: pa.ChunkedArray, rows: Integers) -> list[pa.Array]:
    parts, start = [], 0
    for chunk in column.chunks:
        low, high = np.searchsorted(rows, [start, start + len(chunk)])
        if low < high:
            parts.append(kept(chunk, as_arrow(rows[low:high] - start)))
        start += len(chunk)
    return parts


def kept(array: pa.Array, places: pa.Array) -> pa.Array:
    """Return the values at places as they are stored: decoded, and free of extension types."""
    if isinstance(array, pa.ExtensionArray):
        return kept(array.storage, places)
    if pa.types.is_dictionary(array.type):
        taken = _taken(array.dictionary, pc.take(array.indices, places))
        return taken if stored(array.type) == taken.type else kept(taken, pa.array(np.arange(len(taken))))
    return _taken(array.view(pa.binary(16)) if stored(array.type) != array.type else array, places)


def _taken(array: pa.Array, places: pa.Array) -> pa.Array:
    try:
        return pc.take(array, places)
    except pa.ArrowNotImplementedError:
        # The newest layouts can be held before they can be taken.
        values = array.to_pylist()
        return pa.array([None if place is None else values[place] for place in places.to_pylist()], array.type)


def gathered(chunks: Sequence[pa.Array], places: Integers, kind: pa.DataType) -> list[pa.Array]:
    """Return stored values at places of all chunks together, null at -1, in as many arrays as offsets need."""
    if not chunks or (places < 0).all():
        return [pa.nulls(len(places), kind)]
    step = _OFFSETS_END // max(1, *(_widest(chunk) for chunk in chunks))
    ranges = [places[start : start + step] for start in range(0, len(places), max(1, step))]
    try:
        whole = pa.concat_arrays(chunks) if len(chunks) > 1 else chunks[0]
    except pa.ArrowInvalid:  # offsets of 32 bits overflow
        return [_across(chunks, part) for part in ranges]
    return [_taken(whole, as_arrow(part, part >= 0)) for part in ranges]


def _across(chunks: Sequence[pa.Array], places: Integers) -> pa.Array:
    parts, rows, start = [], [np.zeros(0, np.int64)], 0
    for chunk in chunks:
        here = np.flatnonzero((places >= start) & (places < start + len(chunk)))
        parts.append(_taken(chunk, as_arrow(places[here] - start)))
        rows.append(here)
        start += len(chunk)
    back = np.full(len(places), -1)
    back[np.concatenate(rows)] = np.arange((places >= 0).sum())
    return _taken(pa.concat_arrays(parts), as_arrow(back, back >= 0))


def _widest(array: pa.Array) -> int:
    """Return how many bytes or items one row takes at most where offsets count them."""
    kind = array.type
    # pyarrow 10 cannot flatten lists of a fixed size that are all null.
    if array.null_count == len(array):
        return 0
    if pa.types.is_binary(kind) or pa.types.is_string(kind):
        return int(pc.max(pc.binary_length(array)).as_py() or 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        longest = int(np.diff(array.offsets.to_numpy()).max(initial=0))
        return longest * max(1, _widest(array.values))
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _widest(array.flatten())
    if pa.types.is_struct(kind):
        return max([_widest(child) for child in array.flatten()], default=0)
    return 0


def restored(array: pa.Array, kind: pa.DataType) -> list[pa.Array]:
    """Return stored values as arrays of their own type."""
    if isinstance(kind, pa.BaseExtensionType):
        return [pa.ExtensionArray.from_storage(kind, part) for part in restored(array, kind.storage_type)]
    if not pa.types.is_dictionary(kind):
        return [array if array.type == kind else array.view(kind)]
    codes, values = _distinct(array)
    if len(values) <= 2 ** (kind.index_type.bit_width - pa.types.is_signed_integer(kind.index_type)):
        dictionary = pa.concat_arrays(restored(values, kind.value_type))
        return [pa.DictionaryArray.from_arrays(codes.cast(kind.index_type), dictionary, ordered=kind.ordered)]
    # Small indices reach as many values only in several chunks.
    half = len(array) // 2
    return restored(array[:half], kind) + restored(array[half:], kind)


def _distinct(array: pa.Array) -> tuple[pa.Array, pa.Array]:
    try:
        encoded = array.dictionary_encode()
    except pa.ArrowNotImplementedError:  # nested values are not hashed
        return pa.array(np.arange(len(array)), mask=np.asarray(array.is_null())), array
    return encoded.indices, encoded.dictionary
