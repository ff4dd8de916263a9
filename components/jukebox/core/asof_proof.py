"""The proof of a join: how many labels each feature answered, why others were not, and how old answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_slots import NONE, Slots, Winners, among, answers, find, reduce, winners_of
from jukebox.core.asof_times import LOWEST
from jukebox.core.mixing import mix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jukebox.core.asof_times import Age, Integers, Truths

SAMPLE = 10_000
_GREATEST_MICROSECONDS = 2**63 - 1


@dataclass(frozen=True)
class ColumnProof:
    """What became of the labels in one output column.

    ``labels`` is the sum of ``answered`` (a row was used; ``null_values`` of them hold null),
    ``unanswered_no_history`` (no row was known, or a key was null) and ``unanswered_too_old``. Ages are those of
    used rows, in whole microseconds rounded down, None where none was used; the median is the lower one.
    """

    column: str
    labels: int
    answered: int
    null_values: int
    unanswered_no_history: int
    unanswered_too_old: int
    greatest_age_us: int | None
    median_age_us: int | None


@dataclass(frozen=True)
class Proof:
    """The proof for one feature table.

    Of ``examined`` labels, ``newer_unknown`` had a row of a later event, not after the label, that was not yet
    known; none are examined where nothing can be hidden: no created time, or ``as_known`` turned off.
    """

    columns: tuple[ColumnProof, ...]
    examined: int
    newer_unknown: int


@dataclass(frozen=True)
class Hidden:
    """The greatest event at or before each examined label among rows that are known only after their event."""

    labels: Integers
    slots: Slots
    newest: Winners


def hidden_of(slots: Slots, labels: int, *, full: bool) -> Hidden:
    """Return an examination of all labels, or of 10,000: the same rows for the same number of labels."""
    examined = np.arange(labels)
    if not full and labels > SAMPLE:
        examined = np.sort(np.argpartition(_scattered(labels), SAMPLE)[:SAMPLE])
    chosen = np.zeros(labels, np.bool_)
    chosen[examined] = True
    some = among(slots, chosen)
    return Hidden(examined, some, winners_of(some))


def _scattered(count: int) -> Integers:
    # By the row number: no generator whose numbers may change with its version.
    return mix(np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)


def look_at(hidden: Hidden, codes: Integers, seen_from: Integers, event: Integers) -> None:
    """Add rows whose event is past at ``seen_from``, in the labels' time, and that are known only later."""
    slots = find(hidden.slots, codes, seen_from)
    rows = np.flatnonzero(slots != NONE)
    none = np.full(len(rows), LOWEST)
    reduce(hidden.newest, slots[rows], event[rows], none, rows)


def newer_unknown(hidden: Hidden, used: Truths, event: Integers) -> int:
    """Count the examined labels with a newer hidden row; ``event`` is the known row's where one is ``used``."""
    best = answers(hidden.slots, hidden.newest, late=False)
    found = np.flatnonzero(best != NONE)
    labels = hidden.slots.rows[found]
    return int((~used[labels] | (hidden.newest.event[best[found]] > event[labels])).sum())


def column_proofs(nulls: Mapping[str, int], *, labels: int, known: int, age: Age) -> dict[str, ColumnProof]:
    """Return the proofs of columns with one max_age, from the nulls in each; ``age`` is that of used rows."""
    answered = len(age.seconds)
    greatest, median = _greatest_and_median(age)
    return {
        column: ColumnProof(
            column=column,
            labels=labels,
            answered=answered,
            null_values=count - (labels - answered),
            unanswered_no_history=labels - known,
            unanswered_too_old=known - answered,
            greatest_age_us=greatest,
            median_age_us=median,
        )
        for column, count in nulls.items()
    }


def _greatest_and_median(age: Age) -> tuple[int | None, int | None]:
    if len(age.seconds) == 0:
        return None, None
    # Ages of more than 292,000 years are told as that.
    seconds = np.minimum(age.seconds, _GREATEST_MICROSECONDS // 10**6 - 1).astype(np.int64)
    micro = seconds * 10**6 + age.nanoseconds // 1_000
    middle = (len(micro) - 1) // 2
    return int(micro.max()), int(np.partition(micro, middle)[middle])
