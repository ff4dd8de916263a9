"""Labels in order, their slots, and the winners that the slots hold: what the loops of the kernel work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core import kernel
from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_times import LOWEST, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jukebox.core.asof_keys import Codes
    from jukebox.core.asof_times import Mask, Truths

EVENT, CREATED, POSITION = range(3)


@dataclass(frozen=True)
class Slots:
    """Labels sorted by (key, time): label ``rows[i]`` is slot ``i``, at ``times[i]``.

    Slots ``starts[c]`` up to ``starts[c + 1]`` belong to key code ``c``; labels with a null in their key have none.
    """

    rows: Integers
    times: Integers
    starts: Integers

    def __len__(self) -> int:
        """Return how many slots there are."""
        return len(self.rows)

    @cached_property
    def _where(self) -> tuple[Integers, NDArray[np.float64], Integers, Integers]:
        # What a row's slot is found by: the codes' starts and spread, the times, and every eighth time.
        return self.starts, self.spread, self.times, self.times[::8].copy()

    @property
    def spread(self) -> NDArray[np.float64]:
        """For each code its first time, and the labels that a unit of time has on average: where to look first."""
        spread = np.zeros((len(self.starts) - 1, 2))
        some = np.flatnonzero(np.diff(self.starts))
        first, last = self.starts[some], self.starts[some + 1] - 1
        least, greatest = self.times[first].astype(np.float64), self.times[last].astype(np.float64)
        many = greatest > least
        spread[some, 0] = least
        spread[some[many], 1] = (last - first)[many] / (greatest - least)[many]
        return spread

    def find(self, codes: Codes, times: Integers, mask: Mask) -> Codes:
        """Return for each row the first slot of its key whose time is not before the row's, or -1."""
        slots = np.empty(len(codes), np.int32)
        kernel.loops.find(codes, times, mask, *self._where, slots, None, None)
        return slots

    def find_and_passed(self, codes: Codes, times: Integers, mask: Mask, before: Integers) -> tuple[Codes, Truths]:
        """Return what ``find`` returns, and for each row whether a label may lie from ``before`` to its time.

        No label lies there where it says no; a row that the mask leaves out has a yes.
        """
        slots, passed = np.empty(len(codes), np.int32), np.empty(len(codes), np.bool_)
        kernel.loops.find(codes, times, mask, *self._where, slots, before, passed)
        return slots, passed

    def winners(self) -> Integers:
        """Return winners that hold nothing yet: for each slot (event, created, position), -1 where there is none."""
        winners = np.full((len(self), 3), LOWEST)
        winners[:, POSITION] = NONE
        return winners

    def answers(self, winners: Integers) -> Codes:
        """Return for each slot the slot whose winner is the greatest up to it within its key, or -1."""
        chosen = np.empty(len(self), np.int32)
        kernel.loops.answers(self.starts, winners, chosen)
        return chosen


def ascending(numbers: Integers) -> Integers:
    """Return the places of the numbers in ascending order; equal ones stay in theirs."""
    order = np.empty(len(numbers), np.int64)
    kernel.loops.argsort(numbers, order)
    return order


def slots_of(codes: Codes, keys: int, times: Integers, by_time: Integers) -> Slots:
    """Return the labels' slots; ``by_time`` lists the labels in the order of their times."""
    starts, rows = np.zeros(keys + 1, np.int64), np.empty(len(codes), np.int64)
    count = kernel.loops.sort_slots(codes, by_time, starts, rows)
    rows = rows[:count]
    return Slots(rows, times[rows], starts)


def among(slots: Slots, chosen: Integers) -> Slots:
    """Return some of the slots alone."""
    return Slots(slots.rows[chosen], slots.times[chosen], np.searchsorted(chosen, slots.starts))
