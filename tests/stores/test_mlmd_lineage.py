"""Lineage over a store as TFX leaves it, with Jukebox's components in the pipeline."""

from __future__ import annotations

import pytest

from jukebox.core.lineage import downstream, features_of, models_of, upstream
from jukebox.core.uses import uses_of
from jukebox.core.uses_together import uses_of_each
from jukebox.errors import NotRegistered, UnknownFeature
from jukebox.stores import Recorded, open_lineage, open_registry
from jukebox.stores.mlmd.library import pb
from tests.stores.mlmd_writers import Tfx, feature

TEMP, WIND, RAIN = (f"/entity/airport/component/weather/name/{name}" for name in ("temp", "wind", "rain"))
TRAINER = "tfx.components.trainer.component.Trainer"
PUSHER = "tfx.components.pusher.component.Pusher"
EVALUATOR = "tfx.components.evaluator.component.Evaluator"
STATISTICS = "tfx.components.statistics_gen.component.StatisticsGen"
TRANSFORM = "tfx.components.transform.component.Transform"


def jukebox_run(tfx, registry, component, inputs, output, **features):
    """Run a component of ours as TFX does: begin, record from within, publish."""
    run = tfx.begin(component, inputs)
    registry.record(component.split(".")[1], execution=str(run), outputs=[Recorded("unused", "unused")], **features)
    (execution,) = tfx.store.get_executions_by_id([run])
    execution.last_known_state = pb.Execution.COMPLETE
    kind, uri = output.split(":", 1)
    type_id = tfx.store.put_artifact_type(pb.ArtifactType(name=kind))
    event = pb.Event(type=pb.Event.OUTPUT)
    event.path.steps.add().key = "out"
    event.path.steps.add().index = 0
    made = pb.Artifact(type_id=type_id, uri=uri, state=pb.Artifact.LIVE)
    return tfx.store.put_execution(execution, [(made, event)], [])[1][0]


@pytest.fixture
def lineage(tmp_path):
    """Return the lineage of two models of one feature table, each trained, blessed and pushed, in two runs."""
    path = tmp_path / "tfx.db"
    registry = open_registry(f"mlmd+sqlite://{path}")
    every = [each.versioned for each in registry.register([feature(), feature("wind"), feature("rain")])]
    tfx = Tfx(path)
    (yaml,) = tfx.run("tfx.dsl.components.common.importer.Importer", [], ["jukebox.DataSet:features.yaml"])
    features = "jukebox.register_features.tfx.RegisterFeatures"
    registered = jukebox_run(tfx, registry, features, [yaml], "jukebox.FeatureSet:set", makes=every)
    (source,) = tfx.run("tfx.dsl.components.common.importer.Importer", [], ["jukebox.DataSet:weather"])
    load = "jukebox.offline_load.tfx.OfflineLoad"
    table = jukebox_run(tfx, registry, load, [source, registered], "jukebox.FeatureTable:table", reads=every)
    baseline: list[int] = []
    for name in ("temp", "wind"):
        joined = {"reads": [f"/airport/weather/{name}@1"]}
        join = "jukebox.point_in_time_join.tfx.PointInTimeJoin"
        examples = jukebox_run(tfx, registry, join, [registered, table], f"Examples:{name}/examples", **joined)
        tfx.reuse(join, [registered, table], [examples])
        tfx.run(STATISTICS, [examples], [f"ExampleStatistics:{name}/statistics"])
        (graph,) = tfx.run(TRANSFORM, [examples], [f"TransformGraph:{name}/graph"])
        tfx.run(TRAINER, [examples, graph], [f"Model:{name}/failed"], state=pb.Execution.FAILED)
        (model,) = tfx.run(TRAINER, [examples, graph], [f"Model:{name}/model"])
        tfx.reuse(TRAINER, [examples, graph], [model])
        tfx.resolve(baseline)
        (blessing,) = tfx.run(EVALUATOR, [model, *baseline], [f"ModelBlessing:{name}/blessing"])
        tfx.run(PUSHER, [model, blessing], [f"PushedModel:{name}/pushed"])
        baseline = [model]
    return open_lineage(f"mlmd+sqlite://{path}")


def uris(nodes):
    """Return where artifacts lie; features by name."""
    return {node.name or node.uri for node in nodes if node.kind == "artifact"}


def test_a_feature_leads_to_its_training_set_statistics_model_and_pushed_model(lineage):
    """All of its own, and nothing of the model that uses another feature of the same table."""
    down = downstream(lineage, *lineage.feature_nodes(TEMP))
    own = ("examples", "statistics", "graph", "model", "blessing", "pushed")
    assert uris(down.nodes) == {f"{TEMP}@1", "table", *(f"temp/{part}" for part in own), "wind/blessing"}
    assert len(down.edges) == len(set(down.edges))


def test_a_pushed_model_leads_back_to_its_features_and_their_sources(lineage):
    """Back to the source, the table and the registration; not to features that only lie in the table."""
    up = upstream(lineage, *lineage.nodes_at("wind/pushed"))
    parts = ("pushed", "model", "blessing", "graph", "examples")
    whence = {"table", "set", "weather", "features.yaml"}
    assert uris(up.nodes) == {f"{WIND}@1", *whence, *(f"wind/{part}" for part in parts)}


def test_models_of_a_feature_and_features_of_a_model_agree(lineage):
    """A feature that no join names has no model."""
    assert uris(models_of(lineage, TEMP)) == {"temp/model", "temp/pushed"}
    assert uris(models_of(lineage, "/airport/weather/wind@1")) == {"wind/model", "wind/pushed"}
    assert models_of(lineage, RAIN) == ()
    assert [node.name for node in features_of(lineage, "wind/pushed")] == [f"{WIND}@1"]
    assert [node.name for node in features_of(lineage, "temp/model/")] == [f"{TEMP}@1"]


def test_runs_that_failed_or_reused_are_not_shown(lineage):
    """Each of the shown runs made something."""
    down = downstream(lineage, *lineage.feature_nodes(TEMP))
    runs = [node for node in down.nodes if node.kind == "execution"]
    assert {run.state for run in runs} == {"COMPLETE"}
    assert [run.type for run in runs].count(TRAINER) == 1
    assert not [run for run in runs if run.type.endswith("Resolver")]


def test_a_new_version_has_no_models_yet(lineage, tmp_path):
    """What used the old version does not use the new one; the name alone means both."""
    open_registry(f"mlmd+sqlite://{tmp_path}/tfx.db").register([feature(column="t")])
    assert models_of(lineage, f"{TEMP}@2") == ()
    assert uris(models_of(lineage, TEMP)) == {"temp/model", "temp/pushed"}


def test_unknown_names_and_places_are_errors(lineage):
    """A feature offers the nearest names; a URI is named with the store."""
    with pytest.raises(UnknownFeature, match=f"nearest: {TEMP}"):
        models_of(lineage, "/airport/weather/tmp")
    with pytest.raises(NotRegistered, match=r"no artifact at 'nowhere' is recorded in .*tfx.db"):
        features_of(lineage, "nowhere")


def test_eight_thousand_artifacts_are_walked_in_a_few_questions_to_the_store(tmp_path, monkeypatch):
    """Down from a feature of 2,667 pushed models, and up from one of them: the store is asked in batches."""
    path = tmp_path / "big.db"
    registry = open_registry(f"mlmd+sqlite://{path}")
    registry.register([feature(f"f{i}") for i in range(50)])
    store = Tfx(path).store
    kinds = [store.put_artifact_type(pb.ArtifactType(name=name)) for name in ("Examples", "Model", "PushedModel")]
    steps = [store.put_execution_type(pb.ExecutionType(name=name)) for name in ("jukebox.join", TRAINER, PUSHER)]
    named = [artifact.id for artifact in store.get_artifacts_by_type("jukebox.Feature")][:3]
    artifacts, runs, edges = [], [], []
    for i in range(2667):
        for step in range(3):
            at = 3 * i + step
            artifacts.append(pb.Artifact(type_id=kinds[step], uri=f"{i}/{step}", state=pb.Artifact.LIVE))
            runs.append(pb.Execution(type_id=steps[step], last_known_state=pb.Execution.COMPLETE))
            edges.append((at, at, pb.Event(type=pb.Event.OUTPUT)))
            if step:
                edges.append((at, at - 1, pb.Event(type=pb.Event.INPUT)))
            else:
                edges += [(at, None, pb.Event(type=pb.Event.INPUT, artifact_id=each)) for each in named]
    store.put_lineage_subgraph(runs, artifacts, [], edges)
    lineage = open_lineage(f"mlmd+sqlite://{path}")
    asked, call = [], type(lineage._store).call
    monkeypatch.setattr(type(lineage._store), "call", lambda *a, **k: (asked.append(a[1]), call(*a, **k))[1])
    assert len(models_of(lineage, "/airport/weather/f1")) == 2 * 2667
    down = len(asked)
    assert len(features_of(lineage, "77/2")) == 3
    assert down < 60
    assert len(asked) - down < 30


def test_the_uses_of_several_features_are_found_together_and_what_is_not_known_is_named(tmp_path):
    """Through ml-metadata, oldest first."""
    uri = f"mlmd+sqlite://{tmp_path}/registry.db"
    registry = open_registry(uri)
    first, second = (str(each.name) for each in registry.register([feature(), feature("wind")]))
    for model in ("m2", "m1"):
        registry.record("trainer", reads=[f"{first}@1"], outputs=[Recorded("Model", model)])
    found = uses_of_each(open_lineage(uri), [second, first])
    assert [[node.uri for node in uses.models] for uses in found.values()] == [[], ["m2", "m1"]]
    assert found[first] == uses_of(open_lineage(uri), first)
    with pytest.raises(UnknownFeature, match="win"):
        uses_of_each(open_lineage(uri), [first, second[:-1]])
