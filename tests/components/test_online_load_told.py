"""What is told of an online load: a dry run before it, and the registry after it, hold what the store holds."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from jukebox import online_load
from jukebox.core.coordinates import prefixes
from jukebox.errors import NotRegistered, StorageError
from jukebox.stores import open_online, open_registry
from jukebox.stores.bigtable import BigtableStore, cells
from tests.components.place import DAYS, SEATS, TEMP, WIND
from tests.components.test_online_load import load_online, served, store

if TYPE_CHECKING:
    from tests.components.place import Place


def held(uri: str, entity: str) -> tuple[int, int]:
    """Return how many rows of an entity lie in a Bigtable table, and the bytes of their keys and cells."""
    online = open_online(uri)
    assert isinstance(online, BigtableStore)
    with closing(online):
        found = dict(cells.scan(online._connection, prefixes(entity), {"family_name_regex_filter": "f"}))
    size = sum(len(key) + sum(8 + len(c.qualifier) + len(c.value) for c in row) for key, row in found.items())
    return len(found), size


@pytest.mark.parametrize("shape", ["", "?cells=columns"])
@pytest.mark.parametrize("endpoint", ["weather", "planes"])
def test_a_dry_run_tells_just_the_rows_and_bytes_that_a_load_leaves(
    here: Place, bigtable: str, shape: str, endpoint: str
) -> None:
    """With created times and without, packed and with a cell a feature: row key, qualifiers, timestamps and values."""
    here.load(endpoint)
    features, entity = {"weather": ([TEMP, WIND], "airport"), "planes": ([SEATS], "aircraft")}[endpoint]
    about: dict[str, Any] = {"registry": here.registry, "features": features, "store": bigtable + shape}
    [told] = online_load.estimate(**about)
    with closing(open_online(bigtable)) as online:
        assert online.versions(told.table).held == ()
    [load] = online_load.run(**about).details["tables"]
    assert (told.table, told.read, told.rows) == (load["table"], load["read"], load["rows"])
    assert (told.rows, told.bytes) == held(bigtable, entity)


def test_the_online_source_has_the_loads_time_rows_and_fingerprint(here: Place) -> None:
    """As the manifest has them: the last load's, whichever dates it was of."""
    here.load()
    known = open_registry(here.registry)
    fingerprints = set()
    for about, rows in (({"date": DAYS[0]}, 2), ({}, 2), ({"filter_keys": str(here.root / "keys.csv")}, 1)):
        (here.root / "keys.csv").write_text("origin\nLGA\n")
        before = datetime.now(timezone.utc)
        made = online_load.run(store=store(here), registry=here.registry, features=[TEMP], **about)
        source = known.online_source(f"{TEMP}@1")
        assert before <= source.loaded_at <= datetime.now(timezone.utc)
        assert source.loaded_at.isoformat(timespec="milliseconds") == made.details["loaded_at"]
        [load] = made.details["tables"]
        assert (source.store, source.table, source.rows) == (store(here), load["table"], rows)
        assert source.fingerprint == load["fingerprint"]
        fingerprints.add(source.fingerprint)
    assert len(fingerprints) == 3


@pytest.mark.parametrize("place_of", ["sqlite", "bigtable"])
def test_a_replacing_load_that_dies_leaves_what_was_served_and_is_done_by_another(
    here: Place, place_of: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the flip its version stays behind, never served, and goes with the second load after it."""
    here.load()
    uri = store(here) if place_of == "sqlite" else request.getfixturevalue("bigtable")
    load = load_online(here, features=[TEMP], store=uri)
    kind = type(open_online(uri))

    class Killed(BaseException):
        """What a killed process raises nowhere."""

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(kind, "serve", killed)
        dying.setattr(kind, "drop", killed)
        with pytest.raises(Killed):
            load_online(here, features=[TEMP], store=uri, replace=True)
    with closing(open_online(uri)) as online:
        assert (online.versions(load["table"]).current, online.versions(load["table"]).held) == (1, (1, 2))
        assert served(here) == 38.0
        for version, there in ((3, (1, 2, 3)), (4, (3, 4))):
            assert load_online(here, features=[TEMP], store=uri, replace=True)["version"] == version
            assert set(online.versions(load["table"]).held) <= set(there)
        assert online.versions(load["table"]).held == (3, 4)
    assert served(here) == 38.0


def test_a_replacing_load_that_fails_leaves_no_version(
    here: Place, bigtable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was served is served; the registry tells of the load before."""
    here.load()
    load = load_online(here, features=[TEMP], store=bigtable)
    before = open_registry(here.registry).online_source(f"{TEMP}@1")
    original = BigtableStore.write

    def failing(self: BigtableStore, table: str, rows: Any, **about: Any) -> Any:
        if rows.num_rows > 0:
            original(self, table, rows.slice(0, 1), **about)
            raise StorageError("1 of 2 rows could not be written")
        return original(self, table, rows, **about)

    monkeypatch.setattr(BigtableStore, "write", failing)
    with pytest.raises(StorageError, match="1 of 2 rows"):
        load_online(here, features=[TEMP], store=bigtable, replace=True)
    with closing(open_online(bigtable)) as online:
        assert online.versions(load["table"]).held == (1,)
    assert open_registry(here.registry).online_source(f"{TEMP}@1") == before
    assert served(here) == 38.0


def test_a_load_whose_rows_are_refused_is_not_known(
    here: Place, bigtable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features are served from nowhere until the same load is whole."""
    here.load()
    from tests.stores.bigtable.test_faults import INVALID, refusing

    broken, _ = refusing(bigtable, lambda _, key: INVALID if b"LGA" in key else None)
    monkeypatch.setattr(online_load, "open_online", lambda _: broken)
    with pytest.raises(StorageError, match=r"1 of 2 rows .*the first are airport LGA: 1 times refused"):
        load_online(here, features=[TEMP], store=bigtable)
    with pytest.raises(NotRegistered):
        open_registry(here.registry).online_source(f"{TEMP}@1")
    monkeypatch.setattr(online_load, "open_online", open_online)
    assert load_online(here, features=[TEMP], store=bigtable)["rows"] == 2
    assert served(here, airport="LGA") == 38.0
