"""The reduction at the heart of the join: labels in order, their slots, and each slot's greatest row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_keys import UNKNOWN
from jukebox.core.asof_times import LOWEST, Integers

if TYPE_CHECKING:
    from jukebox.core.asof_times import Truths

NONE = -1
_BLOCK = 16_384


@dataclass(frozen=True)
class Slots:
    """Labels sorted by (key, time): label ``rows[i]`` is slot ``i``, at ``times[i]``.

    Slots ``starts[c]`` up to ``ends[c]`` belong to key code ``c``; labels with a null in their key have none.
    """

    rows: Integers
    times: Integers
    starts: Integers
    ends: Integers


@dataclass(frozen=True)
class Winners:
    """For each slot the greatest (event, created, position) so far; position -1 where there is none."""

    event: Integers
    created: Integers
    position: Integers


def slots_of(codes: Integers, keys: int, times: Integers, by_time: Integers) -> Slots:
    """Return the labels' slots; ``by_time`` lists the labels in the order of their times."""
    keyed = by_time[codes[by_time] != UNKNOWN]
    rows = keyed[np.argsort(codes[keyed], kind="stable")]
    counts = np.bincount(codes[rows], minlength=keys)
    ends = np.cumsum(counts)
    return Slots(rows, times[rows], ends - counts, ends)


def among(slots: Slots, labels: Truths) -> Slots:
    """Return the slots of some of the labels alone."""
    chosen = np.flatnonzero(labels[slots.rows])
    starts, ends = np.searchsorted(chosen, slots.starts), np.searchsorted(chosen, slots.ends)
    return Slots(slots.rows[chosen], slots.times[chosen], starts, ends)


def winners_of(slots: Slots) -> Winners:
    """Return winners that hold nothing yet."""
    count = len(slots.rows)
    return Winners(np.full(count, LOWEST), np.full(count, LOWEST), np.full(count, NONE))


def find(slots: Slots, codes: Integers, times: Integers) -> Integers:
    """Return for each row the first slot of its key whose time is not before the row's, or -1."""
    ends = slots.ends[codes]
    if len(slots.ends) == 1:
        found = np.searchsorted(slots.times, times)
    else:
        found = _searched(slots.times, times, slots.starts[codes], ends)
    return np.where(found < ends, found, NONE)


def _searched(times: Integers, wanted: Integers, low: Integers, high: Integers) -> Integers:
    # Blocks that stay in the processor's cache take a third off the time.
    found = np.empty(len(wanted), np.int64)
    for start in range(0, len(wanted), _BLOCK):
        part = slice(start, start + _BLOCK)
        found[part] = _halved(times, wanted[part], low[part], high[part] - low[part])
    return found


def _halved(times: Integers, wanted: Integers, first: Integers, size: Integers) -> Integers:
    for _ in range(int(size.max()).bit_length()):
        half = size >> 1
        middle = first + half
        before = (times[np.minimum(middle, len(times) - 1)] < wanted) & (size > 0)
        first = np.where(before, middle + 1, first)
        size = np.where(before, size - half - 1, half)
    return first


def reduce(winners: Winners, slots: Integers, event: Integers, created: Integers, position: Integers) -> Integers:
    """Let the rows compete for their slots and return which of them hold one now.

    The order of the rows, and of the calls, changes nothing: rows that are equal in time are told apart by
    position, and two halves reduced apart are merged by letting the winners of one compete in the other.
    """
    held = winners.event[slots]
    rows = np.flatnonzero((event >= held) | (winners.position[slots] == NONE))
    np.maximum.at(winners.event, slots[rows], event[rows])
    raised = rows[winners.event[slots[rows]] > held[rows]]
    winners.created[slots[raised]] = LOWEST
    winners.position[slots[raised]] = NONE
    rows = rows[event[rows] == winners.event[slots[rows]]]
    held = winners.created[slots[rows]]
    np.maximum.at(winners.created, slots[rows], created[rows])
    raised = rows[winners.created[slots[rows]] > held]
    winners.position[slots[raised]] = NONE
    rows = rows[created[rows] == winners.created[slots[rows]]]
    np.maximum.at(winners.position, slots[rows], position[rows])
    won: Integers = rows[position[rows] == winners.position[slots[rows]]]
    return won


def answers(slots: Slots, winners: Winners, *, late: bool) -> Integers:
    """Return for each slot the slot whose winner is the greatest up to it within its key, or -1.

    Unless rows may be seen ``late``, after rows of a later event, the last winner is always the greatest.
    """
    held = np.flatnonzero(winners.position != NONE)
    if late:
        held = held[np.lexsort((winners.created[held], winners.event[held]))]
    rank = np.full(len(slots.rows), NONE)
    rank[held] = np.arange(len(held))
    step = len(held) + 1
    key = np.repeat(np.arange(len(slots.starts)), slots.ends - slots.starts)
    best = np.maximum.accumulate(rank + key * step) - key * step if len(rank) else rank
    chosen: Integers = np.where(best == NONE, NONE, held[best] if len(held) else NONE)
    return chosen
