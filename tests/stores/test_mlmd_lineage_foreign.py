"""Lineage over stores that others wrote: cycles, odd names, states of every kind, and the census by either way."""

from __future__ import annotations

import pytest

from jukebox.core.lineage import downstream, features_of, models_of, upstream
from jukebox.core.lineage_questions import between, usage
from jukebox.stores import open_lineage, open_registry
from jukebox.stores.mlmd.census import _of_file, _through_mlmd, census_of
from jukebox.stores.mlmd.library import pb
from tests.stores.mlmd_writers import Tfx, feature
from tests.stores.test_mlmd_lineage import TEMP, TRAINER, WIND, lineage

__all__ = ["lineage"]

ODD = ["a/b c", "ünï☃", "x" * 1000, "100%?#&", "C:\\models", "s3://bucket/ü/" + "y" * 1000, "'; DROP TABLE Event; --"]


@pytest.fixture
def path(tmp_path):
    """Return a store with two features."""
    open_registry(f"mlmd+sqlite://{tmp_path}/store.db").register([feature(), feature("wind")])
    return tmp_path / "store.db"


def ids(tfx: Tfx) -> list[int]:
    """Return the feature artifacts."""
    return [artifact.id for artifact in tfx.store.get_artifacts_by_type("jukebox.Feature")]


@pytest.mark.parametrize("uri", ODD)
def test_a_model_at_any_uri_is_found(path, uri):
    """With slashes, in any script, of a thousand characters."""
    tfx = Tfx(path)
    tfx.run(TRAINER, ids(tfx)[:1], [f"Model:{uri}"])
    source = open_lineage(f"mlmd+sqlite://{path}")
    assert [node.name for node in features_of(source, uri)] == [f"{TEMP}@1"]
    assert [node.uri for node in models_of(source, TEMP)] == [uri]


def test_a_cycle_in_a_store_comes_to_an_end(path):
    """Two runs that each read what the other wrote, and one that reads what it writes."""
    tfx = Tfx(path)
    [one] = tfx.run("somebody.Step", ids(tfx)[:1], ["Data:one"])
    [two] = tfx.run("somebody.Step", [one], ["Data:two"])
    tfx.events(
        "somebody.Step", [two], tfx.store.get_artifacts_by_id([one]), state=pb.Execution.COMPLETE, kind=pb.Event.OUTPUT
    )
    [model] = tfx.run(TRAINER, [two], ["Model:model"])
    tfx.events(
        TRAINER, [model], tfx.store.get_artifacts_by_id([model]), state=pb.Execution.COMPLETE, kind=pb.Event.OUTPUT
    )
    source = open_lineage(f"mlmd+sqlite://{path}")
    assert [node.name for node in features_of(source, "model")] == [f"{TEMP}@1"]
    assert [node.uri for node in models_of(source, TEMP)] == ["model"]
    assert {"one", "two", "model"} <= {node.uri for node in between(source, "one", "model").nodes}
    assert {each.feature: each.models for each in usage(source)} == {TEMP: 1, WIND: 0}


def test_counts_are_what_the_walks_find_in_a_store_of_tfx(lineage):
    """With failed, cached and internal rows."""
    for each in usage(lineage):
        assert each.models == len(models_of(lineage, each.feature))


def test_a_file_is_counted_as_the_library_would(lineage):
    """The tables themselves, and what MLMD returns, tell the same."""
    store = lineage._store
    one, other = _of_file(store.file, "here"), _through_mlmd(store)
    assert (dict(one.artifacts), dict(one.executions)) == (dict(other.artifacts), dict(other.executions))
    assert sorted(one.events.tolist()) == sorted(other.events.tolist())


def test_an_empty_store_has_a_census(tmp_path):
    """Of nothing."""
    open_registry(f"mlmd+sqlite://{tmp_path}/empty.db")
    source = open_lineage(f"mlmd+sqlite://{tmp_path}/empty.db")
    assert census_of(source._store).events.shape == (0, 3)
    assert usage(source) == ()


def test_resolvers_are_no_makers(lineage):
    """What INTERNAL_OUTPUT ties is chosen, not made."""
    graph = upstream(lineage, *lineage.nodes_at("wind/pushed"))
    assert not [node for node in graph.nodes if node.type.endswith("Resolver")]
    assert "temp/model" not in {node.uri for node in graph.nodes}


def test_several_stores_are_one_lineage(path, tmp_path):
    """The features are in one store, and the model that came of a data set at the same place in another."""
    tfx, other = Tfx(path), Tfx(tmp_path / "other.db") if open_registry(f"mlmd+sqlite://{tmp_path}/other.db") else None
    tfx.run("jukebox.point_in_time_join", ids(tfx)[:1], ["jukebox.TrainingSet:/gcs/bucket/set"])
    [there] = other.run("tfx.dsl.components.common.importer.Importer", [], ["Examples:gs://bucket/set/"])
    other.run(TRAINER, [there], ["Model:gs://bucket/model"])
    both = open_lineage(f"mlmd+sqlite://{path}", f"mlmd+sqlite://{tmp_path}/other.db")
    assert [node.name for node in features_of(both, "gs://bucket/model")] == [f"{TEMP}@1"]
    assert [node.uri for node in models_of(both, TEMP)] == ["gs://bucket/model"]
    assert {each.feature: (each.training_sets, each.models) for each in usage(both)} == {TEMP: (1, 1), WIND: (0, 0)}
    assert [node.uri for node in downstream(both, *both.nodes_at("gs://bucket/set")).artifacts({"Model"})] == [
        "gs://bucket/model"
    ]
