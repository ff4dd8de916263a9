"""Many writers at one MLMD store, on each back end; and writers that are killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from jukebox.stores import Registry, open_registry
from jukebox.stores.mlmd.connection import Store
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.opening import connect
from tests.stores.backends import database, grpc_server
from tests.stores.mlmd_processes import at_once, edit, killed, register_and_record, work, work_and_die
from tests.stores.mlmd_writers import feature

NAMES = [f"f{i}" for i in range(6)]
WRITERS = 8


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """Let the processes that are started import this package of tests, however pytest itself was started."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "server"])
def uri(request, tmp_path, servers) -> Iterator[str]:
    """Return where no store is yet, or an empty one behind a server."""
    if request.param == "server":
        with grpc_server(f"mlmd+sqlite://{tmp_path}/served.db") as address:
            yield address
    else:
        yield f"mlmd+sqlite://{tmp_path}/new.db" if request.param == "sqlite" else database(servers[request.param])


def test_eight_who_register_the_same_at_once_leave_it_once(uri):
    """From no store on: features, contexts, sources and recorded artifacts are there once, and each of the runs is."""
    at_once(register_and_record, [(uri, NAMES)] * WRITERS)
    registry, store = open_registry(uri), connect(uri, create=False)
    assert [each.revision for each in registry.features()] == [1] * len(NAMES)
    _assert_whole(registry, store, NAMES, runs=WRITERS)
    contexts = Counter(context.type for context in store.call("get_contexts"))
    assert (contexts["jukebox.Entity"], contexts["jukebox.DataEndpoint"]) == (1, 1)


def test_eight_who_register_their_own_at_once_lose_none(uri):
    """Each finds its features, its table and its run, though all share the entity and the endpoint."""
    named = [[f"w{writer}_{name}" for name in NAMES[:4]] for writer in range(WRITERS)]
    at_once(register_and_record, [(uri, names) for names in named])
    registry, store = open_registry(uri), connect(uri, create=False)
    assert len(registry.features()) == 4 * WRITERS
    for names in named:
        _assert_whole(registry, store, names, runs=1)


def test_eight_who_edit_one_feature_at_once_lose_no_edit(uri):
    """Each edit is a revision: seven of them are history and one is the present."""
    registry = open_registry(uri)
    registry.register([feature()])
    at_once(edit, [(uri, text) for text in "abcdefgh"])
    newest = registry.feature("/airport/weather/temp")
    texts = [each.registered.feature.description for each in registry.history("/airport/weather/temp")]
    assert newest.revision == WRITERS + 1
    assert sorted([*texts, newest.feature.description]) == ["", *"abcdefgh"]


def test_a_writer_killed_before_any_of_its_writes_is_made_up_for_by_the_next(uri):
    """What it registered is there whole or not at all, no run is there in part, and the next leaves all of it once."""
    registry, store = open_registry(uri), connect(uri, create=False)
    for last in count():
        names = [f"k{last}_{name}" for name in NAMES[:3]]
        died = killed(work_and_die, uri, names, last)
        there = {each.name.name for each in registry.features()}
        assert len(there & set(names)) in {0, len(names)}
        assert len(_runs_of(store, names)) == (0 if died else 1)
        if not died:
            break
        work(registry, names)
        _assert_whole(registry, store, names, runs=1)
    assert last > 8
    _assert_whole(registry, store, names, runs=1)


def _assert_whole(registry: Registry, store: Store, names: list[str], *, runs: int) -> None:
    """Fail unless features, sources, recorded artifacts and runs are there, each once, with all that ties them."""
    for name in names:
        versioned = f"/entity/airport/component/weather/name/{name}@1"
        assert [source.uri for source in registry.offline_sources(versioned)] == [f"tables/{names[0]}"]
        assert registry.online_source(versioned).table == names[0]
        artifact = store.call("get_artifact_by_type_and_name", "jukebox.Feature", versioned)
        contexts = Counter(context.type for context in store.call("get_contexts_by_artifact", artifact.id))
        expected = ("jukebox.FeatureFamily", "jukebox.Entity", "jukebox.DataEndpoint", "jukebox.OfflineSource")
        assert {kind: contexts[kind] for kind in expected} == dict.fromkeys(expected, 1)
    for place in ("data", "tables"):
        assert len(store.call("get_artifacts_by_uri", f"{place}/{names[0]}")) == 1
    found = _runs_of(store, names)
    assert len(found) == runs
    assert all(events == {pb.Event.INPUT: len(names) + 1, pb.Event.OUTPUT: 1} for events in found)


def _runs_of(store: Store, names: list[str]) -> list[Counter]:
    """Return the events of each run that has written the table, by kind."""
    tables = [artifact.id for artifact in store.call("get_artifacts_by_uri", f"tables/{names[0]}")]
    runs = {event.execution_id for event in store.call("get_events_by_artifact_ids", tables)}
    return [Counter(event.type for event in store.call("get_events_by_execution_ids", [run])) for run in sorted(runs)]
