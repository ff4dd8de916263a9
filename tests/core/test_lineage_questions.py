"""What is asked beyond up and down: training sets, paths between, differences, use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jukebox.core.lineage_nodes import together
from jukebox.core.lineage_questions import between, deployments, difference, training_sets_of, unused, usage
from jukebox.core.uses import DEPLOYMENT, ONLINE_TABLE
from tests.core.lineage_graphs import Drawn

F, G, H = (f"/entity/e/component/c/name/{name}@1" for name in "fgh")
JOIN = "jukebox.point_in_time_join"


@pytest.fixture
def drawn():
    """Return three features of one table: two in models, of which one serves, and one that nobody uses."""
    graph = Drawn()
    for word in ("set1", "set2"):
        graph.artifact(word, "jukebox.TrainingSet")
    graph.artifact("online", ONLINE_TABLE)
    graph.run("load", f"source {F} {G} {H}", "table")
    graph.run(f"{JOIN}1", f"table {F}", "set1").run(f"{JOIN}2", f"table {F} {G}", "set2")
    graph.run("train1", "set1", "model1").run("train2", "set2", "model2")
    graph.run("jukebox.online_load", f"{F} table", "online").run("deploy", "model2", "live")
    told = (("active", "true"), ("endpoint", "live"))
    graph.nodes["artifact", "live"] = replace(graph.node("live"), type=DEPLOYMENT, properties=told)
    return graph


def test_training_sets_of_a_feature_are_those_that_hold_it(drawn):
    """The table that they were joined from holds more."""
    assert [node.name for node in training_sets_of(drawn, F)] == ["set1", "set2"]
    assert [node.name for node in training_sets_of(drawn, G)] == ["set2"]


def test_between_are_the_runs_on_the_way_and_no_others(drawn):
    """From the table to one of two models that came of it."""
    met = {node.id for node in between(drawn, "table", "model1").nodes}
    assert met == {"table", f"{JOIN}1", "set1", "train1", "model1"}


def test_between_what_is_not_connected_is_nothing(drawn):
    """Only the start is there, and no edge."""
    found = between(drawn, "model1", "model2")
    assert [node.id for node in found.nodes] == ["model1"]
    assert found.edges == ()


def test_the_difference_of_two_models(drawn):
    """By feature and version."""
    found = difference(drawn, "model1", "model2")
    assert (found.first, found.second, found.both) == ((), (G,), (F,))


def test_usage_counts_every_kind_of_use(drawn):
    """All features in one pass; a PENDING or failed model is none."""
    drawn.run("train3", "set1", "model3", state="FAILED")
    told = {
        each.feature[-1]: (each.training_sets, each.models, each.deployed, each.online_tables) for each in usage(drawn)
    }
    assert told == {"f": (2, 2, 1, 1), "g": (1, 1, 1, 0), "h": (0, 0, 0, 0)}


def test_unused_features_are_those_without_a_model(drawn):
    """Being in a table is no use."""
    assert [each.feature[-1] for each in unused(drawn)] == ["h"]


def test_a_deployment_that_ended_serves_no_more(drawn):
    """Neither is it listed, nor does it count."""
    assert [(node.name, [m.name for m in models]) for node, models in deployments(drawn)] == [("live", ["model2"])]
    ended = (("active", "false"), ("endpoint", "live"))
    drawn.nodes["artifact", "live"] = replace(drawn.node("live"), properties=ended)
    assert deployments(drawn) == ()
    assert {each.deployed for each in usage(drawn)} == {0}


def test_graphs_together_hold_each_node_and_edge_once(drawn):
    """Up and down from one artifact share it."""
    one, other = between(drawn, "table", "model1"), between(drawn, "table", "set1")
    whole = together([one, other])
    assert whole == replace(one, nodes=whole.nodes)
    assert set(whole.nodes) == set(one.nodes)
