"""Many writers at one MLMD store, and writers that are killed."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest

from jukebox.stores import open_registry
from tests.stores.mlmd_writers import edit, feature, raw, register_and_die, register_and_record

NAMES = [f"f{i}" for i in range(14)]
spawn = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """Let the processes that are spawned import this package of tests, however pytest itself was started."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def together(target, arguments):
    """Run ``target`` once for each of the arguments, all at the same moment."""
    start = spawn.Barrier(len(arguments))
    running = [spawn.Process(target=target, args=(*each, start)) for each in arguments]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * len(running)


def test_four_who_register_the_same_at_once_leave_it_once(tmp_path):
    """Features, contexts, sources and recorded artifacts are there once, and each of the runs is."""
    path = str(tmp_path / "new.db")
    together(register_and_record, [(path, NAMES)] * 4)
    store = raw(tmp_path / "new.db")
    assert [each.revision for each in open_registry(f"mlmd+sqlite://{path}").features()] == [1] * len(NAMES)
    assert Counter(artifact.type for artifact in store.get_artifacts()) == {
        "jukebox.Feature": len(NAMES),
        "jukebox.Registration": 1,
        "jukebox.DataSet": 1,
        "jukebox.FeatureTable": 1,
    }
    assert Counter(context.type for context in store.get_contexts()) == {
        "jukebox.FeatureFamily": len(NAMES),
        "jukebox.Entity": 1,
        "jukebox.DataEndpoint": 1,
        "jukebox.OfflineSource": 1,
    }
    assert len(store.get_executions()) == 4


def test_four_who_edit_one_feature_at_once_lose_no_edit(tmp_path):
    """Each edit is a revision: three are history and one is the present."""
    path = str(tmp_path / "edited.db")
    registry = open_registry(f"mlmd+sqlite://{path}")
    registry.register([feature()])
    together(edit, [(path, text) for text in "abcd"])
    newest = registry.feature("/airport/weather/temp")
    texts = [each.registered.feature.description for each in registry.history("/airport/weather/temp")]
    assert newest.revision == 5
    assert sorted([*texts, newest.feature.description]) == ["", "a", "b", "c", "d"]


@pytest.mark.parametrize("last", range(12))
def test_a_registration_that_is_killed_is_made_up_for_by_the_next(tmp_path, last):
    """Before whichever write it was: all features or none are there, and the next leaves the store whole."""
    path = str(tmp_path / "killed.db")
    registry = open_registry(f"mlmd+sqlite://{path}")
    process = spawn.Process(target=register_and_die, args=(path, NAMES, last))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert len(registry.features()) in {0, len(NAMES)}
    registry.register([feature(name) for name in NAMES])
    store = raw(tmp_path / "killed.db")
    assert len(store.get_artifacts_by_type("jukebox.Feature")) == len(NAMES)
    for artifact in store.get_artifacts_by_type("jukebox.Feature"):
        assert len(store.get_contexts_by_artifact(artifact.id)) == 3
