"""The values of winning rows, fetched at the end: each piece is read once more, for the columns that are asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core import kernel
from jukebox.core.asof_slots import ascending
from jukebox.core.asof_times import as_arrow
from jukebox.core.asof_values import gathered, kept, restored, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jukebox.core.asof_pieces import Piece
    from jukebox.core.asof_times import Integers, Mask

_BYTE = 8


@dataclass(frozen=True)
class Places:
    """Where answers lie: label ``labels[i]`` is answered by the row at position ``rows[i]``, rows ascending.

    ``answered`` holds 1 for each of the ``count`` labels that has an answer.
    """

    labels: Integers
    rows: Integers
    count: int
    answered: NDArray[np.uint8]

    def within(self, first: int, rows: int) -> slice:
        """Return which answers lie among ``rows`` rows from position ``first`` on."""
        low, high = np.searchsorted(self.rows, [first, first + rows])
        return slice(int(low), int(high))


def places_of(labels: Integers, positions: Integers, count: int) -> Places:
    """Return the places of answers from their labels, of ``count`` in all, and their positions."""
    order = ascending(positions)
    labels, answered = labels[order], np.zeros(count, np.uint8)
    answered[labels] = 1
    return Places(labels, positions[order], count, answered)


class FixedSink:
    """A column of values of one width: each is copied straight to its label."""

    def __init__(self, kind: pa.DataType, places: Places) -> None:
        self._kind, self._places = kind, places
        self._plain = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        # Bits have no places of their own to copy to.
        self._width = 1 if pa.types.is_boolean(self._plain) else self._plain.bit_width // _BYTE
        self._values = np.zeros(places.count * self._width, np.uint8)
        self._known = places.answered
        self._lock = Lock()

    def take(self, chunk: pa.Array, first: int, part: slice) -> None:
        """Take the values of answers ``part`` from a chunk whose first row is at position ``first``."""
        if isinstance(chunk, pa.ExtensionArray):
            chunk = chunk.storage
        if pa.types.is_boolean(chunk.type):
            chunk = pc.cast(chunk, pa.uint8())
        bits, values = chunk.buffers()
        if values is None:  # nothing but nulls need have no values
            values, bits = bytes(len(chunk) * self._width), bytes(-(-(len(chunk) + chunk.offset) // _BYTE))
        start = chunk.offset * self._width
        values = memoryview(values)[start : start + len(chunk) * self._width]
        rows, labels = self._places.rows[part] - first, self._places.labels[part]
        if chunk.null_count == 0:
            kernel.loops.scatter(values, None, 0, self._width, rows, labels, self._values, None)
            return
        with self._lock:
            if self._known is self._places.answered:
                self._known = self._known.copy()
        kernel.loops.scatter(values, bits, chunk.offset, self._width, rows, labels, self._values, self._known)

    def column(self, mask: Mask) -> pa.ChunkedArray:
        """Return the column, null where there is no answer, or where ``mask`` is false."""
        known = self._known if mask is None else self._known & mask
        nulls = int(len(known) - np.count_nonzero(known))
        bits = None if nulls == 0 else pa.py_buffer(np.packbits(known, bitorder="little"))
        bools = pa.types.is_boolean(self._plain)
        kind = pa.uint8() if bools else self._plain
        array = pa.Array.from_buffers(kind, len(known), [bits, pa.py_buffer(self._values)], nulls)
        if bools:
            array = pc.cast(array, pa.bool_())
        return pa.chunked_array(restored(array, self._kind), self._kind)


@dataclass
class AnySink:
    """A column of values of any kind: those of each chunk are kept, and put in order at the end."""

    kind: pa.DataType
    places: Places
    parts: dict[int, pa.Array] = field(default_factory=dict)

    def take(self, chunk: pa.Array, first: int, part: slice) -> None:
        """Take the values of answers ``part`` from a chunk whose first row is at position ``first``."""
        self.parts[part.start] = kept(chunk, as_arrow(self.places.rows[part] - first))

    def column(self, mask: Mask) -> pa.ChunkedArray:
        """Return the column, null where there is no answer, or where ``mask`` is false."""
        back = np.full(self.places.count, -1)
        back[self.places.labels] = np.arange(len(self.places.labels))
        if mask is not None:
            back[~mask] = -1
        chunks = [self.parts[start] for start in sorted(self.parts)]
        arrays = gathered(chunks, back, stored(self.kind))
        return pa.chunked_array([piece for part in arrays for piece in restored(part, self.kind)], self.kind)


Sink = FixedSink | AnySink
Sinks = dict[str, Sink]


def sink_of(kind: pa.DataType, places: Places) -> Sink:
    """Return a sink for values of a type."""
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    numbers = pa.types.is_primitive(storage) and not pa.types.is_interval(storage)
    fixed = numbers or pa.types.is_decimal(storage) or pa.types.is_fixed_size_binary(storage)
    return FixedSink(kind, places) if fixed and storage.bit_width > 0 else AnySink(kind, places)


def fetch(piece: Piece, first: int, sinks: Sequence[tuple[str, Sink]], places: Places) -> None:
    """Give the sinks the values that answer labels out of a piece whose first row is at position ``first``."""
    inside = places.within(first, piece.rows)
    if inside.start == inside.stop:
        return
    names = list(dict.fromkeys(name for name, _ in sinks))
    # Of texts only those that win are made out of their dictionaries.
    texts = [name for name, sink in sinks if isinstance(sink, AnySink) and pa.types.is_string(sink.kind)]
    for batch in piece.read(names, texts):
        part = places.within(first, batch.num_rows)
        if part.start < part.stop:
            for name, sink in sinks:
                sink.take(batch.column(names.index(name)), first, part)
        first += batch.num_rows
