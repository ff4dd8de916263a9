"""What was made of a feature: its training sets, models and online tables, and which of the models serve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jukebox.core.uses import DEPLOYMENT, ONLINE_TABLE, uses_of
from tests.core.lineage_graphs import Drawn

F, G = "/entity/e/component/c/name/f@1", "/entity/e/component/c/name/g@1"


@pytest.fixture
def drawn():
    """Return a feature that goes into two models, one of them deployed, and an online table."""
    graph = Drawn()
    graph.artifact("set", "jukebox.TrainingSet").artifact("transformed", "Examples").artifact("online", ONLINE_TABLE)
    graph.run("jukebox.point_in_time_join", f"{F} {G} table", "set")
    graph.run("Transform", "set", "transformed")
    graph.run("Trainer1", "transformed", "model1").run("Trainer2", "transformed", "model2")
    graph.run("jukebox.online_load", f"{F} table", "online")
    return graph


def deploy(graph, model, endpoint, active):
    """Record that a model is deployed, or was."""
    graph.run(f"deploy{endpoint}", model, endpoint)
    told = (("active", active), ("endpoint", endpoint))
    graph.nodes["artifact", endpoint] = replace(graph.node(endpoint), type=DEPLOYMENT, properties=told)


def names(nodes):
    """Return what nodes are called."""
    return [node.name for node in nodes]


def test_uses_are_told_by_kind(drawn):
    """What a transformation makes of a training set is none itself."""
    found = uses_of(drawn, F)
    assert names(found.training_sets) == ["set"]
    assert names(found.models) == ["model1", "model2"]
    assert names(found.online_tables) == ["online"]
    assert found.deployed == ()


def test_another_feature_has_its_own_uses(drawn):
    """The online table was loaded with one of the two."""
    assert names(uses_of(drawn, G).online_tables) == []
    assert names(uses_of(drawn, G).models) == ["model1", "model2"]


@pytest.mark.parametrize(("active", "deployed"), [("true", ["model2"]), ("True", ["model2"]), ("false", []), ("", [])])
def test_a_model_is_deployed_as_long_as_its_deployment_is_active(drawn, active, deployed):
    """Of two models the one that serves."""
    deploy(drawn, "model2", "live", active)
    assert names(uses_of(drawn, F).deployed) == deployed


def test_a_model_at_two_endpoints_is_told_once(drawn):
    """And stays deployed while one of them is active."""
    deploy(drawn, "model1", "a", "true")
    deploy(drawn, "model1", "b", "true")
    deploy(drawn, "model1", "c", "false")
    assert names(uses_of(drawn, F).deployed) == ["model1"]
