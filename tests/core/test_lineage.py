"""The lineage walk: what came of what, and the rule of named features."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.lineage import FEATURE, Graph, Node, downstream, features_of, models_of, upstream
from jukebox.core.lineage_tree import tree
from tests.core.lineage_graphs import Drawn, plain_features, plainly_downstream

F, G, H = "/e/c/f@1", "/e/c/g@1", "/e/c/h@1"


def two_models() -> Drawn:
    """Return a store with one table of two features, and a model of each."""
    graph = Drawn().run("register", "yaml", f"set {F} {G}").run("load", f"set source {F} {G}", "table")
    for i, feature in enumerate((F, G)):
        graph.run(f"join{i}", f"labels set table {feature}", f"training{i}").run(
            f"train{i}", f"training{i}", f"model{i}"
        )
    return graph


def names(nodes) -> set[str]:
    """Return the names of artifacts, or what runs are called."""
    return {str(node.id) for node in nodes}


def test_a_model_of_the_same_table_but_another_feature_is_not_downstream():
    """The join that does not name the feature is not entered, though it reads the table that holds it."""
    assert names(models_of(two_models(), "/e/c/f")) == {"model0"}
    assert names(models_of(two_models(), "/e/c/g")) == {"model1"}


def test_a_model_has_the_features_of_its_join_and_no_more():
    """The table holds two, the load names two, the join named one."""
    assert names(features_of(two_models(), "model0")) == {F}


def test_a_registered_set_leads_up_and_not_down():
    """Upstream of a model is where its features were registered; downstream of a feature is not the set it lies in."""
    up, down = upstream(two_models(), two_models().node("model0")), downstream(two_models(), two_models().node(F))
    assert {"yaml", "register", "set", "source", "load", "table", "labels"} <= names(up.nodes)
    assert names(up.nodes).isdisjoint({G, "join1", "training1", "model1"})
    assert names(down.nodes) == {F, "load", "table", "join0", "training0", "train0", "model0"}


def test_a_table_leads_down_to_all_that_read_it():
    """Only a walk that starts at a feature keeps to what names it."""
    graph = two_models()
    assert {"model0", "model1"} <= names(downstream(graph, graph.node("table")).nodes)


def test_a_model_that_reads_the_table_itself_has_all_of_its_features():
    """No join has chosen on that path, so the load's features are the model's."""
    graph = two_models().run("train2", "table", "model2")
    assert names(features_of(graph, "model2")) == {F, G}
    assert names(models_of(graph, "/e/c/f")) == {"model0", "model2"}


def test_both_a_chosen_and_an_open_path_give_the_open_one():
    """A model of a training set and of the table has what the join named and what the table holds."""
    graph = two_models().run("train2", "training0 table", "model2")
    assert names(features_of(graph, "model2")) == {F, G}


def test_a_feature_made_of_another_passes_on_itself_only():
    """A model of the derived feature names that one; the feature it was made of is not its own."""
    graph = Drawn().run("derive", F, G).run("join", G, "training").run("train", "training", "model")
    assert names(features_of(graph, "model")) == {G}
    assert names(models_of(graph, "/e/c/f")) == set()


def test_all_versions_of_a_feature_are_asked_for_together():
    """A name without a version means any of them."""
    graph = Drawn().run("train1", F, "model1").run("train2", "/e/c/f@2", "model2")
    assert names(models_of(graph, "/e/c/f")) == {"model1", "model2"}
    assert names(models_of(graph, "/e/c/f@2")) == {"model2"}


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "RUNNING", "NEW"])
def test_a_run_that_did_not_come_to_its_end_leads_nowhere(state):
    """Neither up nor down."""
    graph = Drawn().run("train", F, "model", state=state)
    assert models_of(graph, "/e/c/f") == ()
    assert features_of(graph, "model") == ()


def test_a_run_of_a_writer_that_keeps_no_states_counts():
    """An unknown state is no failure."""
    assert names(models_of(Drawn().run("train", F, "model", state="UNKNOWN"), "/e/c/f")) == {"model"}


def test_what_was_reused_is_there_once():
    """A cached run made nothing: it names no features, and would pass on what the true one held back."""
    graph = two_models().run("join2", "labels set table", "training1", state="CACHED")
    assert names(models_of(graph, "/e/c/f")) == {"model0"}
    up = upstream(graph, graph.node("model1"))
    assert "join2" not in names(up.nodes)
    assert len(up.edges) == len(set(up.edges))


def test_a_cached_run_whose_maker_is_not_in_the_store_counts():
    """A store of which the first runs were removed still tells what it can."""
    assert names(models_of(Drawn().run("train", F, "model", state="CACHED"), "/e/c/f")) == {"model"}


def test_what_was_deleted_still_joins_what_is_left():
    """A training set that was cleaned away has still been the model's; one that never came to be has not."""
    for state, found in [("DELETED", {"model"}), ("ABANDONED", set()), ("PENDING", set())]:
        graph = Drawn().artifact("training", state=state).run("join", F, "training").run("train", "training", "model")
        assert names(models_of(graph, "/e/c/f")) == found


def test_a_model_has_no_features_of_the_model_it_was_compared_with():
    """A blessing is shown and ends there: the baseline's features are not the pushed model's."""
    graph = Drawn().artifact("blessing", "ModelBlessing").artifact("pushed", "PushedModel")
    graph.run("train1", F, "model1").run("train2", G, "model2")
    graph.run("evaluate", "model1 model2", "blessing").run("push", "model2 blessing", "pushed")
    assert names(features_of(graph, "pushed")) == {G}
    assert "blessing" in names(upstream(graph, graph.node("pushed")).nodes)
    assert names(models_of(graph, "/e/c/f")) == {"model1"}
    assert names(features_of(graph, "blessing")) == {F, G}


def test_a_cycle_comes_to_an_end():
    """A foreign store may hold one."""
    graph = Drawn().run("a", f"x {F}", "y").run("b", "y", "x model")
    assert names(models_of(graph, "/e/c/f")) == {"model"}
    assert names(features_of(graph, "model")) == {F}


def test_questions_are_asked_in_batches():
    """A thousand models cost as many questions as one."""
    counts = []
    for width in (1, 1000):
        graph = Drawn()
        for i in range(width):
            graph.run(f"join{i}", F, f"training{i}").run(f"train{i}", f"training{i}", f"model{i}")
        assert len(models_of(graph, "/e/c/f")) == width
        counts.append(graph.questions)
    assert counts[0] == counts[1]


WORDS = [F, G, H, "a", "b", "c", "d", "blessing"]


@st.composite
def graphs(draw) -> Drawn:
    """Draw a small graph of any shape, cycles too."""
    graph = Drawn()
    for word in WORDS:
        state = draw(st.sampled_from(["LIVE", "LIVE", "LIVE", "DELETED", "PENDING"])) if word in "bcd" else "LIVE"
        graph.artifact(word, "ModelBlessing" if word == "blessing" else "Data", state)
    some = st.lists(st.sampled_from(WORDS), max_size=3, unique=True).map(" ".join)
    states = st.sampled_from(["COMPLETE", "COMPLETE", "COMPLETE", "UNKNOWN", "CACHED", "FAILED"])
    for i in range(draw(st.integers(1, 8))):
        graph.run(f"r{i}", draw(some), draw(some), draw(states))
    return graph


@settings(max_examples=500, deadline=None)
@given(graphs(), st.sampled_from(WORDS))
def test_the_walk_down_is_reachability_under_the_rule(graph, start):
    """From any artifact: what the plainest walk reaches, and nothing else."""
    met = {str(node.id) for node in downstream(graph, graph.node(start)).nodes if node.kind == "artifact"}
    assert met == plainly_downstream(graph, start) | {start}


@settings(max_examples=500, deadline=None)
@given(graphs(), st.sampled_from(WORDS))
def test_the_walk_up_finds_the_features_that_are_named_first(graph, start):
    """From any artifact: what the plainest walk finds, and nothing else."""
    found = upstream(graph, graph.node(start)).artifacts({FEATURE})
    assert names(found) - {start} == plain_features(graph, start) - {start}


@settings(max_examples=500, deadline=None)
@given(graphs(), st.sampled_from([G, "a", "blessing"]))
def test_up_and_down_agree(graph, end):
    """A feature is upstream of an artifact exactly where the artifact is downstream of the feature."""
    above = F in names(upstream(graph, graph.node(end)).artifacts({FEATURE}))
    below = end in names(downstream(graph, graph.node(F)).nodes)
    assert above == below


def test_a_tree_reads_from_the_feature_to_the_model():
    """Runs stand between artifacts, and what hangs twice is drawn once."""
    graph = two_models()
    down = downstream(graph, graph.node(F))
    assert list(tree(down, graph.node(F), "down").lines()) == [
        f"Feature {F}",
        "  load (run load)",
        "    Data table",
        "      join (run join0)",
        "        Data training0",
        "          train (run train0)",
        "            Model model0",
        "  join (run join0)  (see above)",
    ]


def test_a_tree_counts_the_siblings_that_it_does_not_draw():
    """Of a hundred joins five are drawn."""
    graph = Drawn()
    for i in range(100):
        graph.run(f"join{i}", F, f"training{i}")
    lines = list(tree(downstream(graph, graph.node(F)), graph.node(F), "down", most=5).lines())
    assert len(lines) == 1 + 5 * 2 + 1
    assert lines[-1] == "  … and 95 more of join"


def test_a_tree_may_be_deeper_than_python_s_stack():
    """Three thousand models, each warmed up by the one before."""
    models = [Node("artifact", f"m{i}", "Model") for i in range(3000)]
    runs = [Node("execution", f"t{i}", "train") for i in range(2999)]
    edges = [*zip(models[:-1], runs, strict=True), *zip(runs, models[1:], strict=True)]
    deep = Graph((models[0],), (*models, *runs), tuple(edges))
    assert len(list(tree(deep, models[0], "down").lines())) == 5999
