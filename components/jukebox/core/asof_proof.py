"""The proof of a join: how many labels each feature answered, why others were not, and how old answers are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_numpy import NONE
from jukebox.core.asof_slots import EVENT, Slots, among
from jukebox.core.sampling import scattered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.core.asof_ages import Age, Ticks
    from jukebox.core.asof_times import Integers, Truths

SAMPLE = 10_000
_MINUTE, _HOUR, _DAY = 60 * 10**6, 3_600 * 10**6, 86_400 * 10**6
# The upper bounds of the histogram's bars in microseconds, each included.
BOUNDS = (
    0,
    _MINUTE,
    10 * _MINUTE,
    _HOUR,
    3 * _HOUR,
    6 * _HOUR,
    12 * _HOUR,
    _DAY,
    2 * _DAY,
    7 * _DAY,
    30 * _DAY,
    90 * _DAY,
    365 * _DAY,
)
_COUNTS = (
    "labels",
    "answered",
    "null_values",
    "unanswered_no_history",
    "unanswered_too_old",
    "examined",
    "newer_unknown",
)
_STEP_BITS = 6
_STEPS = 2**_STEP_BITS
FINE = _STEPS * 60


@dataclass(frozen=True)
class ColumnProof:
    """What became of the labels in one output column.

    ``labels`` is the sum of ``answered`` (a row was used; ``null_values`` of them hold null),
    ``unanswered_no_history`` (no row was known, or a key was null) and ``unanswered_too_old``. Ages are those of
    used rows, in whole microseconds rounded down, None where none was used; the median is the lower one.
    ``age_histogram`` counts the used rows by age: pairs of an upper bound in microseconds, included (None: above all
    of them), and the rows above the bound before; bars of no rows are left out. Of ``examined`` labels,
    ``newer_unknown`` had a row of a later event, not after the label, that was not yet known; none are examined where
    nothing can be hidden: no created time, or ``as_known`` turned off.
    """

    column: str
    labels: int
    answered: int
    null_values: int
    unanswered_no_history: int
    unanswered_too_old: int
    greatest_age_us: int | None
    median_age_us: int | None
    age_histogram: tuple[tuple[int | None, int], ...]
    examined: int
    newer_unknown: int


@dataclass(frozen=True)
class Proof:
    """The proof for one feature table, column by column.

    ``fine`` counts each column's ages, where the proofs of shards are to be merged.
    """

    columns: tuple[ColumnProof, ...]
    fine: Mapping[str, Integers] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Examined:
    """Labels that are searched for rows which were not known yet: how many, their slots, and these among all."""

    count: int
    slots: Slots
    of: Integers


@dataclass(frozen=True)
class Ages:
    """How old the rows used are: greatest and median in microseconds, and the bars of the histogram."""

    answered: int
    greatest: int | None
    median: int | None
    histogram: tuple[tuple[int | None, int], ...]
    fine: Integers | None


def examined_of(slots: Slots, labels: int, *, full: bool) -> Examined:
    """Return all labels, or 10,000 of them: the same rows for the same number of labels."""
    examined = np.arange(labels) if full else scattered(labels, SAMPLE)
    chosen = np.zeros(labels, np.bool_)
    chosen[examined] = True
    some = np.flatnonzero(chosen[slots.rows])
    return Examined(len(examined), among(slots, some), some)


def newer_unknown(examined: Examined, hidden: Integers, used: Truths, event: Integers) -> int:
    """Count the examined labels with a newer hidden row; ``event`` is that of the row ``used`` in their slots."""
    best = examined.slots.answers(hidden)
    found = np.flatnonzero(best != NONE)
    return int((~used[found] | (hidden[best[found], EVENT] > event[found])).sum())


def ages_told(age: Age | Ticks, *, timeless: bool, fine: bool) -> Ages:
    """Return what is told of the ages of used rows, with ``fine`` so that it can be merged; timeless ones have none."""
    if len(age) == 0 or timeless:
        return Ages(len(age), None, None, (), np.zeros(FINE, np.int64) if fine else None)
    micro = age.microseconds()
    middle = (len(micro) - 1) // 2
    counts = np.bincount(np.searchsorted(BOUNDS, micro), minlength=len(BOUNDS) + 1)
    parts = np.bincount(_fine(micro), minlength=FINE) if fine else None
    return Ages(len(micro), int(micro.max()), int(np.partition(micro, middle)[middle]), _bars(counts.tolist()), parts)


def _bars(counts: Sequence[int]) -> tuple[tuple[int | None, int], ...]:
    return tuple((bound, count) for bound, count in zip([*BOUNDS, None], counts, strict=True) if count > 0)


def _fine(micro: Integers) -> Integers:
    # 64 steps to each doubling.
    doublings = np.maximum(np.frexp(micro.astype(np.float64))[1].astype(np.int64) - 1 - _STEP_BITS, 0)
    places: Integers = doublings * _STEPS + (micro >> doublings)
    return places


def _coarse(place: int) -> int:
    doublings = max(place // _STEPS - 1, 0)
    return int((place - doublings * _STEPS) << doublings)


def merged(one: Sequence[Proof], other: Sequence[Proof]) -> list[Proof]:
    """Return the proofs of two shards of labels together, table by table.

    Counts add up, and the greatest age is the greater; the median is told to within a sixty-fourth.
    """
    return [_merged(left, right) for left, right in zip(one, other, strict=True)]


def _merged(one: Proof, other: Proof) -> Proof:
    fine = {name: counts + other.fine[name] for name, counts in one.fine.items()}
    pairs = zip(one.columns, other.columns, strict=True)
    return Proof(tuple(_added(left, right, fine[left.column]) for left, right in pairs), fine)


def _added(one: ColumnProof, other: ColumnProof, fine: Integers) -> ColumnProof:
    if one.answered == 0 or other.answered == 0:
        told = other if one.answered == 0 else one
        greatest, median = told.greatest_age_us, told.median_age_us
    else:
        greatest = None if one.greatest_age_us is None else max(one.greatest_age_us, other.greatest_age_us or 0)
        middle = (one.answered + other.answered - 1) // 2
        place = int(np.searchsorted(np.cumsum(fine), middle, side="right"))
        median = None if greatest is None else _coarse(place)
    bars = dict(one.age_histogram)
    for bound, count in other.age_histogram:
        bars[bound] = bars.get(bound, 0) + count
    counts = {name: getattr(one, name) + getattr(other, name) for name in _COUNTS}
    histogram = _bars([bars.get(bound, 0) for bound in [*BOUNDS, None]])
    return ColumnProof(one.column, greatest_age_us=greatest, median_age_us=median, age_histogram=histogram, **counts)
