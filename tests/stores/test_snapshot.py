"""A registry in a file: it answers as the one that it came from, and takes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import pytest

from jukebox.errors import InvalidFile, NotRegistered, StorageError, UnknownFeature
from jukebox.stores import open_lineage, open_registry
from jukebox.stores.mlmd import MlmdRegistry
from jukebox.stores.mlmd.opening import connect
from jukebox.stores.nouns import Chronicle, FormerRevision, Holdings, OnlineSource, RegisteredFeature
from jukebox.stores.searching import Query
from jukebox.stores.writing import to_yaml
from tests.stores.mlmd_processes import Mortal, killed
from tests.stores.mlmd_writers import feature, offline

TEMP, WIND = "/entity/airport/component/weather/name/temp", "/entity/airport/component/weather/name/wind"
AT = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
SERVED = OnlineSource("sqlite://x.db", "weather", (f"{TEMP}@1",), 3, "f00d", AT)
HELD = Holdings(
    (
        Chronicle(
            RegisteredFeature(feature(max_age=timedelta(hours=2), description="now"), 1, 2),
            (FormerRevision(RegisteredFeature(feature(), 1, 1), AT),),
        ),
        Chronicle(
            RegisteredFeature(feature("wind", column="w", life_cycle="production"), 2, 2),
            (FormerRevision(RegisteredFeature(feature("wind"), 1, 1), AT),),
        ),
    ),
    (offline("tables/a", f"{TEMP}@1", f"{WIND}@1"), offline("tables/b", f"{WIND}@2")),
    ((f"{TEMP}@1", SERVED),),
)


@pytest.fixture
def both(tmp_path):
    """Return the same registry on ML Metadata and in a file."""
    there = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    there.take_over(HELD)
    (tmp_path / "registry.yaml").write_text(to_yaml(there.holdings()), encoding="utf-8")
    return there, open_registry(f"file://{tmp_path}/registry.yaml")


QUESTIONS = [
    lambda r: tuple(r.features()),
    lambda r: r.feature("/airport/weather/wind"),
    lambda r: r.feature(WIND, 1),
    lambda r: tuple(r.versions(WIND)),
    lambda r: tuple(r.history(TEMP)),
    lambda r: r.search(Query(text="now")),
    lambda r: r.search(Query(online=True)),
    lambda r: r.search(Query(online=False, limit=1)),
    lambda r: tuple(r.plan([feature("wind"), feature("rain"), feature(description="now")])),
    lambda r: r.offline_sources(f"{WIND}@1"),
    lambda r: r.offline_sources("/airport/weather/wind"),
    lambda r: r.online_source(f"{TEMP}@1"),
    lambda r: r.holdings(),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_answers_as_the_one_that_it_came_from(both, question):
    """Whatever is asked."""
    there, held = both
    assert question(held) == question(there)


FAULTS = [
    (lambda r: r.feature("/airport/weather/tmp"), UnknownFeature),
    (lambda r: r.feature(WIND, 3), UnknownFeature),
    (lambda r: r.feature(WIND, 0), UnknownFeature),
    (lambda r: r.history("/airport/weather/rain"), UnknownFeature),
    (lambda r: r.offline_sources(f"{WIND}@3"), UnknownFeature),
    (lambda r: r.online_source(f"{WIND}@2"), NotRegistered),
]


@pytest.mark.parametrize(("question", "error"), FAULTS)
def test_it_refuses_as_the_one_that_it_came_from(both, question, error):
    """In the same words."""
    told = []
    for registry in both:
        with pytest.raises(error) as caught:
            question(registry)
        told.append(str(caught.value))
    assert told[0] == told[1]


WRITES = [
    lambda r: r.register([feature()]),
    lambda r: r.set_life_cycle([TEMP], "production"),
    lambda r: r.add_offline_source(offline("a", f"{TEMP}@1")),
    lambda r: r.set_online_source(SERVED),
    lambda r: r.remove_online_source([f"{TEMP}@1"]),
    lambda r: r.take_over(HELD),
]


@pytest.mark.parametrize("write", WRITES)
def test_it_takes_nothing(both, write, tmp_path):
    """The error names the file, which stays as it is."""
    before = (tmp_path / "registry.yaml").read_bytes()
    with pytest.raises(StorageError, match=r"registry\.yaml is a registry in a file and read only"):
        write(both[1])
    assert (tmp_path / "registry.yaml").read_bytes() == before


def test_who_is_going_to_write_is_refused_before_any_work(tmp_path):
    """A load does not read its data first."""
    with pytest.raises(StorageError, match="offline_load needs the registry that it came from"):
        open_registry(f"file://{tmp_path}/registry.yaml", writes="offline_load")


def test_it_holds_no_lineage(both, tmp_path):
    """A run is recorded nowhere but in its manifest, and a question for models says so."""
    assert both[1].record("point_in_time_join", reads=[f"{TEMP}@1"]) is None
    with pytest.raises(NotRegistered, match="holds no lineage"):
        open_lineage(f"file://{tmp_path}/registry.yaml").feature_nodes(TEMP)
    with pytest.raises(NotRegistered, match="holds no lineage"):
        both[1].search(Query(model="model"))


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    """Neither by a question nor by a look."""
    for opened in (open_registry, open_lineage):
        with pytest.raises(StorageError, match=r"nowhere\.yaml"):
            opened(f"file://{tmp_path}/nowhere.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_something_else_is_refused(tmp_path):
    """With its faults."""
    (tmp_path / "f.yaml").write_text("a: 1\n")
    with pytest.raises(InvalidFile, match="6 faults"):
        open_registry(f"file://{tmp_path}/f.yaml")


def import_and_die(uri, last):
    """Take HELD over, and be killed before the ``last``-th write."""
    MlmdRegistry(Mortal(connect(uri, create=True), last)).take_over(HELD)


def test_an_import_that_is_killed_is_made_up_for_by_the_same_again(tmp_path, monkeypatch):
    """Before whichever write it was: the features are there whole or not at all, and no source is there in part."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    for last in count():
        uri = f"mlmd+sqlite://{tmp_path}/{last}.db"
        registry = open_registry(uri)
        died = killed(import_and_die, uri, last)
        held = registry.holdings()
        assert held.features in {(), HELD.features}
        assert set(held.offline) <= set(HELD.offline)
        registry.take_over(HELD)
        assert registry.holdings() == HELD
        assert registry.offline_sources(f"{WIND}@2") == (HELD.offline[1],)
        if not died:
            break
    assert last > 6
