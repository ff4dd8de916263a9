"""The loops of the compiled kernel once more in NumPy: the same functions over the same arrays, the same answers.

Arrays are int64 (values, times, positions, starts) or int32 (codes, slots); -1 is no code, no slot. A mask may be
None, where all rows are meant. What is last in a function's parameters is written to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Codes = NDArray[np.int32]
    Mask = NDArray[np.bool_] | None

NONE = -1
LOWEST = -(2**63)
_BLOCK = 16_384


def index_integers(values: Integers, mask: Mask, codes: Codes, first: Integers) -> tuple[Integers, int]:
    """Number the distinct values; ``first[code]`` is a place of each. The table is for ``find_integers``."""
    rows = np.arange(len(values)) if mask is None else np.flatnonzero(mask)
    distinct, places, numbers = np.unique(values[rows], return_index=True, return_inverse=True)
    codes[:] = NONE
    codes[rows] = numbers.reshape(-1)
    first[: len(distinct)] = rows[places]
    return distinct, len(distinct)


def find_integers(values: Integers, mask: Mask, table: Integers, codes: Codes) -> None:
    """Write each value's code, -1 where the table has none."""
    found = pc.index_in(pa.array(values), value_set=pa.array(table)).fill_null(NONE)
    codes[:] = found.to_numpy(zero_copy_only=False)
    if mask is not None:
        codes[~mask] = NONE


def find_near(values: Integers, mask: Mask, least: int, table: Codes, codes: Codes) -> None:
    """Write ``table[value - least]`` for each value, -1 outside of the table."""
    inside = (values >= least) & (values <= least + len(table) - 1)
    if mask is not None:
        inside &= mask
    codes[:] = np.where(inside, table[np.where(inside, values, least) - least], NONE)


def argsort(values: Integers, order: Integers) -> None:
    """Write the places of the values in ascending order; equal ones stay in theirs."""
    order[:] = np.argsort(values, kind="stable")


def sort_slots(codes: Codes, by_time: Integers, starts: Integers, rows: Integers) -> int:
    """Write the labels by (code, time) into ``rows[:m]``, and where each code starts; return m."""
    keyed = by_time[codes[by_time] != NONE]
    ordered = keyed[np.argsort(codes[keyed], kind="stable")]
    starts[0] = 0
    starts[1:] = np.cumsum(np.bincount(codes[ordered], minlength=len(starts) - 1))
    rows[: len(ordered)] = ordered
    return len(ordered)


def find(
    codes: Codes,
    past: Integers,
    mask: Mask,
    starts: Integers,
    spread: NDArray[np.float64],  # noqa: ARG001 - halving needs no guess
    times: Integers,
    coarse: Integers,  # noqa: ARG001 - nor a coarser look first
    slots: Codes,
    before: Integers | None,
    passed: NDArray[np.bool_] | None,
) -> None:
    """Write each row's slot: the first of its code's whose time is not before the row's, or -1.

    ``passed`` tells whether a label of its code may lie between ``before`` and ``past``; where the mask leaves a row
    out, one may.
    """
    slots[:] = NONE
    asked = np.flatnonzero(codes != NONE if mask is None else (codes != NONE) & mask)
    if passed is not None:
        passed[:] = False if mask is None else (codes != NONE) & ~mask
    if len(times) == 0:
        return
    # Blocks that stay in the processor's cache take a third off the time.
    for start in range(0, len(asked), _BLOCK):
        rows = asked[start : start + _BLOCK]
        low, high = starts[codes[rows]], starts[codes[rows] + 1]
        found = np.searchsorted(times, past[rows]) if len(starts) == 2 else _halved(times, past[rows], low, high - low)  # noqa: PLR2004 - one key
        slots[rows] = np.where(found < high, found, NONE)
        if before is not None and passed is not None:
            passed[rows] = (found > low) & (times[np.maximum(found, 1) - 1] >= before[rows])


def _halved(times: Integers, wanted: Integers, first: Integers, size: Integers) -> Integers:
    for _ in range(int(size.max()).bit_length()):
        half = size >> 1
        middle = first + half
        before = (times[np.minimum(middle, len(times) - 1)] < wanted) & (size > 0)
        first = np.where(before, middle + 1, first)
        size = np.where(before, size - half - 1, half)
    return first


def reduce(
    slots: Codes,
    event: Integers,
    created: Integers | None,
    positions: Integers | None,
    first: int,
    mask: Mask,
    winners: Integers,
) -> None:
    """Let rows compete for their slots by (event, created, position); row i is at ``first + i``, or at its position.

    The order of the rows, and of the calls, changes nothing: rows that are equal in time are told apart by
    position, and two halves reduced apart are merged by letting the winners of one compete in the other.
    """
    rows = np.flatnonzero(slots != NONE if mask is None else (slots != NONE) & mask)
    position = first + rows if positions is None else positions[rows]
    known = np.full(len(rows), LOWEST) if created is None else created[rows]
    _race(slots[rows], event[rows], known, position, winners)


def _race(slots: Codes, event: Integers, created: Integers, position: Integers, winners: Integers) -> None:
    events, createds, positions = winners[:, 0], winners[:, 1], winners[:, 2]
    held = events[slots]
    rows = np.flatnonzero((event >= held) | (positions[slots] == NONE))
    np.maximum.at(events, slots[rows], event[rows])
    raised = rows[events[slots[rows]] > held[rows]]
    createds[slots[raised]] = LOWEST
    positions[slots[raised]] = NONE
    rows = rows[event[rows] == events[slots[rows]]]
    held = createds[slots[rows]]
    np.maximum.at(createds, slots[rows], created[rows])
    raised = rows[createds[slots[rows]] > held]
    positions[slots[raised]] = NONE
    rows = rows[created[rows] == createds[slots[rows]]]
    np.maximum.at(positions, slots[rows], position[rows])


def answers(starts: Integers, winners: Integers, chosen: Codes) -> None:
    """Write for each slot the slot whose winner is the greatest up to it within its key, or -1."""
    held = np.flatnonzero(winners[:, 2] != NONE)
    held = held[np.lexsort((winners[held, 2], winners[held, 1], winners[held, 0]))]
    rank = np.full(len(winners), NONE)
    rank[held] = np.arange(len(held))
    step = len(held) + 1
    key = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    best = np.maximum.accumulate(rank + key * step) - key * step if len(rank) else rank
    chosen[:] = np.where(best == NONE, NONE, held[best] if len(held) else NONE)


def scatter(
    values: Any,
    bits: Any,
    offset: int,
    width: int,
    rows: Integers,
    targets: Integers,
    out: NDArray[np.uint8],
    known: NDArray[np.uint8] | None,
) -> None:
    """Copy ``values[rows]`` of ``width`` bytes to ``out[targets]``, and mark in ``known`` those that are no null.

    ``bits`` is Arrow's validity bitmap, whose first row is at ``offset``; without it nothing is marked.
    """
    kind = np.dtype((np.void, width)) if width not in {1, 2, 4, 8} else np.dtype(f"u{width}")
    out.view(kind)[targets] = np.frombuffer(values, kind)[rows]
    if bits is None or known is None:
        return
    places = rows + offset
    known[targets] = np.frombuffer(bits, np.uint8)[places >> 3] >> (places & 7).astype(np.uint8) & 1
