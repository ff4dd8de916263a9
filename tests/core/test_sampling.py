"""Rows chosen by their numbers: the same everywhere, and all over the place."""

from __future__ import annotations

import numpy as np
import pytest

from jukebox.core.sampling import scattered


@pytest.mark.parametrize(("rows", "count"), [(0, 5), (1, 5), (5, 5), (6, 5), (100_000, 1_000)])
def test_as_many_numbers_as_asked_come_ascending_and_each_once(rows: int, count: int) -> None:
    """All of them where there are no more."""
    chosen = scattered(rows, count)
    assert len(chosen) == min(rows, count)
    assert list(chosen) == sorted(set(chosen.tolist()))
    assert all(0 <= number < rows for number in chosen)


def test_the_numbers_lie_evenly_over_all_rows() -> None:
    """Each thousandth of a million rows has one of a thousand numbers."""
    counts, _ = np.histogram(scattered(1_000_000, 1_000), bins=1_000, range=(0, 1_000_000))
    assert set(counts.tolist()) == {1}


def test_a_seed_chooses_others_and_the_same_seed_the_same() -> None:
    """Two seeds share hardly a number of a thousand in a million."""
    first, again, other = (scattered(1_000_000, 1_000, seed).tolist() for seed in (1, 1, 2))
    assert first == again
    assert len(set(first) & set(other)) < 20


def test_the_choice_is_the_same_on_every_machine() -> None:
    """A verification can be repeated elsewhere: these numbers may never change."""
    assert scattered(1_000, 4).tolist() == [207, 315, 649, 766]
