"""The uses of many features in one walk are what a walk from each of them finds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.uses import DEPLOYMENT, JOINS, ONLINE_TABLE, uses_of
from jukebox.core.uses_together import uses_of_each
from tests.core.lineage_graphs import Drawn

F, G, H = (f"/entity/e/component/c/name/{letter}" for letter in "fgh")
KINDS = {
    "set": "jukebox.TrainingSet",
    "table": "Data",
    "model1": "Model",
    "model2": "PushedModel",
    "blessing": "ModelBlessing",
    "online": ONLINE_TABLE,
    "live": DEPLOYMENT,
    "left": DEPLOYMENT,
}
FEATURES = [f"{F}@1", f"{F}@2", f"{G}@1", f"{H}@1"]
STATES = ["COMPLETE", "COMPLETE", "COMPLETE", "UNKNOWN", "CACHED", "FAILED"]


@st.composite
def graphs(draw) -> Drawn:
    """Draw a graph of every kind of use, features made of others and cycles among them."""
    graph = Drawn()
    for word in FEATURES:
        graph.artifact(word)
    for word, kind in KINDS.items():
        graph.artifact(word, kind, draw(st.sampled_from(["LIVE", "LIVE", "LIVE", "PENDING"])))
    for word, active in (("live", "true"), ("left", "false")):
        graph.nodes["artifact", word] = replace(graph.node(word), properties=(("active", active),))
    some = st.lists(st.sampled_from([*FEATURES, *KINDS]), max_size=4, unique=True).map(" ".join)
    for number in range(draw(st.integers(1, 10))):
        what = draw(st.sampled_from([*JOINS, "Trainer"]))
        graph.run(f"{what}{number}", draw(some), draw(some), draw(st.sampled_from(STATES)))
    return graph


def told(uses):
    """Return the nodes of each kind of use, sorted: the order of a walk is no part of the answer."""
    return {kind: sorted(node.name for node in nodes) for kind, nodes in vars(uses).items()}


@settings(max_examples=400, deadline=None)
@given(graphs(), st.lists(st.sampled_from([F, G, H, f"{F}@1", f"{F}@2"]), max_size=5))
def test_one_walk_finds_what_walks_from_each_find(graph, asked):
    """Whatever the shape of the graph, for features asked for by name, by version, and twice."""
    found = uses_of_each(graph, asked)
    assert list(found) == list(dict.fromkeys(asked))
    assert {name: told(uses) for name, uses in found.items()} == {name: told(uses_of(graph, name)) for name in asked}


def test_the_questions_do_not_grow_with_the_features():
    """A hundred features of one join are asked about as one is."""
    names = [f"/entity/e/component/c/name/f{number}" for number in range(100)]
    graph = Drawn().run(JOINS[0], " ".join(f"{name}@1" for name in names), "set").run("Trainer", "set", "model")
    uses_of_each(graph, names[:1])
    one, graph.questions = graph.questions, 0
    found = uses_of_each(graph, names)
    assert graph.questions == one
    assert [[node.name for node in uses.models] for uses in found.values()] == [["model"]] * len(names)
