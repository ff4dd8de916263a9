"""The flights pipeline on Kubeflow Pipelines: run by kfp's local runner, from the sources to the online store."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from runpy import run_path

import pyarrow as pa
import pytest

from jukebox.core.lineage import downstream, upstream
from jukebox.examples.flights.request import ENDPOINTS, FEATURES
from jukebox.formats import parquet
from jukebox.serving import FeatureReader
from jukebox.stores import open_lineage
from jukebox.tables import Manifest

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
TEMPERATURE = "/airport/flights-weather/temp"
FLIGHTS = 336_776
# Of all flights: weather declared as known an hour after its hour, and none older than two hours.
ANSWERED = 335_496


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder below which the pipeline has run."""
    from kfp import local

    root = tmp_path_factory.mktemp("kfp_flights")
    pipeline = run_path(str(ROOT / "pipelines" / "flights" / "flights_kfp.py"))["pipeline"]
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "artifacts"))
    pipeline(
        features=str(ROOT / "pipelines" / "flights" / "features.yaml"),
        registry=registry(root),
        store=f"sqlite://{root}/online.db",
    )
    return root


def registry(root: Path) -> str:
    """Return the URI of the run's registry."""
    return f"mlmd+sqlite://{root}/registry.db"


def training_set(root: Path) -> Manifest:
    """Return the manifest of the training set."""
    [path] = root.glob("artifacts/*/point-in-time-join/training_set")
    return Manifest.read(path, "training_set")


def test_every_flight_is_in_the_training_set_once_and_in_order(ran: Path) -> None:
    """The labels' columns come out as they went in, and both splits hold all rows between them."""
    made = training_set(ran)
    [labels] = ran.glob("artifacts/*/flight-sources/labels")
    assert made.rows == FLIGHTS
    assert sum(made.details["splits"].values()) == FLIGHTS
    [file] = labels.rglob("*.parquet") if labels.is_dir() else [labels]
    columns = parquet.schema(file).names
    before, after = (
        list(parquet.read(path, columns=columns)) for path in (file, Path(made.uri) / "training_set.parquet")
    )
    assert pa.Table.from_batches(after).equals(pa.Table.from_batches(before))


def test_the_manifest_proves_what_was_answered(ran: Path) -> None:
    """Every feature is there, in the order of the names, and the temperature was known where it was."""
    told = {each["column"]: each for each in training_set(ran).details["features"]}
    assert list(told) == [name.rpartition("/")[2] for name in sorted(FEATURES)]
    temperature = told["temp"]
    assert (temperature["answered"], temperature["max_age"]) == (ANSWERED, "2h")
    assert temperature["newer_unknown"] > 0


def test_the_online_store_answers_by_feature_name(ran: Path) -> None:
    """The newest observation of an airport is served with its time, and as of a later moment it is stale."""
    with FeatureReader(registry(ran)) as reader:
        at = datetime(2013, 12, 31, 1, tzinfo=timezone.utc)
        [temperature] = reader.read({"airport": "JFK"}, [TEMPERATURE], at=at)
        assert (temperature.status, type(temperature.value)) == ("fresh", float)
        assert timedelta(hours=1) <= at - temperature.event_time <= timedelta(hours=2)
        [now] = reader.read({"airport": "JFK"}, [TEMPERATURE])
        assert (now.status, now.value, now.too_old) == ("stale", None, temperature.value)


def test_the_lineage_goes_from_feature_to_training_set_and_back(ran: Path) -> None:
    """What a feature went into and what a training set was made of agree, tables and statistics included."""
    lineage = open_lineage(registry(ran))
    made = downstream(lineage, *lineage.feature_nodes(TEMPERATURE))
    types = {node.type for node in made.nodes if node.kind == "artifact"}
    assert {"jukebox.FeatureTable", "jukebox.TrainingSet", "jukebox.OnlineTable", "ExampleStatistics"} <= types
    assert [node.uri for node in made.artifacts({"jukebox.TrainingSet"})] == [training_set(ran).uri]
    asked = upstream(lineage, *lineage.nodes_at(training_set(ran).uri))
    assert len(asked.artifacts({"jukebox.Feature"})) == len(FEATURES)
    assert len(asked.artifacts({"jukebox.FeatureTable"})) == len(ENDPOINTS)
