"""Stores that are slow, gone or changed in the middle of reads."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.errors import (
    InvalidType,
    InvalidValue,
    MissingColumn,
    NameClash,
    NotRegistered,
    SourceChanged,
    StorageError,
    TimedOut,
)
from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.serving import FeatureReader, Served
from jukebox.stores import OnlineSource, Registry, open_online, open_registry
from jukebox.stores.sqlite import SqliteStore
from tests.components.place import SEATS, TEMP
from tests.serving.conftest import DEVICE, NOON, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emulators import Emulator

USER = (Key("user", "user", "string"),)
PLAYS = Feature(FeatureName.parse("/user/p/plays"), Endpoint("p", "p", "csv", USER, static=True), "plays", "int64")
ONE = {"origin": "JFK", "tail": "N1"}


class SlowOnce(SqliteStore):
    """A store whose first answers wait until they are let go."""

    def __init__(self, path: Path, slow: int) -> None:
        super().__init__(path)
        self.asked, self.slow, self.go = 0, slow, threading.Event()

    def read_tables(self, asked: Any, *, timeout: float | None = None) -> Any:
        """Wait if this is one of the first questions, and answer."""
        self.asked += 1
        if self.asked <= self.slow:
            self.go.wait(30)
        return super().read_tables(asked, timeout=timeout)


def serve(registry: Registry, uri: str, table: str, feature: Feature, values: list[Any]) -> None:
    """Load values of user a to a table, and make it the feature's online source."""
    [registered] = registry.register([feature])
    rows = pa.table({"user": ["a"] * len(values), feature.name.name: values})
    open_online(uri).write(table, rows, keys=["user"], event_time=None, entity="user")
    registry.set_online_source(OnlineSource(uri, table, (registered.versioned,), 1, "", NOON))


def test_a_second_question_takes_the_place_of_a_lost_one(scene: Scene) -> None:
    """With ``hedge_after`` a read whose first question never comes back is answered by the second."""
    store = SlowOnce(scene.place.root / "online.db", slow=1)
    with FeatureReader(scene.registry, store=store, hedge_after=0.05) as reader:
        found = reader.read(ONE, [SEATS, TEMP], at=NOON)
        assert (found.to_dict(), store.asked, reader.hedged) == ({SEATS: 100, TEMP: 38.0}, 2, 1)
        store.go.set()


def test_a_deadline_holds_for_stores_that_know_none(scene: Scene) -> None:
    """When neither question is answered in time, the read ends."""
    store = SlowOnce(scene.place.root / "online.db", slow=2)
    with FeatureReader(scene.registry, store=store, hedge_after=0.01, timeout=0.1) as reader:
        with pytest.raises(TimedOut, match="did not answer in time"):
            reader.read(ONE, [SEATS])
        store.go.set()
        assert reader.read(ONE, [SEATS], timeout=30)[SEATS].value == 100


@pytest.mark.parametrize(("seconds", "error"), [(0, InvalidValue), (-1, InvalidValue), ("1", InvalidType)])
def test_a_time_that_is_none_is_refused(scene: Scene, seconds: Any, error: type[Exception]) -> None:
    """Of the reader and of a read."""
    for name in ("timeout", "hedge_after"):
        with pytest.raises(error, match=name):
            FeatureReader(scene.registry, **{name: seconds})
    with pytest.raises(error, match="timeout"):
        FeatureReader(scene.registry).read(ONE, [SEATS], timeout=seconds)


def test_several_stores_are_asked_at_once(tmp_path: Path) -> None:
    """Features of two stores come in one round; what one of them raises is raised."""
    registry = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    skips = Feature(FeatureName.parse("/user/p/skips"), PLAYS.endpoint, "skips", "int64")
    serve(registry, f"sqlite://{tmp_path}/one.db", "t", PLAYS, [1])
    serve(registry, f"sqlite://{tmp_path}/two.db", "t", skips, [2])
    names = [str(skips.name), str(PLAYS.name)]
    with FeatureReader(registry) as reader:
        assert list(reader.read({"user": "a"}, names).to_dict().values()) == [2, 1]
    (tmp_path / "two.db").unlink()
    with pytest.raises(StorageError, match=r"no online store at .*two\.db"):
        reader.read({"user": "a"}, names)


def test_a_table_that_was_loaded_under_another_name_is_found(tmp_path: Path) -> None:
    """A reader follows the registry when the table that it knew is gone, and says so when there is none."""
    registry, uri = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db"), f"sqlite://{tmp_path}/o.db"
    serve(registry, uri, "old", PLAYS, [1])
    reader, name = FeatureReader(registry), str(PLAYS.name)
    assert reader.read({"user": "a"}, [name])[name].value == 1
    serve(registry, uri, "new", PLAYS, [2])
    open_online(uri).drop("old")
    assert reader.read({"user": "a"}, [name])[name].value == 2
    open_online(uri).drop("new")
    with pytest.raises(NotRegistered, match="online table 'new' is not in"):
        reader.read({"user": "a"}, [name])


def test_a_table_whose_columns_have_changed_is_not_misread(tmp_path: Path) -> None:
    """A version that takes over with another type, or without the feature, is one clear error."""
    registry, uri = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db"), f"sqlite://{tmp_path}/o.db"
    serve(registry, uri, "t", PLAYS, [1])
    reader, store, name = FeatureReader(registry), open_online(uri), str(PLAYS.name)
    assert reader.read({"user": "a"}, [name])[name].value == 1
    for version, column, values, error, words in (
        (2, "plays", ["many"], SourceChanged, "holds string for .* registered as int64"),
        (3, "skips", [1], SourceChanged, "has no column 'plays'"),
    ):
        rows = pa.table({"user": ["a"], column: values})
        store.write("t", rows, keys=["user"], event_time=None, entity="user", version=version)
        assert reader.read({"user": "a"}, [name])[name].value == 1
        store.serve("t", version)
        with pytest.raises(error, match=words):
            reader.read({"user": "a"}, [name])
        store.serve("t", 1)
        assert reader.read({"user": "a"}, [name])[name].value == 1


def test_a_retyped_feature_is_read_in_the_version_that_is_loaded(tmp_path: Path) -> None:
    """Its new version is not served until it is loaded; its old one is, by its number."""
    registry, uri = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db"), f"sqlite://{tmp_path}/o.db"
    serve(registry, uri, "t", PLAYS, [1])
    name = str(PLAYS.name)
    known = FeatureReader(registry)
    assert known.read({"user": "a"}, [name])[name].feature.endswith("@1")
    registry.register([Feature(PLAYS.name, PLAYS.endpoint, "plays", "string")])
    assert known.read({"user": "a"}, [name])[name].feature.endswith("@1")
    with pytest.raises(NotRegistered, match="plays@2' has not been loaded online"):
        FeatureReader(registry).read({"user": "a"}, [name])
    assert FeatureReader(registry).read({"user": "a"}, [f"{name}@1"])[f"{name}@1"].value == 1


def test_a_store_that_dies_and_comes_back(mortal: Emulator, tmp_path: Path, monkeypatch: Any) -> None:
    """A killed, a frozen and a new Bigtable: an error in time each, and then values again from the same reader."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    registry = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    uri, name = "bigtable://project/instance/faults", str(PLAYS.name)
    serve(registry, uri, "t", PLAYS, [1])
    with FeatureReader(registry, timeout=1.0) as reader:
        assert reader.read({"user": "a"}, [name])[name].value == 1
        mortal.freeze()
        with pytest.raises(TimedOut):
            reader.read({"user": "a"}, [name], timeout=0.3)
        mortal.thaw()
        assert reader.read({"user": "a"}, [name], timeout=20)[name].value == 1
        mortal.kill()
        with pytest.raises(StorageError):
            reader.read({"user": "a"}, [name])
        mortal.start()
        serve(registry, uri, "t", PLAYS, [3])
        assert reader.read({"user": "a"}, [name], timeout=20)[name].value == 3


def test_a_connection_that_is_closed_beside_reads_is_an_error_of_the_store(
    mortal: Emulator, tmp_path: Path, monkeypatch: Any
) -> None:
    """And no word of gRPC's; the next read opens it again."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    registry, name = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db"), str(PLAYS.name)
    serve(registry, "bigtable://project/instance/closed", "t", PLAYS, [1])
    reader, raised, over = FeatureReader(registry, timeout=30), [], threading.Event()

    def reads() -> None:
        while not over.is_set():
            try:
                reader.read({"user": "a"}, [name])
            except StorageError:  # noqa: PERF203 - each may
                continue
            except BaseException as exc:  # noqa: BLE001 - it is what is looked for
                raised.append(exc)

    threads = [threading.Thread(target=reads, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        reader.close()
        time.sleep(0.005)
    over.set()
    for thread in threads:
        thread.join(60)
    assert raised == []
    assert reader.read({"user": "a"}, [name])[name].value == 1
    reader.close()


def test_asyncio_reads_side_by_side(scene: Scene) -> None:
    """As many reads as are awaited at once are under way at once, in the order asked."""
    store = SlowOnce(scene.place.root / "online.db", slow=4)

    async def reads() -> list[Any]:
        async with FeatureReader(scene.registry, store=store) as reader:
            tasks = [asyncio.create_task(reader.aread({"tail": tail}, [SEATS])) for tail in ("N1", "N2", "N3", "N1")]
            end = time.monotonic() + 30
            while store.asked < 4 and time.monotonic() < end:  # noqa: ASYNC110 - threads count
                await asyncio.sleep(0.01)
            store.go.set()
            return [each[SEATS].status for each in await asyncio.gather(*tasks)]

    assert asyncio.run(reads()) == ["fresh", "fresh", "unknown_entity", "fresh"]


def test_every_served_round_is_told(scene: Scene) -> None:
    """With the very values, under the names of keys that were used; what was refused is not told."""
    told: list[Served] = []
    reader = FeatureReader(scene.registry, told=told.append)
    entities = [{"airport": "JFK", "device": "phone", "other": 1}, {"airport": "?", "device": None}]
    vectors = reader.read_many(entities, {TEMP: {"column": "t", "max_age": "2h"}, DEVICE: "d"}, at=NOON, request_id="r")
    with pytest.raises(MissingColumn):
        reader.read({"usr": 1}, [TEMP])
    [served] = told
    assert (served.request_id, served.served_at, served.model) == ("r", NOON, None)
    assert list(served.entities) == [{"airport": "JFK"}, {"airport": "?"}]
    temp, device = served.features
    assert (temp.feature, list(temp.values), list(temp.statuses)) == (
        f"{TEMP}@1",
        [38.0, None],
        ["fresh", "unknown_entity"],
    )
    assert (temp.max_age, temp.event_times[0]) == ("2h", vectors[0]["t"].event_time)
    assert list(device.values) == ["phone", None]
    assert vectors.request_id == vectors[0].request_id == "r"


def test_columns_of_arrow_and_numpy(scene: Scene) -> None:
    """In the order asked, typed as the store has them, with times and states where they are wanted."""
    entities = [{"airport": "JFK", "tail": "N1"}, {"airport": "?", "tail": "N2"}]
    found = FeatureReader(scene.registry).read_many(entities, {TEMP: "t", SEATS: "s"}, at=NOON)
    assert found.to_arrow().to_pydict() == {"t": [38.0, None], "s": [100, None]}
    assert found.to_arrow().schema.types == [pa.float64(), pa.int64()]
    table = found.to_arrow(states=True)
    assert table.column_names == ["t", "t.event_time", "t.status", "s", "s.event_time", "s.status"]
    assert table["t.status"].to_pylist() == ["fresh", "unknown_entity"]
    assert table["t.event_time"].type == pa.timestamp("ns", "UTC")
    arrays = found.to_numpy()
    assert (arrays["t"].dtype, arrays["s"].tolist()) == ("float64", [100, None])
    assert arrays["t"][0] == 38.0
    assert arrays["t"][1] != arrays["t"][1]
    assert found.to_dicts() == [{"t": 38.0, "s": 100}, {"t": None, "s": None}]


def test_a_feature_that_is_called_as_anothers_state_is_refused(scene: Scene) -> None:
    """It would be lost beside it; without the states both are there."""
    found = FeatureReader(scene.registry).read_many([ONE], {TEMP: "t", SEATS: "t.status"}, at=NOON)
    assert found.to_arrow().to_pydict() == {"t": [38.0], "t.status": [100]}
    with pytest.raises(NameClash, match=r"'t\.status' would be both a feature and the state of one"):
        found.to_arrow(states=True)


def test_no_entities_are_columns_of_no_rows(scene: Scene) -> None:
    """Of the same names and types as those of some, in each shape."""
    with FeatureReader(scene.registry, hedge_after=5.0) as reader:
        none, one = (reader.read_many(given, {TEMP: "t", SEATS: "s"}, at=NOON) for given in ([], [ONE]))
    for states in (False, True):
        assert none.to_arrow(states=states).schema == one.to_arrow(states=states).schema
        assert none.to_arrow(states=states).num_rows == 0
    assert {name: len(array) for name, array in none.to_numpy().items()} == {"t": 0, "s": 0}
    assert (none.to_dicts(), list(none), none[:5]) == ([], [], [])
