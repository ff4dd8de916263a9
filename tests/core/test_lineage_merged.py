"""Several lineages as one: cut apart in any way, a graph answers as it did when it was whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.lineage import downstream, features_above
from jukebox.core.lineage_held import Held
from jukebox.core.lineage_merged import Merged
from jukebox.core.lineage_nodes import Event, Node
from jukebox.core.lineage_places import place_of, spellings
from jukebox.core.lineage_questions import usage
from jukebox.errors import NotRegistered, UnknownFeature

F, G = (f"/entity/e/component/c/name/{name}@1" for name in "fg")
WORDS = [F, G, "a", "b", "model"]


def node(word: str) -> Node:
    """Return the artifact of a word."""
    kind = "jukebox.Feature" if word.startswith("/") else "Model" if word == "model" else "Data"
    return Node("artifact", word, kind, word, f"jukebox:/{word}" if word.startswith("/") else f"/{word}", "LIVE")


def held(runs: dict[int, tuple[list[str], list[str]]], where: str = "here") -> Held:
    """Return a lineage of some runs; it knows both features."""
    found = Held(where)
    for word in (F, G):
        found.add(node(word))
    for run, (inputs, outputs) in runs.items():
        found.add(Node("execution", run, "run", state="COMPLETE"))
        for word, output in [*((w, False) for w in inputs), *((w, True) for w in outputs)]:
            found.add(node(word))
            found.tie(Event(word, run, output))
    return found


some = st.lists(st.sampled_from(WORDS), max_size=3, unique=True)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(some, some, st.integers(0, 2)), max_size=7))
def test_a_graph_cut_apart_answers_as_the_whole(cut):
    """Runs of up to three stores, whose artifacts are known by their places alone."""
    whole = held({at: (inputs, outputs) for at, (inputs, outputs, _) in enumerate(cut)})
    parts = [held({at: each[:2] for at, each in enumerate(cut) if each[2] == part}) for part in range(3)]
    merged = Merged(*parts)
    for word in WORDS:
        try:
            starts = whole.nodes_at(node(word).uri)
        except NotRegistered:
            with pytest.raises(NotRegistered):
                merged.nodes_at(node(word).uri)
            continue
        others = merged.nodes_at(node(word).uri)
        assert {n.uri for n in downstream(merged, *others).nodes} == {n.uri for n in downstream(whole, *starts).nodes}
        assert [n.name for n in features_above(merged, others)] == [n.name for n in features_above(whole, starts)]
    assert usage(merged) == usage(whole)


def test_of_two_types_at_one_place_the_telling_one_counts():
    """KFP calls a training set a Dataset."""
    one, other = Held("one"), Held("other")
    one.add(Node("artifact", 1, "system.Dataset", uri="gs://bucket/set"))
    other.add(Node("artifact", 1, "jukebox.TrainingSet", uri="/gcs/bucket/set/"))
    [found] = Merged(one, other).nodes_at("gs://bucket/set")
    assert found.type == "jukebox.TrainingSet"


def test_what_no_source_knows_is_the_first_one_s_error():
    """With its nearest names."""
    merged = Merged(held({}), Held("there"))
    with pytest.raises(UnknownFeature, match=r"nearest: /entity/e/component/c/name/f"):
        merged.feature_nodes("/e/c/ff")
    with pytest.raises(NotRegistered, match=r"recorded in here"):
        merged.nodes_at("nowhere")


@given(st.sampled_from(["/gcs/b/x", "gs://b/x/", "file:///data/x", "/data/x", "s3://b/x", "x", "/minio/b/x", ""]))
def test_every_spelling_of_a_place_is_that_place(uri):
    """And the place is its own spelling."""
    assert {place_of(each) for each in spellings(uri)} == {place_of(uri)}
    assert place_of(place_of(uri)) == place_of(uri)
    assert spellings(uri)[0] == uri
