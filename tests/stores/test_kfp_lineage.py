"""Lineage over the metadata store of Kubeflow Pipelines v2, which is reached over gRPC."""

from __future__ import annotations

import pytest

from jukebox.core.lineage import downstream, features_of, models_of, upstream
from jukebox.core.lineage_questions import usage
from jukebox.core.lineage_tree import tree
from jukebox.stores import Recorded, open_lineage, open_registry
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.server import Guard, serving
from tests.stores.mlmd_kfp import ROOT, Kfp
from tests.stores.mlmd_writers import feature, raw

TEMP, WIND = (f"/entity/airport/component/weather/name/{name}" for name in ("temp", "wind"))
MOUNT = ROOT.replace("gs://", "/gcs/")


@pytest.fixture
def store(tmp_path):
    """Return the URI of a served store: two pipeline runs, in each a join, a cached one, trainings and a DAG."""
    path = tmp_path / "kfp.db"
    registry = open_registry(f"mlmd+sqlite://{path}")
    registry.register([feature(), feature("wind")])
    for number, name in enumerate((TEMP, WIND)):
        kfp = Kfp(raw(path), f"{number}1111111-1111-4111-8111-111111111111")
        _, [labels] = kfp.task("importer", {}, {"artifact": "system.Dataset"}, kind="system.ImporterExecution")
        # The component records by the path that it saw, before the launcher publishes what it made.
        made = Recorded("jukebox.TrainingSet", f"{MOUNT}/{kfp.place('join', 'training_set')}")
        registry.record("point_in_time_join", reads=[f"{name}@1"], outputs=[made])
        _, [joined] = kfp.task("join", {"labels": labels}, {"training_set": "system.Dataset"})
        kfp.task("join", {"labels": labels}, {"training_set": joined}, state=pb.Execution.CACHED)
        kfp.task("train", {"data": joined}, {"model": "system.Model"}, state=pb.Execution.FAILED)
        _, [model, _] = kfp.task("train", {"data": joined}, {"model": "system.Model", "metrics": "system.Metrics"})
        kfp.task("evaluate-all", {"model": model}, {}, kind="system.DAGExecution")
        kfp.task("evaluate", {"model": model}, {"report": "system.HTML"}, state=pb.Execution.RUNNING)
    with serving(f"mlmd+sqlite://{path}", host="127.0.0.1", port=0, guard=Guard(None, None, None, None)) as address:
        yield f"mlmd+grpc://{address}"


def model(number: int) -> str:
    """Return where a run's model lies."""
    return f"{ROOT}/training/{number}1111111-1111-4111-8111-111111111111/train/model"


def test_features_of_a_kfp_model_are_those_that_the_component_named(store):
    """The join's own record and KFP's artifact are at one place, though spelled otherwise."""
    source = open_lineage(store)
    assert [node.name for node in features_of(source, model(0))] == [f"{TEMP}@1"]
    assert [node.name for node in features_of(source, f"{model(1)}/")] == [f"{WIND}@1"]


def test_models_of_a_feature_are_kfp_s(store):
    """The failed training's model was never made, and what is under way counts as nothing."""
    source = open_lineage(store)
    assert {node.uri for node in models_of(source, TEMP)} == {model(0)}
    down = downstream(source, *source.feature_nodes(TEMP))
    assert {node.state for node in down.nodes if node.kind == "execution"} == {"COMPLETE"}
    assert not [node for node in down.nodes if node.type == "system.HTML"]


def test_a_tree_calls_runs_by_their_tasks(store):
    """Every run of KFP's is a ContainerExecution."""
    source = open_lineage(store)
    graph = upstream(source, *source.nodes_at(model(0)))
    lines = [line.strip().partition(" (")[0] for line in tree(graph, graph.starts[0], "up").lines()]
    assert lines[:2] == [f"Model …/{'/'.join(model(0).split('/')[-3:])}", "train"]
    assert {"join", "importer", "point_in_time_join"} <= set(lines)


def test_all_features_are_counted_over_grpc(store):
    """Without a file at hand the census goes through MLMD."""
    told = {each.feature: (each.training_sets, each.models) for each in usage(open_lineage(store))}
    assert told == {TEMP: (1, 1), WIND: (1, 1)}


def test_the_registry_over_kfp_s_store_knows_a_deployed_model(store):
    """A deployment of KFP's model keeps its feature from being retired."""
    from jukebox import record_deployment

    record_deployment.run(model=model(0), endpoint="eu", registry=store)
    assert list(open_registry(store).deployed_models(TEMP)) == [model(0)]
    assert list(open_registry(store).deployed_models(WIND)) == []
