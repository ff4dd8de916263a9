"""OpenLineage events, written and read: what the specification requires, round trips, and events of others."""

from __future__ import annotations

import json
import uuid
from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jukebox.core.lineage import features_of, models_of
from jukebox.core.lineage_held import Held
from jukebox.core.lineage_nodes import Event, Node
from jukebox.core.lineage_questions import usage
from jukebox.errors import InvalidFile, InvalidValue, StorageError
from jukebox.stores import open_lineage
from jukebox.stores.openlineage_writing import write
from tests.stores.test_mlmd_lineage import TEMP, WIND, lineage

__all__ = ["lineage"]


@pytest.fixture
def written(lineage, tmp_path):
    """Return the events of a store as TFX leaves it, with failed, cached and internal rows."""
    runs = write(lineage, tmp_path / "events.jsonl", origin="tests")
    return runs, tmp_path / "events.jsonl"


def test_every_run_is_written_with_what_the_specification_requires(written):
    """A start and an end, by one UUID; times with zones; every facet with its producer and its schema."""
    runs, path = written
    events = [json.loads(line) for line in path.read_text().splitlines()]
    by_run = {}
    for event in events:
        assert {"eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"} <= event.keys()
        assert datetime.fromisoformat(event["eventTime"].replace("Z", "+00:00")).tzinfo is not None
        assert event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
        by_run.setdefault(str(uuid.UUID(event["run"]["runId"])), []).append(event["eventType"])
        for of in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
            assert all({"_producer", "_schemaURL"} <= facet.keys() for facet in of["facets"].values())
        for of in (event["job"], *event["inputs"], *event["outputs"]):
            assert of["namespace"]
            assert of["name"]
    assert len(by_run) == runs
    assert {tuple(types) for types in by_run.values()} == {("START", "COMPLETE"), ("START", "FAIL")}


def test_what_was_written_answers_as_the_store_does(written, lineage):
    """Models of features, features of models, and the counts of all."""
    read = open_lineage(f"openlineage://{written[1]}")
    for feature in (TEMP, WIND, f"{WIND}@1"):
        assert {n.uri for n in models_of(read, feature)} == {n.uri for n in models_of(lineage, feature)}
    for model in ("temp/model", "wind/pushed"):
        assert [n.name for n in features_of(read, model)] == [n.name for n in features_of(lineage, model)]
    assert usage(read) == usage(lineage)


def test_the_same_store_is_written_the_same_twice(written, lineage, tmp_path):
    """Runs have the same UUIDs, so that a catalogue that is told again learns nothing new."""
    write(lineage, tmp_path / "again.jsonl", origin="tests")
    assert (tmp_path / "again.jsonl").read_text() == written[1].read_text()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.just("x" * 1000) | st.just("a/b/ü")
properties = st.dictionaries(texts, texts, max_size=2).map(lambda d: tuple(sorted(d.items())))


@st.composite
def graphs(draw) -> tuple[list[Node], list[Node], list[Event]]:
    """Draw artifacts and runs of any names."""
    kinds = st.sampled_from(["Model", "jukebox.Feature", "Data", "system.Dataset"])
    states = st.sampled_from(["COMPLETE", "FAILED", "CANCELED", "CACHED", "RUNNING", "UNKNOWN"])
    artifacts = [
        Node("artifact", i, draw(kinds), draw(texts), draw(texts), "LIVE", draw(properties))
        for i in range(draw(st.integers(1, 4)))
    ]
    times = st.integers(0, 4_000_000_000_000)
    runs = [
        Node("execution", i, draw(texts), draw(texts), "", draw(states), draw(properties), draw(times))
        for i in range(draw(st.integers(1, 3)))
    ]
    ends = st.tuples(st.sampled_from(artifacts), st.sampled_from(runs), st.booleans())
    return (
        artifacts,
        runs,
        [Event(a.id, r.id, output) for a, r, output in draw(st.lists(ends, max_size=6, unique=True))],
    )


# No float holds these seconds.
@settings(max_examples=60, deadline=None)
@example(([], [Node("execution", 0, "t", "n", "", "COMPLETE", (), 32_035)], []))
@given(graphs())
def test_any_graph_comes_back(tmp_path_factory, graph):
    """Types, names, URIs, states, properties, times and events; artifacts that no run touched are not told."""
    artifacts, runs, events = graph
    held = Held("tests")
    for node in (*artifacts, *runs):
        held.add(node)
    for event in events:
        held.tie(event)
    path = tmp_path_factory.mktemp("any") / "events.jsonl"
    write(held, path, origin="here")
    read = open_lineage(f"openlineage://{path}")
    census = read.census()
    for given_, found in (
        (runs, read.executions(list(census.executions))),
        (artifacts, read.artifacts(list(census.artifacts))),
    ):
        met = [n for n in given_ if n.kind == "execution" or any(e.artifact == n.id for e in events)]
        assert sorted(map(_told, found)) == sorted(map(_told, met))
    assert len(census.events) == len(set(events))


def _told(node: Node) -> tuple:
    return node.type, node.name, node.uri, node.state, node.properties, node.at if node.kind == "execution" else None


def event(run: str, kind: str, inputs=(), outputs=(), **more) -> dict:
    """Return an event as others write it."""
    return {
        "eventType": kind,
        "eventTime": "2026-01-02T03:04:05.123Z",
        "producer": "https://example.com/scheduler",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, run))},
        "job": {"namespace": "airflow", "name": run},
        "inputs": [{"namespace": n, "name": name} for n, name in inputs],
        "outputs": [{"namespace": n, "name": name, "facets": more.get("facets", {})} for n, name in outputs],
    }


def jsonl(path, *events):
    """Write events, one a line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in events))
    return open_lineage(f"openlineage://{path}")


MODEL = {"datasetType": {"_producer": "urn:x", "_schemaURL": "urn:y", "datasetType": "MODEL"}}
FEATURE = {
    "jukebox_artifact": {"_producer": "urn:x", "_schemaURL": "urn:y", "type": "jukebox.Feature", "name": f"{TEMP}@1"}
}


def test_the_events_of_one_run_are_taken_together(tmp_path):
    """Inputs may come with the start and outputs with the end; whoever says MODEL means one."""
    source = jsonl(
        tmp_path / "e.jsonl",
        event("train", "START", inputs=[("gs://bucket", "set")]),
        event("train", "COMPLETE", outputs=[("s3://models", "/m/1")], facets=MODEL),
        event("lost", "START", inputs=[("gs://bucket", "set")], outputs=[("file", "/data/lost")]),
        event("broken", "FAIL", inputs=[("gs://bucket", "set")], outputs=[("file", "/data/broken")]),
    )
    [model] = source.nodes_at("s3://models/m/1")
    [data] = source.nodes_at("/gcs/bucket/set")
    from jukebox.core.lineage import downstream

    assert downstream(source, data).artifacts({"Model"}) == (model,)
    assert {node.state for node in source.executions(list(source.census().executions))} == {
        "COMPLETE",
        "RUNNING",
        "FAILED",
    }
    assert [node.uri for node in downstream(source, data).nodes if node.kind == "artifact"] == [data.uri, model.uri]


def test_a_folder_of_events_is_one_lineage(tmp_path):
    """Whatever the order of its files."""
    named = event("join", "COMPLETE", outputs=[("gs://b", "set")])
    named["inputs"] = [{"namespace": "jukebox", "name": f"{TEMP}@1", "facets": FEATURE}]
    (tmp_path / "2.jsonl").write_text(json.dumps(named))
    (tmp_path / "1.ndjson").write_text(
        json.dumps(event("train", "COMPLETE", [("gs://b", "set")], [("gs://b", "m")], facets=MODEL))
    )
    assert [n.name for n in features_of(open_lineage(f"openlineage://{tmp_path}"), "gs://b/m")] == [f"{TEMP}@1"]


def test_events_of_jobs_and_data_sets_are_no_runs(tmp_path):
    """The specification has them beside those of runs."""
    job = {key: value for key, value in event("x", "OTHER").items() if key not in ("run", "eventType")}
    data = {**{k: job[k] for k in ("eventTime", "producer", "schemaURL")}, "dataset": {"namespace": "a", "name": "b"}}
    assert not jsonl(tmp_path / "e.jsonl", job, data).census().executions


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run": {"runId": "7"}}, "line 2: run.runId"),
        ({"run": {}}, "line 2: run: 'runId' is a required property"),
        ({"producer": None}, "line 2: producer"),
        ({"eventType": "DONE"}, "line 2: eventType: 'DONE' is not one of"),
        ({"inputs": [{"name": "x"}]}, "line 2: inputs[0]: 'namespace' is a required property"),
        ({"outputs": {}}, "line 2: outputs"),
    ],
)
def test_an_event_that_breaks_the_specification_is_told_with_its_line(tmp_path, change, said):
    """All of them at once."""
    with pytest.raises(InvalidFile) as caught:
        jsonl(tmp_path / "e.jsonl", event("a", "START"), {**event("b", "START"), **change}, {"x": 1})
    assert said in str(caught.value)
    assert "line 3: " in str(caught.value)


def test_what_is_no_file_of_events_is_told(tmp_path):
    """No file, no JSON, no text, a folder without events."""
    (tmp_path / "x.jsonl").write_text("hello\n")
    with pytest.raises(InvalidFile, match="line 1: no JSON"):
        open_lineage(f"openlineage://{tmp_path}/x.jsonl")
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StorageError, match="cannot be read"):
        open_lineage(f"openlineage://{tmp_path}/x.jsonl")
    with pytest.raises(StorageError, match="no such file"):
        open_lineage(f"openlineage://{tmp_path}/nothing.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match="there are no events in"):
        open_lineage(f"openlineage://{tmp_path}/empty")
    with pytest.raises(InvalidValue, match=r"openlineage://events.jsonl"):
        open_lineage("openlineage://")
