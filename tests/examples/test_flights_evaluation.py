"""The metric step of the flights example counts rightly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.errors import NoPartition
from jukebox.examples.flights import evaluation

if TYPE_CHECKING:
    from pathlib import Path

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40).filter(
    lambda pairs: len({late for late, _ in pairs}) == 2
)


@given(rows)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[bool, int]]) -> None:
    """Comparing every late flight with every other gives the same area, ties counting half."""
    late, other = ([score for is_late, score in pairs if is_late is which] for which in (True, False))
    won = sum((a > b) + (a == b) / 2 for a in late for b in other)
    truth, score = (np.array(column, float) for column in zip(*pairs, strict=True))
    assert evaluation.auc(truth, score) == pytest.approx(won / (len(late) * len(other)))


def test_metrics_of_a_perfect_answer_are_perfect() -> None:
    """Certainty that is right costs nearly nothing."""
    truth = np.array([0.0, 1.0, 1.0])
    found = evaluation.metrics(truth, truth)
    assert (found["auc"], found["accuracy"]) == (1.0, 1.0)
    assert found["log_loss"] == pytest.approx(0, abs=1e-6)


def test_log_loss_of_even_odds_is_one_bit() -> None:
    """A model that always says one half loses log 2 a row."""
    found = evaluation.metrics(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    assert found["log_loss"] == pytest.approx(np.log(2))


def test_a_blessing_is_a_file_that_says_so(tmp_path: Path) -> None:
    """BLESSED or NOT_BLESSED, and nothing else."""
    for name, blessed in (("BLESSED", True), ("NOT_BLESSED", False)):
        evaluation.bless(str(tmp_path / name), blessed=blessed)
        assert [file.name for file in (tmp_path / name).iterdir()] == [name]


def test_nothing_to_evaluate_on_is_an_error(tmp_path: Path) -> None:
    """Examples without an evaluation split are refused before any model is loaded."""
    with pytest.raises(NoPartition, match=r"has no Split-eval/\*\.gz"):
        evaluation.run(model="m", baseline="b", examples=str(tmp_path), out=str(tmp_path / "out"))
