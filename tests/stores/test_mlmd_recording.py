"""What runs leave in MLMD, by themselves and beside an orchestrator."""

from __future__ import annotations

import pytest

from jukebox.errors import InvalidValue, UnknownFeature
from jukebox.stores import Recorded, open_registry
from jukebox.stores.mlmd.library import pb
from tests.stores.mlmd_writers import Tfx, feature, raw

TEMP, WIND = (f"/entity/airport/component/weather/name/{name}@1" for name in ("temp", "wind"))


@pytest.fixture
def path(tmp_path):
    """Return the file of a store with two features."""
    open_registry(f"mlmd+sqlite://{tmp_path}/store.db").register([feature(), feature("wind")])
    return tmp_path / "store.db"


def record(path, component="point_in_time_join", **run):
    """Record a run."""
    open_registry(f"mlmd+sqlite://{path}").record(component, **run)


def events(path):
    """Return what each event ties: what ran, the type of the event, the artifact."""
    store = raw(path)
    runs = {run.id: run.type for run in store.get_executions()}
    artifacts = {artifact.id: artifact.name or artifact.uri for artifact in store.get_artifacts()}
    found = store.get_events_by_execution_ids(list(runs))
    return sorted((runs[e.execution_id], pb.Event.Type.Name(e.type), artifacts[e.artifact_id]) for e in found)


def test_a_run_of_its_own_is_recorded_whole(path):
    """One execution that is complete, with what it read, what it made and the features that it names."""
    outputs = [Recorded("Examples", "out/training", "training", (("rows", "336776"),))]
    record(path, reads=[TEMP], inputs=[Recorded("jukebox.DataSet", "labels")], outputs=outputs)
    join = "jukebox.point_in_time_join"
    assert events(path) == [(join, "INPUT", TEMP), (join, "INPUT", "labels"), (join, "OUTPUT", "out/training")]
    store = raw(path)
    (run,) = store.get_executions()
    (training,) = store.get_artifacts_by_uri("out/training")
    assert run.last_known_state == pb.Execution.COMPLETE
    assert (training.type, training.state) == ("Examples", pb.Artifact.LIVE)
    assert training.custom_properties["rows"].string_value == "336776"
    assert training.custom_properties["name"].string_value == "training"


def test_what_a_run_made_is_what_the_next_one_reads(path):
    """An artifact is found again by its URI, and not made a second time."""
    record(path, "offline_load", reads=[TEMP], outputs=[Recorded("jukebox.FeatureTable", "tables/weather")])
    record(path, reads=[TEMP], inputs=[Recorded("jukebox.FeatureTable", "tables/weather")])
    assert len(raw(path).get_artifacts_by_uri("tables/weather")) == 1


def test_an_input_of_another_type_is_the_artifact_that_is_there(path):
    """TFX's Examples at the URI are the labels, whatever the reader calls them; TFX's artifact stays as it was."""
    (examples,) = Tfx(path).run("tfx.components.example_gen.component.FileBasedExampleGen", [], ["Examples:gen/1"])
    before = raw(path).get_artifacts_by_id([examples])
    record(path, inputs=[Recorded("jukebox.DataSet", "gen/1", "labels")])
    assert raw(path).get_artifacts_by_id([examples]) == before
    assert [artifact.id for artifact in raw(path).get_artifacts_by_uri("gen/1")] == [examples]


def test_an_output_of_another_type_is_another_artifact(path):
    """What is written is what it is called."""
    Tfx(path).run("tfx.components.example_gen.component.FileBasedExampleGen", [], ["Examples:gen/1"])
    record(path, outputs=[Recorded("jukebox.DataSet", "gen/1")])
    assert [a.type for a in raw(path).get_artifacts_by_uri("gen/1")] == ["Examples", "jukebox.DataSet"]


def test_one_thing_named_twice_is_one_event(path):
    """A folder that is both labels and source is read once."""
    twice = [Recorded("jukebox.DataSet", "data"), Recorded("jukebox.DataSet", "data")]
    record(path, reads=[TEMP, TEMP], inputs=twice, outputs=twice[:1])
    assert len(events(path)) == 3
    assert len(raw(path).get_artifacts_by_uri("data")) == 1


def test_an_orchestrator_s_run_is_given_its_features_only(path):
    """It writes its inputs and outputs itself; no execution and no artifact is added."""
    run = Tfx(path).begin("jukebox.point_in_time_join.tfx.PointInTimeJoin")
    record(path, reads=[TEMP, WIND], outputs=[Recorded("Examples", "out")], execution=str(run))
    assert [each[1:] for each in events(path)] == [("INPUT", TEMP), ("INPUT", WIND)]
    assert not raw(path).get_artifacts_by_uri("out")


def test_tying_features_again_changes_nothing(path):
    """A run that is tried again within its execution records the same."""
    run = Tfx(path).begin("jukebox.point_in_time_join.tfx.PointInTimeJoin")
    record(path, reads=[TEMP], execution=str(run))
    record(path, reads=[TEMP, WIND], execution=str(run))
    assert [each[1:] for each in events(path)] == [("INPUT", TEMP), ("INPUT", WIND)]


def test_features_that_an_orchestrator_s_run_makes_are_no_output_of_its_own(path):
    """TFX would look for each OUTPUT on disk before it reuses the run's results."""
    run = Tfx(path).begin("jukebox.register_features.tfx.RegisterFeatures")
    record(path, makes=[TEMP], execution=str(run))
    assert [each[1:] for each in events(path)] == [("DECLARED_OUTPUT", TEMP)]


@pytest.mark.parametrize("execution", ["999", "", "projects/1/run", "-1", "٣"])
def test_an_execution_that_is_not_in_this_store_is_none(path, execution):
    """Another store's execution means nothing here: the run is recorded as our own."""
    record(path, reads=[TEMP], execution=execution)
    assert events(path) == [("jukebox.point_in_time_join", "INPUT", TEMP)]


def test_another_s_execution_of_the_same_number_is_left_alone(path):
    """A run that is over, or not of Jukebox, has the number by chance."""
    tfx = Tfx(path)
    foreign = tfx.begin("tfx.components.trainer.component.Trainer")
    record(path, reads=[TEMP], execution=str(foreign))
    (over,) = [run.id for run in raw(path).get_executions() if run.id != foreign]
    record(path, reads=[WIND], execution=str(over))
    assert [each[1:] for each in events(path)] == [("INPUT", TEMP), ("INPUT", WIND)]
    assert len(raw(path).get_executions()) == 3


def test_a_run_of_an_unknown_feature_is_refused_whole(path):
    """Nothing of it is recorded."""
    with pytest.raises(UnknownFeature):
        record(path, reads=["/airport/weather/snow@1"], outputs=[Recorded("Examples", "out")])
    assert events(path) == []


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (Recorded("Model", "models/a\0b"), "URI"),
        (Recorded("Model", "models/a", "na\0me"), "name"),
        (Recorded("Model", "models/a", properties=(("endpoint", "eu\0us"),)), "endpoint"),
        (Recorded("Model", "models/a", properties=(("end\0point", "eu"),)), "key"),
        (Recorded("Mo\0del", "models/a"), "name"),
    ],
)
def test_a_nul_in_a_text_is_refused_and_nothing_recorded(path, output, what):
    """ML Metadata would keep what stands before it, and say nothing."""
    with pytest.raises(InvalidValue, match=f"the {what} .* holds a NUL character"):
        record(path, "trainer", reads=[TEMP], outputs=[output])
    assert events(path) == []
    assert raw(path).get_artifacts_by_type("Model") == []
