"""One suite for every engine of the join: in memory, from files in shards of labels, and on Beam."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.engine import beam_join, joining
from jukebox.errors import JukeboxError, NoPartition
from tests.core.test_asof_cases import CASES, is_ordered, request_of, table
from tests.core.test_asof_refusals import IDS, REFUSED
from tests.engine.join_engines import ENGINES, as_parquet_tells, drawn, embedded, medians, without_medians

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.test_asof_refusals import Join
    from tests.engine.join_engines import Engine

READ = [(name, run, kind, text) for name, run, kind, text in REFUSED if isinstance(run.args[0], pa.Table)]
BACKWARDS = " backwards"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return an engine."""
    return ENGINES[request.param]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_is_answered_as_its_project_expects(engine: Engine, path: Path, tmp_path: Path) -> None:
    """Labels, answers and types are the case's, with the feature rows in their order and, beside, reversed."""
    case = json.loads(path.read_text(encoding="utf-8"))
    labels, features, rules = request_of(case, backwards=False)
    expected = table(case["expected"]["columns"], case["expected"]["rows"])
    if not is_ordered(case):
        for asked in request_of(case, backwards=True)[1]:
            features.append(replace(asked, values={f"{name}{BACKWARDS}": of for name, of in asked.values.items()}))
            for name in asked.values:
                expected = expected.append_column(f"{name}{BACKWARDS}", expected[name])
    joined, proofs = engine(labels, features, tmp_path, **rules)
    kinds = expected.schema if engine is embedded else as_parquet_tells(expected.schema)
    assert joined.to_pydict() == expected.to_pydict()
    assert joined.schema.equals(kinds)
    assert [[column.labels for column in proof.columns] for proof in proofs] == [
        [labels.num_rows] * len(asked.values) for asked in features
    ]


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [refusal[1:] for refusal in READ],
    ids=[f"{refusal[0]}-{place}" for place, refusal in enumerate(READ)],
)
def test_bad_input_is_refused_alike_and_leaves_nothing(
    engine: Engine, run: Join, error: type[JukeboxError], message: str, tmp_path: Path
) -> None:
    """The error has its kind and its whole sentence, wherever the rows lie; no output is there."""
    with pytest.raises(error) as caught:
        engine(*run.args, tmp_path, **run.keywords)
    # Parquet has no seconds.
    assert str(caught.value) == (message if engine is embedded else message.replace("stamp[s]", "stamp[ms]"))
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(("labels", "table-"))] == []


def test_every_refusal_at_hand_is_tried_on_each_engine() -> None:
    """Each id of refusals.json has a case with labels that can be written to a file."""
    assert {refusal[0] for refusal in READ} >= IDS


@pytest.mark.parametrize("join_files", [joining.join_files, beam_join.join_files], ids=["files", "beam"])
def test_labels_that_do_not_exist_are_refused(join_files: Callable[..., Any], tmp_path: Path) -> None:
    """The place is named; nothing is written."""
    with pytest.raises(NoPartition, match="nowhere"):
        join_files(f"{tmp_path}/nowhere", drawn(1)[1], f"{tmp_path}/out.parquet", label_time="at")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("proof", ["sample", "full"])
@pytest.mark.parametrize("as_known", [True, False])
def test_answers_and_proof_are_those_of_the_join_in_memory(
    engine: Engine, proof: str, *, as_known: bool, tmp_path: Path
) -> None:
    """Late rows, ties, nulls, two tables, values of many types: shards and pieces change neither answers nor counts."""
    labels, features = drawn(7)
    rules = {"label_time": "at", "as_known": as_known, "proof": proof}
    expected, proofs = embedded(labels, features, tmp_path, **rules)
    joined, shown = engine(labels, features, tmp_path, **rules)
    assert joined.equals(expected)
    assert without_medians(shown) == without_medians(proofs)
    assert [column.median_age_us for proof in shown for column in proof.columns] == medians(proofs)
    counted = proofs[0].columns[0]
    assert min(counted.answered, counted.unanswered_no_history) > 0
    assert (counted.newer_unknown > 0) == as_known


def test_no_labels_give_an_empty_table(engine: Engine, tmp_path: Path) -> None:
    """The columns are there."""
    labels, features = drawn(3)
    joined, _ = engine(labels[:0], features, tmp_path, label_time="at")
    assert joined.equals(embedded(labels[:0], features, tmp_path, label_time="at")[0])
