"""The compiled loops and their NumPy twins write the same, and what their docstrings say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.core import asof_numpy
from jukebox.core.asof_keys import text_keys
from jukebox.core.asof_slots import Slots
from tests.core.test_asof_laws import examples

compiled = pytest.importorskip(
    "jukebox.core._kernel", reason="the kernel is not built: install a C compiler, run `make`"
)
TWINS = (compiled, asof_numpy)
FEW = st.sampled_from([0, 1, 2, 3, -1, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1])
TIMES = FEW | st.integers(-(2**63), 2**63 - 1)
UNFILLED = -7


def whole(values: list[int]) -> np.ndarray:
    """Return int64 numbers."""
    return np.array(values, np.int64)


def codes_of(values: list[int]) -> np.ndarray:
    """Return int32 codes."""
    return np.array(values, np.int32)


@st.composite
def masks(draw: st.DrawFn, rows: int) -> np.ndarray | None:
    """Draw which rows are meant, or None for all."""
    if draw(st.booleans()):
        return None
    return np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), np.bool_)


@st.composite
def slots(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw where each code's slots start, and the slots' times, ascending within each code."""
    groups = draw(st.lists(st.lists(TIMES, max_size=40).map(sorted), min_size=1, max_size=4))
    return whole([0, *np.cumsum([len(group) for group in groups])]), whole([time for group in groups for time in group])


@given(st.lists(TIMES, max_size=12), st.lists(TIMES, max_size=12), st.data())
@examples
def test_numbers_are_numbered_and_found(known: list[int], asked: list[int], data: st.DataObject) -> None:
    """Equal numbers, and no others, have one code, whose first place is one of theirs; what is not there has -1."""
    mask, sought = data.draw(masks(len(known))), data.draw(masks(len(asked)))
    there = {value for row, value in enumerate(known) if mask is None or mask[row]}
    for loops in TWINS:
        codes, first = np.full(len(known), UNFILLED, np.int32), np.full(len(known), UNFILLED, np.int64)
        table, count = loops.index_integers(whole(known), mask, codes, first)
        assert count == len(there) == len({known[place] for place in first[:count]})
        for row, value in enumerate(known):
            left_out = mask is not None and not mask[row]
            assert codes[row] == -1 if left_out else known[first[codes[row]]] == value
        found = np.full(len(asked), UNFILLED, np.int32)
        loops.find_integers(whole(asked), sought, table, found)
        for row, value in enumerate(asked):
            meant = value in there and (sought is None or sought[row])
            assert known[first[found[row]]] == value if meant else found[row] == -1


@given(st.lists(TIMES, max_size=12), FEW, st.integers(1, 4), st.data())
@examples
def test_near_numbers_are_looked_up(values: list[int], least: int, width: int, data: st.DataObject) -> None:
    """Beyond the table, and beyond what int64 can subtract, there is no code."""
    least, mask = min(least, 2**63 - width), data.draw(masks(len(values)))
    table = codes_of(range(10, 10 + width))
    for loops in TWINS:
        codes = np.full(len(values), UNFILLED, np.int32)
        loops.find_near(whole(values), mask, least, table, codes)
        inside = [least <= value < least + width and (mask is None or bool(mask[r])) for r, value in enumerate(values)]
        expected = [10 + value - least if here else -1 for value, here in zip(values, inside, strict=True)]
        assert codes.tolist() == expected


@given(st.lists(TIMES, max_size=40), st.data())
@examples
def test_labels_are_put_in_order(times: list[int], data: st.DataObject) -> None:
    """By time and place, and then by code; those without a code are left out."""
    codes = codes_of(data.draw(st.lists(st.integers(-1, 3), min_size=len(times), max_size=len(times))))
    for loops in TWINS:
        order = np.full(len(times), UNFILLED, np.int64)
        loops.argsort(whole(times), order)
        assert order.tolist() == sorted(range(len(times)), key=lambda row: (times[row], row))
        starts, rows = np.zeros(5, np.int64), np.full(len(times), UNFILLED, np.int64)
        count = loops.sort_slots(codes, order, starts, rows)
        keyed = [row for row in range(len(times)) if codes[row] != -1]
        assert rows[:count].tolist() == sorted(keyed, key=lambda row: (codes[row], times[row], row))
        assert starts.tolist() == [sum(0 <= code < below for code in codes) for below in range(5)]


@given(slots(), st.data())
@examples
def test_rows_find_their_slots(where: tuple[np.ndarray, np.ndarray], data: st.DataObject) -> None:
    """The first of their code's that is not before them, and whether one lies between two times."""
    starts, times = where
    rows = data.draw(st.lists(st.tuples(st.integers(-1, len(starts) - 2), TIMES, TIMES), max_size=12))
    codes, past = codes_of([row[0] for row in rows]), whole([max(row[1:]) for row in rows])
    before, mask = whole([min(row[1:]) for row in rows]), data.draw(masks(len(rows)))
    for loops in TWINS:
        alone, found = np.full(len(rows), UNFILLED, np.int32), np.full(len(rows), UNFILLED, np.int32)
        passed = np.zeros(len(rows), np.bool_)
        own = Slots(times, times, starts)
        loops.find(codes, past, mask, starts, own.spread, times, times[::8].copy(), alone, None, None)
        loops.find(codes, past, mask, starts, own.spread, times, times[::8].copy(), found, before, passed)
        assert alone.tolist() == found.tolist()
        for row, code in enumerate(codes):
            own = range(starts[code], starts[code + 1]) if code >= 0 else range(0)
            meant = mask is None or bool(mask[row])
            expected = next((slot for slot in own if times[slot] >= past[row]), -1) if meant else -1
            assert found[row] == expected
            between = any(before[row] <= times[slot] < past[row] for slot in own)
            assert passed[row] == between if meant else passed[row] == (code >= 0) or len(times) == 0


@pytest.mark.parametrize("unit", [1, 3_600_000_000, 2**40])
def test_rows_find_their_slots_among_many_labels(unit: int) -> None:
    """A few codes have most of the labels, times lie anywhere or in heaps, and both loops find the same slots."""
    rng = np.random.default_rng(unit)
    codes = np.minimum(rng.zipf(1.3, 20_000) - 1, 99).astype(np.int32)
    times = np.where(rng.random(20_000) < 0.5, rng.integers(-1_000_000, 1_000_000, 20_000), 17) * unit
    order = np.lexsort((times, codes))
    starts, times = np.searchsorted(codes[order], np.arange(101)), times[order]
    asked, past = rng.integers(-1, 100, 50_000).astype(np.int32), rng.integers(-1_100_000, 1_100_000, 50_000) * unit
    found = [np.full(50_000, UNFILLED, np.int32) for _ in TWINS]
    for loops, slots in zip(TWINS, found, strict=True):
        loops.find(
            asked, past, None, starts, Slots(order, times, starts).spread, times, times[::8].copy(), slots, None, None
        )
    assert np.array_equal(*found)
    assert (found[0] >= 0).sum() > 1_000


@given(st.integers(1, 3), st.data())
@examples
def test_the_greatest_row_holds_a_slot(slots: int, data: st.DataObject) -> None:
    """Whatever the order and the cutting into calls; positions count from the first or are given."""
    row = st.tuples(st.integers(-1, slots - 1), FEW, FEW, st.integers(0, 99))
    rows = data.draw(st.lists(row, max_size=12, unique_by=lambda each: each[3]))
    mask, created = data.draw(masks(len(rows))), data.draw(st.booleans())
    order = data.draw(st.permutations(range(len(rows))))
    cut = data.draw(st.integers(0, len(rows)))
    expected = [[-(2**63), -(2**63), -1] for _ in range(slots)]
    for number, (slot, event, made, position) in enumerate(rows):
        rank = [event, made if created else -(2**63), position]
        if slot >= 0 and (mask is None or mask[number]) and (expected[slot][2] == -1 or rank > expected[slot]):
            expected[slot] = rank
    for loops in TWINS:
        winners = np.full((slots, 3), -(2**63))
        winners[:, 2] = -1
        for part in (order[:cut], order[cut:]):
            taken = [rows[number] for number in part]
            place, event, made, position = (whole([each[at] for each in taken]) for at in range(4))
            some = None if mask is None else mask[list(part)]
            loops.reduce(place.astype(np.int32), event, made if created else None, position, 0, some, winners)
        assert winners.tolist() == expected
        again = winners.copy()
        codes, event = codes_of([each[0] for each in rows]), whole([each[1] for each in rows])
        loops.reduce(codes, event, None, None, 1_000, np.zeros(len(rows), np.bool_), again)
        assert again.tolist() == expected


@given(slots(), st.data())
@examples
def test_each_slot_is_answered_by_the_greatest_up_to_it(
    where: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    """Within its key; a slot that nothing was seen from has no answer."""
    starts, times = where
    held = data.draw(st.lists(st.none() | st.tuples(FEW, FEW), min_size=len(times), max_size=len(times)))
    winners = np.array([[*(each or (-(2**63),) * 2), -1 if each is None else n] for n, each in enumerate(held)])
    winners = winners.reshape(-1, 3).astype(np.int64)
    expected = []
    for code in range(len(starts) - 1):
        for slot in range(starts[code], starts[code + 1]):
            some = [n for n in range(starts[code], slot + 1) if held[n] is not None]
            expected.append(max(some, key=lambda n: winners[n].tolist(), default=-1))
    for loops in TWINS:
        chosen = np.full(len(times), UNFILLED, np.int32)
        loops.answers(starts, winners, chosen)
        assert chosen.tolist() == expected


@given(st.sampled_from([1, 2, 3, 4, 8, 12, 16]), st.integers(0, 9), st.data())
@examples
def test_values_are_scattered_with_their_nulls(width: int, offset: int, data: st.DataObject) -> None:
    """Of any width, from a validity bitmap that starts anywhere; other places stay as they are."""
    valid = data.draw(st.lists(st.booleans(), min_size=1, max_size=12))
    values = np.frombuffer(data.draw(st.binary(min_size=len(valid) * width, max_size=len(valid) * width)), np.uint8)
    bits = np.packbits([True] * offset + valid, bitorder="little")
    targets = data.draw(st.lists(st.integers(0, 15), max_size=10, unique=True))
    place = st.integers(0, len(valid) - 1)
    rows = data.draw(st.lists(place, min_size=len(targets), max_size=len(targets)))
    told = data.draw(st.booleans())
    for loops in TWINS:
        out, known = np.full(16 * width, 9, np.uint8), np.full(16, 5, np.uint8)
        given_ = (values, bits if told else None, offset, width, whole(rows), whole(targets))
        loops.scatter(*given_, out, known if told else None)
        for target in range(16):
            row = rows[targets.index(target)] if target in targets else None
            cell = [9] * width if row is None else values[row * width : (row + 1) * width].tolist()
            assert out[target * width : (target + 1) * width].tolist() == cell
            assert known[target] == (5 if row is None or not told else valid[row])


TEXTS: list[Any] = ["", "a", "b", "ab", "a\0", "\0", "é", "e\u0301", "a" * 40, "a" * 39 + "b", None]


@given(st.data(), st.booleans(), st.booleans())
@examples
def test_texts_are_numbered_and_found(data: st.DataObject, wide: bool, theirs_wide: bool) -> None:
    """As a dictionary of Python's does, in slices and with offsets of either width; these loops have no twins."""
    some = st.lists(st.sampled_from(TEXTS) | st.text(max_size=3), max_size=14)
    known, asked = data.draw(some), data.draw(some)
    cut, skipped = data.draw(st.integers(0, len(known))), data.draw(st.integers(0, len(asked)))
    ours = pa.array(known, pa.large_string() if wide else pa.string())[cut:]
    theirs = pa.array(asked, pa.large_string() if theirs_wide else pa.string())[skipped:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jukebox.core.kernel.loops", compiled)
        keys, codes = text_keys(pa.chunked_array([ours]))
        found = keys.codes(pa.chunked_array([theirs]))
    numbers: dict[str, int] = {}
    for text, code in zip(known[cut:], codes, strict=True):
        assert (code == -1) == (text is None)
        assert text is None or numbers.setdefault(text, int(code)) == code
    assert len(set(numbers.values())) == len(numbers) == len(keys)
    assert found.tolist() == [-1 if text is None else numbers.get(text, -1) for text in asked[skipped:]]
