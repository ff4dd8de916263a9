"""Parts of a feature table that are raced apart, and then against each other: only the winners of slots travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.core import kernel
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_slots import EVENT, POSITION
from jukebox.core.asof_times import as_arrow, integers
from jukebox.core.asof_values import column_of, keep

if TYPE_CHECKING:
    from jukebox.core.asof_pass import Pass, Race
    from jukebox.core.asof_times import Integers

_SLOT, _RANKS = "\0slot", ("\0event", "\0created", "\0position")


@dataclass(frozen=True)
class Winners:
    """What one race came to so far: a row for each slot that is held, with its rank and its values; and the hidden.

    They mean something to a pass over the same labels, in the same order, under the same request alone.
    """

    held: pa.Table
    hidden: pa.Table


def winners_of(under_way: Pass) -> list[Winners]:
    """Return the winners so far of a pass that keeps values, race by race."""
    return [Winners(_held(race), _hidden(race)) for race in under_way.races]


def _held(race: Race) -> pa.Table:
    slots = np.flatnonzero(race.winners[:, POSITION] != NONE)
    columns = {_SLOT: as_arrow(slots)}
    columns |= {name: as_arrow(race.winners[slots, rank]) for rank, name in enumerate(_RANKS)}
    if race.store is not None:
        columns |= {name: column_of(race.store, name, race.store.place[slots]) for name in race.store.names}
    return pa.table(columns)


def _hidden(race: Race) -> pa.Table:
    hidden = np.zeros((0, 3), np.int64) if race.hidden is None else race.hidden
    slots = np.flatnonzero(hidden[:, POSITION] != NONE)
    return pa.table({_SLOT: as_arrow(slots), _RANKS[EVENT]: as_arrow(hidden[slots, EVENT])})


def merge(under_way: Pass, winners: list[Winners]) -> None:
    """Let the winners of another part of the table race in this pass; the order of such calls changes nothing."""
    for race, others in zip(under_way.races, winners, strict=True):
        slots, event, created, position = (_column(others.held, name) for name in (_SLOT, *_RANKS))
        found = slots.astype(np.int32)
        kernel.loops.reduce(found, event, created, position, 0, None, race.winners)
        if race.store is not None:
            won = np.flatnonzero(race.winners[slots, POSITION] == position)
            keep(race.store, others.held, won, slots[won])
        if race.hidden is not None:
            found = _column(others.hidden, _SLOT).astype(np.int32)
            kernel.loops.reduce(found, _column(others.hidden, _RANKS[EVENT]), None, None, 0, None, race.hidden)


def _column(table: pa.Table, name: str) -> Integers:
    return np.concatenate([np.zeros(0, np.int64), *(integers(chunk) for chunk in table.column(name).chunks)])
