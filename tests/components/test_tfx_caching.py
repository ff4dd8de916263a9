"""What TFX's cache reuses of our components and what it does not, on a small pipeline that is run again and again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from jukebox import register_features
from jukebox.stores import open_registry
from jukebox.stores.mlmd.library import pb
from jukebox.tables import Manifest
from tests.components.place import DECLARED, SEATS, TEMP, WIND, Place, copied, files
from tests.components.tiny import Wired, run_on_tfx, wired
from tests.stores.mlmd_writers import raw

if TYPE_CHECKING:
    from pathlib import Path

STEPS = {
    "RegisterFeatures",
    "OfflineLoad.weather",
    "OfflineLoad.planes",
    "PointInTimeJoin",
    "OnlineLoad.weather",
    "OnlineLoad.planes",
}
RUN, CACHED = dict.fromkeys(STEPS, "COMPLETE"), dict.fromkeys(STEPS, "CACHED")


@pytest.fixture(scope="module")
def ran(furnished: Place, tmp_path_factory: pytest.TempPathFactory) -> Wired:
    """Return a place where the pipeline has run once; a test that changes it leaves it whole for the next."""
    here = wired(copied(furnished, tmp_path_factory.mktemp("ran")))
    assert run(here) == RUN
    return here


def run(here: Wired) -> dict[str, str]:
    """Run the pipeline without its statistics, which cost the most."""
    return run_on_tfx(here, statistics=False)


def declare(here: Wired, text: str) -> None:
    """Write the features file, and register nothing."""
    (here.place.root / "features.yaml").write_text(text)


def newest_training_set(here: Wired) -> dict[str, int]:
    """Return the versions in the newest training set by name."""
    made = max((here.root / "PointInTimeJoin" / "training_set").iterdir(), key=lambda path: int(path.name))
    return {each["name"]: each["version"] for each in Manifest.read(made).details["features"]}


def written(here: Wired) -> dict[str, tuple[int, bytes]]:
    """Return every file of the pipeline and of the online store, with its bytes and when they were written."""
    paths = [path for path in here.root.rglob("*") if path.is_file() and ".system" not in path.parts]
    found: list[Path] = [*paths, here.place.root / "online.db"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_second_run_reuses_every_step_and_writes_nothing(ran: Wired) -> None:
    """All states are CACHED, and no file has changed or been touched."""
    before = written(ran)
    assert run(ran) == CACHED
    assert written(ran) == before


def test_a_registry_that_the_first_run_made_is_no_change_to_the_second(here: Place) -> None:
    """What is foreseen of a registry that is not there is what a run then leaves in it."""
    there = wired(here)
    (here.root / "registry.db").unlink()
    assert run(there) == RUN
    assert run(there) == CACHED


def test_feature_artifacts_are_inputs_of_the_executions_that_load_and_join_them(ran: Wired) -> None:
    """TFX's own executions name the features they read, each those that it asked for and no others."""
    store = raw(ran.place.root / "registry.db")
    features = {each.id: each.name for each in store.get_artifacts_by_type("jukebox.Feature")}
    named = defaultdict(set)
    for event in store.get_events_by_artifact_ids(list(features)):
        if event.type == pb.Event.INPUT:
            [execution] = store.get_executions_by_id([event.execution_id])
            [kind] = store.get_execution_types_by_id([execution.type_id])
            named[kind.name].add(features[event.artifact_id].partition("@")[0])
    assert named["jukebox.offline_load.tfx.OfflineLoad"] == {TEMP, WIND, SEATS}
    assert named["jukebox.point_in_time_join.tfx.PointInTimeJoin"] == {TEMP, WIND, SEATS}
    assert named["jukebox.online_load.tfx.OnlineLoad"] == {TEMP, WIND, SEATS}


def test_an_edited_description_runs_registration_and_what_depends_on_it_again(ran: Wired) -> None:
    """The version stays, the history has one revision more, and after that all is cached again."""
    edited = DECLARED.replace("column: temp,", "column: temp, description: In the shade.,")
    declare(ran, edited)
    assert run(ran) == RUN
    feature = open_registry(ran.place.registry).feature(TEMP)
    assert (feature.version, feature.revision, feature.feature.description) == (1, 2, "In the shade.")
    assert run(ran) == CACHED
    declare(ran, DECLARED)
    assert run(ran) == RUN


def test_a_definition_registered_from_outside_is_never_a_stale_cache_hit(ran: Wired) -> None:
    """The file's own definition becomes the newest version again, and the training set is made of it."""
    ran.place.register(DECLARED.replace("column: temp, data_type: float64", "column: temp, data_type: float32"))
    before = open_registry(ran.place.registry).feature(TEMP).version
    declare(ran, DECLARED)
    assert run(ran) == RUN
    assert newest_training_set(ran) == {SEATS: 1, TEMP: before + 1, WIND: 1}
    assert run(ran) == CACHED


def test_another_teams_registration_reruns_nothing(ran: Wired) -> None:
    """Features that the file does not declare are no reason to run its pipeline again."""
    declare(ran, DECLARED)
    theirs = ran.place.root / "theirs.yaml"
    theirs.write_text(DECLARED.replace("/airport/weather/", "/airport/rainfall/").replace("/aircraft/", "/aeroplane/"))
    before = run(ran)
    register_features.run(features=str(theirs), registry=ran.place.registry)
    assert {*before.values(), *run(ran).values()} == {"CACHED"}


def test_a_failed_load_leaves_no_offline_source_and_the_rerun_works(here: Place) -> None:
    """What ran before the failure is reused, and nothing looks whole that is not."""
    there = wired(here)
    lost = here.source / "weather" / "2024-01-02.parquet"
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(Exception, match="2024-01-02"):
        run(there)
    registry = open_registry(here.registry)
    assert not registry.offline_sources(f"{TEMP}@1")
    assert [path for path in files(there.root) if "OfflineLoad.weather" in path and "manifest" in path] == []
    lost.write_bytes(kept)
    assert run(there) == {**RUN, "RegisterFeatures": "CACHED", "OfflineLoad.planes": "CACHED"}
    [source] = registry.offline_sources(f"{TEMP}@1")
    assert len(source.dates) == 3
