"""Counting for all features at once is what walking from each of them finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.lineage import FEATURE, downstream, features_above
from jukebox.core.lineage_census import taken, taken_sorted
from jukebox.core.lineage_counts import Counts
from tests.core.lineage_graphs import Drawn
from tests.core.test_lineage import F, G, two_models

WORDS = [F, G, "/e/c/f@2", "a", "b", "model1", "model2", "blessing"]


@st.composite
def graphs(draw) -> Drawn:
    """Draw a graph with models, in which runs may have failed or reused, cycles too."""
    graph = Drawn()
    for word in WORDS:
        state = draw(st.sampled_from(["LIVE", "LIVE", "LIVE", "DELETED", "PENDING"])) if word[0] != "/" else "LIVE"
        kind = "Model" if word.startswith("model") else "ModelBlessing" if word == "blessing" else "Data"
        graph.artifact(word, kind, state)
    some = st.lists(st.sampled_from(WORDS), max_size=3, unique=True).map(" ".join)
    states = st.sampled_from(["COMPLETE", "COMPLETE", "COMPLETE", "UNKNOWN", "CACHED", "FAILED"])
    for i in range(draw(st.integers(1, 8))):
        graph.run(f"r{i}", draw(some), draw(some), draw(states))
    return graph


def features(graph: Drawn) -> list[str]:
    """Return the feature artifacts."""
    return [node.id for node in graph.nodes_of({FEATURE})]


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_counts_are_what_the_walk_up_from_each_model_finds(graph):
    """Version by version, whatever the shape of the graph."""
    counts = Counts(graph.census(), {i: i for i in features(graph)})
    models = [node for node in graph.nodes_of({"Model"}) if node.state != "PENDING"]
    above = [{node.id for node in features_above(graph, [model])} for model in models]
    assert counts.of(counts.models()) == {i: sum(i in each for each in above) for i in features(graph)}


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_a_group_counts_each_model_once(graph):
    """A model of two versions of a feature is one model of it."""
    counts = Counts(graph.census(), {i: i.partition("@")[0] for i in features(graph)})
    models = [node for node in graph.nodes_of({"Model"}) if node.state != "PENDING"]
    above = [{str(node.id).partition("@")[0] for node in features_above(graph, [model])} for model in models]
    names = {i.partition("@")[0] for i in features(graph)}
    assert counts.of(counts.models()) == {name: sum(name in each for each in above) for name in names}


def test_counts_agree_with_the_walk_down():
    """The models of a feature are as many as counted."""
    graph = two_models().run("train2", "training0 table", "model2")
    counts = Counts(graph.census(), {i: i for i in features(graph)})
    found = counts.of(counts.models())
    assert found == {f: len(downstream(graph, graph.node(f)).artifacts({"Model"})) for f in (F, G)}
    assert found == {F: 2, G: 2}


def test_a_feature_outside_all_groups_is_not_counted():
    """Only what is asked for."""
    graph = two_models()
    counts = Counts(graph.census(), {F: "one"})
    assert counts.of(counts.models()) == {"one": 1}


def test_a_graph_without_anything_has_no_counts():
    """An empty store is no error."""
    counts = Counts(Drawn().census(), {})
    assert counts.of(counts.models()) == {}


def test_events_of_what_is_not_there_are_left_out():
    """A store from which artifacts or runs were removed, by either way of taking it."""
    artifacts, runs = {3: ("Data", "LIVE"), 7: ("Model", "LIVE")}, {5: ("train", "COMPLETE")}
    events = [(3, 5, False), (7, 5, True), (4, 5, False), (9, 5, True), (3, 6, False), (3, 1, True)]
    one = taken(artifacts, runs, events)
    other = taken_sorted(artifacts, runs, np.array(events, np.int64))
    assert one.events.tolist() == other.events.tolist() == [[0, 0, 0], [1, 0, 1]]
