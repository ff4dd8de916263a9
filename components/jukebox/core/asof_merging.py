"""Parts of a feature table that are raced apart, and then against each other: only the winners of slots travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.core import kernel
from jukebox.core.asof_answers import answers_of, kept_columns, proof_of
from jukebox.core.asof_keys import family
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_pass import take_in
from jukebox.core.asof_pieces import grouped
from jukebox.core.asof_slots import EVENT, POSITION
from jukebox.core.asof_tables import may_be_seen
from jukebox.core.asof_times import as_arrow, integers
from jukebox.core.asof_values import gathered, keep, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jukebox.core.asof_pass import Pass, Race
    from jukebox.core.asof_pieces import Piece
    from jukebox.core.asof_proof import Proof
    from jukebox.core.asof_tables import Source
    from jukebox.core.asof_times import Integers
    from jukebox.core.asof_values import Store

# No column of a table can be called as one of these: a value's name follows them.
_SLOT, _RANKS, _VALUE = "slot", ("event", "created", "position"), "value "


@dataclass(frozen=True)
class Winners:
    """What one race came to so far: a row for each slot that is held, with its rank and its values; and the hidden.

    They mean something to a pass over the same labels, in the same order, under the same request alone.
    """

    held: pa.Table
    hidden: pa.Table


def race(under_way: Pass, source: Source, piece: Piece, first: int) -> None:
    """Let the rows of a piece race whose first row is at position ``first``, in a pass that keeps values."""
    if not may_be_seen(under_way, source, piece):
        return
    wanted = pa.schema([source.schema.field(name) for name in source.asked.columns()])
    texts = [name for name in source.asked.keys.values() if family(source.schema.field(name).type) == "text"]
    encoded = texts if kernel.is_compiled() else []
    for rows in grouped(piece.read(wanted.names, encoded), wanted, source.whose, encoded):
        take_in(under_way, rows, first)
        first += len(rows)


def finished(under_way: Pass) -> tuple[dict[str, pa.ChunkedArray], Proof]:
    """Return the output columns, and their proof, of a pass that kept values and whose rows have all raced."""
    races = [answers_of(under_way, one) for one in under_way.races]
    columns = {name: column for found in races for name, column in kept_columns(under_way, found).items()}
    return columns, proof_of(under_way, races, columns)


def winners_of(under_way: Pass) -> list[Winners]:
    """Return the winners so far of a pass that keeps values, race by race."""
    return [Winners(_held(one), _hidden(one)) for one in under_way.races]


def _held(one: Race) -> pa.Table:
    slots = np.flatnonzero(one.winners[:, POSITION] != NONE)
    columns = {_SLOT: as_arrow(slots)}
    columns |= {name: as_arrow(one.winners[slots, rank]) for rank, name in enumerate(_RANKS)}
    if one.store is not None:
        columns |= {f"{_VALUE}{name}": column for name, column in _values(one.store, one.store.place[slots])}
    return pa.table(columns)


def _values(store: Store, places: Integers) -> Iterator[tuple[str, pa.ChunkedArray]]:
    # As they are stored: a dictionary would be made here and taken apart again where it arrives.
    for name, kind in zip(store.names, store.types, strict=True):
        yield name, pa.chunked_array(gathered(store.chunks.get(name, []), places, stored(kind)), stored(kind))


def _hidden(one: Race) -> pa.Table:
    hidden = np.zeros((0, 3), np.int64) if one.hidden is None else one.hidden
    slots = np.flatnonzero(hidden[:, POSITION] != NONE)
    return pa.table({_SLOT: as_arrow(slots), _RANKS[EVENT]: as_arrow(hidden[slots, EVENT])})


def merge(under_way: Pass, winners: Sequence[Winners]) -> None:
    """Let the winners of another part of the table race in this pass; the order of such calls changes nothing."""
    for one, others in zip(under_way.races, winners, strict=True):
        slots, event, created, position = (_column(others.held, name) for name in (_SLOT, *_RANKS))
        kernel.loops.reduce(slots.astype(np.int32), event, created, position, 0, None, one.winners)
        if one.store is not None:
            won = np.flatnonzero(one.winners[slots, POSITION] == position)
            keep(one.store, _named(others.held, one.store.names), won, slots[won])
        if one.hidden is not None:
            found = _column(others.hidden, _SLOT).astype(np.int32)
            kernel.loops.reduce(found, _column(others.hidden, _RANKS[EVENT]), None, None, 0, None, one.hidden)


def _named(held: pa.Table, names: Sequence[str]) -> pa.Table:
    return pa.table([held.column(f"{_VALUE}{name}") for name in names], names=list(names))


def _column(table: pa.Table, name: str) -> Integers:
    return np.concatenate([np.zeros(0, np.int64), *(integers(chunk) for chunk in table.column(name).chunks)])


def packed(winners: Sequence[Winners]) -> list[bytes]:
    """Return winners as Arrow's own bytes, to be sent to another process."""
    return [_packed(table) for one in winners for table in (one.held, one.hidden)]


def unpacked(parts: Sequence[bytes]) -> list[Winners]:
    """Return the winners that were packed."""
    tables = [pa.ipc.open_stream(part).read_all() for part in parts]
    return [Winners(held, hidden) for held, hidden in zip(tables[::2], tables[1::2], strict=True)]


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
