"""``make demo``, as a newcomer runs it: once from nothing, and once again."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from jukebox.core.lineage import features_of, models_of
from jukebox.examples.flights.request import FEATURES
from jukebox.features import FeatureName
from jukebox.serving import FeatureReader
from jukebox.serving.server.predicting import Predictor
from jukebox.serving.server.saved_models import SavedModel
from jukebox.stores import open_lineage

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
TEMPERATURE = "/airport/flights-weather/temp"
STEPS = 28


@dataclass(frozen=True)
class Run:
    """What a run of the demo printed, and the seconds of processor time that it took."""

    out: str
    cpu_seconds: float
    steps: list[dict[str, object]]


def demo(root: Path) -> Run:
    """Run the demo below ``root``, from the top of the repository."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "jukebox.examples.flights.demo", str(root)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(done.stdout, spent, json.loads((root / "steps.json").read_text()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty folder for the demo."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(root: Path) -> Run:
    """Return the first run."""
    return demo(root)


@pytest.fixture(scope="module")
def second(root: Path, first: Run) -> Run:
    """Return the run after the first."""
    assert first.steps
    return demo(root)


def test_every_step_is_run_once_and_told_of(first: Run) -> None:
    """Progress has a line for each step of the pipeline, with what it cost."""
    assert [step["cached"] for step in first.steps] == [False] * STEPS
    for step in first.steps:
        assert re.search(rf"^\s+{re.escape(str(step['name']))}\s+[\d.]+ s\s+[\d.]+ CPU s", first.out, re.MULTILINE)


def test_the_output_holds_what_a_person_wants_to_see(first: Run) -> None:
    """Features, proof, metrics, a lookup, the lineage both ways, each under its heading."""
    for heading in (
        "the registered features",
        "the training set and the proof of its join",
        "the model, with and without the joined features",
        "one lookup, online",
        "from a feature to its models, and back",
        "where it lies",
    ):
        assert heading in first.out
    for name in FEATURES:
        assert name.rpartition("/")[2] in first.out
    assert "335,496" in first.out
    assert "336,776" in first.out
    lookup, lineage = first.out.split("one lookup, online")[1].split("from a feature to its models, and back")
    assert "fresh" in lookup
    assert "PushedModel" in lineage.split("--model")[0]
    assert all(name in lineage.split("--model")[1] for name in ("temp", "aircraft_seats", "carrier_late_share_1d"))


def test_the_places_it_names_are_there(root: Path, first: Run) -> None:
    """Training set, statistics page, pushed model and registry lie where the last lines say."""
    places = re.findall(r"^\s+(training set|statistics page|pushed model|registry)\s+(\S+)$", first.out, re.MULTILINE)
    assert [what for what, _ in places] == ["training set", "statistics page", "pushed model", "registry"]
    assert all((ROOT / path).exists() and (ROOT / path).is_relative_to(root) for _, path in places)


def test_the_model_is_better_with_the_joined_features_than_without(root: Path, first: Run) -> None:
    """On the evaluation split the AUC of the model is above that of the same model on the labels' columns alone."""
    assert "AUC" in first.out.upper()
    [file] = root.glob("pipeline/EvaluateModels/evaluation/*/metrics.json")
    metrics = json.loads(file.read_text())
    assert metrics["model"]["auc"] > metrics["baseline"]["auc"] > 0.5
    assert metrics["blessed"]


def test_lineage_tells_the_features_of_the_pushed_model_and_the_models_of_a_feature(root: Path, first: Run) -> None:
    """Over the store that TFX wrote, both ways agree, and all that was asked for went into the model."""
    assert first.steps
    lineage = open_lineage(f"mlmd+sqlite://{root}/metadata.db")
    [pushed] = (root / "serving").iterdir()
    names = {node.name.partition("@")[0] for node in features_of(lineage, str(pushed))}
    assert names == {str(FeatureName.parse(name)) for name in FEATURES}
    assert {"Model", "PushedModel"} == {node.type for node in models_of(lineage, TEMPERATURE)}


def test_a_second_run_reuses_all_steps_at_half_the_cost_or_less(first: Run, second: Run) -> None:
    """Nothing has changed, so nothing but TFX's import and the printing is left to do, and the same is printed."""
    assert [step["cached"] for step in second.steps] == [True] * STEPS
    assert second.cpu_seconds <= first.cpu_seconds / 2
    assert f"{STEPS} of {STEPS} steps were unchanged" in second.out
    shown = [run.out.split("the registered features")[1].split("\ndone in")[0] for run in (first, second)]
    assert shown[0] == shown[1]


def test_the_server_predicts_what_the_model_does_of_the_examples_it_was_trained_on(root: Path, first: Run) -> None:
    """Values in JSON reach the model as the very bytes of the training set: their scores are equal to the bit."""
    import tensorflow as tf

    assert first.steps
    [pushed] = (root / "serving").iterdir()
    model = SavedModel(str(pushed))
    predictor = Predictor(model, FeatureReader.for_model(str(pushed), f"mlmd+sqlite://{root}/metadata.db"))
    file = min(root.glob("pipeline/PointInTimeJoin/training_set/*/Split-eval/*"))
    raw = [example.numpy() for example in tf.data.TFRecordDataset(str(file), "GZIP").take(200)]
    [scores] = model.run(None, {"examples": raw}).values()
    instances = [instance(tf.train.Example.FromString(each)) for each in raw]
    assert predictor.rows(None, instances) == scores.tolist()


def instance(example: Any) -> dict[str, Any]:
    """Return an example as a caller would write it in JSON, with a null for what is missing."""
    values = dict.fromkeys(name.rpartition("/")[2] for name in FEATURES)
    for name, feature in example.features.feature.items():
        [value] = getattr(feature, feature.WhichOneof("kind")).value
        values[name] = value.decode() if isinstance(value, bytes) else value
    time = datetime.fromtimestamp(values["sched_dep"] / 1_000_000, timezone.utc)
    return json.loads(json.dumps(values | {"sched_dep": time.isoformat()}))
