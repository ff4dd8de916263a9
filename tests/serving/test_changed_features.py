"""Features and tables that change between a load and a read: what the registry says, or one sentence; no other value.

In both online stores, through the components that people use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import online_load
from jukebox.errors import InvalidValue, NotRegistered, SourceChanged, StorageError, UnknownFeature
from jukebox.serving import FeatureReader
from jukebox.stores import open_online, open_registry
from jukebox.stores.bigtable import BigtableStore
from jukebox.stores.bigtable.places import parsed
from tests.components.place import DAYS, TEMP, UTC, WIND, Place, at, write

if TYPE_CHECKING:
    from pathlib import Path

NOON = at("02 12:00")
DECLARED = """\
endpoints:
  - {{name: weather, uri: "{{date}}.parquet", format: parquet, event_time: hour,
     keys: [{{column: {key}, primitive_entity: airport, identifier: iata}}]}}
features:
{features}"""
FEATURE = "  - {{name: /airport/weather/{}, endpoint: weather, column: {}, data_type: {}}}\n"
JFK = {"airport": "JFK"}


@dataclass(frozen=True)
class Airports:
    """A place of one endpoint, and an online store."""

    place: Place
    store: str

    def declare(self, *features: tuple[str, str, str], key: str = "origin") -> None:
        """Register features of (name, column, type) and nothing else, and load their table offline."""
        told = "".join(FEATURE.format(*each) for each in features)
        self.place.register(DECLARED.format(features=told, key=key))
        self.place.load(date=DAYS[0], out=str(self.place.root / f"table-{abs(hash((features, key)))}"))

    def source(self, **columns: list[Any]) -> None:
        """Write the rows of the day: of JFK, at eight."""
        keys = {"origin": ["JFK"], "code": ["JFK"], "hour": pa.array([at("01 08:00")], UTC)}
        write(self.place.source / f"{DAYS[0]}.parquet", pa.table({**keys, **columns}))

    def load(self, *features: str, **about: Any) -> Any:
        """Load features online."""
        return online_load.run(store=self.store, registry=self.place.registry, features=list(features), **about)

    def tables(self) -> list[str]:
        """Return the tables of the store."""
        return list(open_online(self.store).tables())

    def reader(self) -> FeatureReader:
        """Return a reader that follows each change of a served version at once."""
        if not self.store.startswith("bigtable"):
            return FeatureReader(self.place.registry)
        return FeatureReader(self.place.registry, store=BigtableStore(parsed(self.store), fresh_for=0))

    def value(self, feature: str, reader: FeatureReader | None = None) -> Any:
        """Return what is read of a feature at noon of the next day, by a new reader unless there is one."""
        return (self.reader() if reader is None else reader).read(JFK, [feature], at=NOON)[feature].value


@pytest.fixture(params=["sqlite", "bigtable"])
def airports(tmp_path: Path, request: pytest.FixtureRequest) -> Airports:
    """Temperature and wind, registered, and loaded offline."""
    bigtable = request.param == "bigtable"
    store = request.getfixturevalue("bigtable") if bigtable else f"sqlite://{tmp_path}/online.db"
    here = Airports(Place(tmp_path), store)
    here.source(temp=[20.0], wind=[3.0])
    here.declare(("temp", "temp", "float64"), ("wind", "wind", "float64"))
    return here


def test_a_feature_that_its_file_does_not_have_any_more_is_served_until_it_is_unloaded(airports: Airports) -> None:
    """A registration takes nothing away; an unload does, from readers of before too."""
    airports.load(TEMP, WIND)
    reader = airports.reader()
    assert airports.value(TEMP, reader) == 20.0
    airports.declare(("wind", "wind", "float64"))
    assert (airports.value(TEMP), airports.value(TEMP, reader)) == (20.0, 20.0)
    online_load.unload(registry=airports.place.registry, features=[TEMP, WIND])
    for one in (reader, airports.reader()):
        with pytest.raises(NotRegistered, match="temp@1' has not been loaded online"):
            airports.value(TEMP, one)


def test_a_table_that_was_loaded_again_without_a_feature_does_not_hold_it(airports: Airports) -> None:
    """The registry still says that it lies there: an error, not a null; the others are served."""
    airports.load(TEMP, WIND, table="weather")
    reader = airports.reader()
    assert airports.value(TEMP, reader) == 20.0
    airports.load(WIND, table="weather", replace=True)
    for one in (reader, airports.reader()):
        with pytest.raises(
            SourceChanged, match=r"'weather' has no column 'temp' of '.*temp@1' any more, it has wind; load"
        ):
            airports.value(TEMP, one)
        assert airports.value(WIND, one) == 3.0
    airports.load(TEMP)
    assert (airports.value(TEMP, reader), airports.value(WIND, reader)) == (20.0, 3.0)


def test_a_renamed_feature_is_another_one(airports: Airports) -> None:
    """The new name is not served before it is loaded, and the former one goes on as it is."""
    airports.load(TEMP)
    airports.declare(("heat", "temp", "float64"))
    heat = TEMP.replace("temp", "heat")
    with pytest.raises(NotRegistered, match="heat@1' has not been loaded online"):
        airports.value(heat)
    airports.source(temp=[25.0], wind=[3.0])
    airports.declare(("heat", "temp", "float64"))
    airports.load(heat)
    assert (airports.value(heat), airports.value(TEMP)) == (25.0, 20.0)
    with pytest.raises(UnknownFeature, match=r"nearest: .*heat"):
        airports.value(f"{heat}s")


@pytest.mark.parametrize(
    ("declared", "served"), [(("temp", "wind", "float64"), 3.0), (("temp", "label", "string"), "warm")]
)
def test_a_feature_of_another_column_or_type_is_another_version(
    airports: Airports, declared: tuple[str, str, str], served: Any
) -> None:
    """Its former version is served by number, and by readers of before; the new one once it is loaded."""
    airports.load(TEMP)
    reader = airports.reader()
    assert airports.value(TEMP, reader) == 20.0
    airports.source(temp=[20.0], wind=[3.0], label=["warm"])
    airports.declare(declared)
    with pytest.raises(NotRegistered, match="temp@2' has not been loaded online"):
        airports.value(TEMP)
    assert (airports.value(f"{TEMP}@1"), airports.value(TEMP, reader)) == (20.0, 20.0)
    airports.load(TEMP)
    vector = airports.reader().read(JFK, [TEMP], at=NOON)
    assert (vector[TEMP].value, vector[TEMP].feature) == (served, f"{TEMP}@2")
    former = reader.read(JFK, [TEMP], at=NOON)
    assert (former[TEMP].value, former[TEMP].feature) == (20.0, f"{TEMP}@1")
    reader.refresh()
    assert airports.value(TEMP, reader) == served
    assert airports.value(f"{TEMP}@1", reader) == 20.0


@pytest.mark.parametrize("replace", [False, True])
def test_no_load_puts_one_feature_where_another_is_served_from(airports: Airports, *, replace: bool) -> None:
    """A table of the user's naming cannot have another version under the former one, until that is unloaded."""
    airports.load(TEMP, table="weather")
    airports.declare(("temp", "wind", "float64"))
    with pytest.raises(
        InvalidValue, match=r"'weather' serves '.*temp@1' from its column 'temp', which '.*temp@2' would"
    ):
        airports.load(TEMP, table="weather", replace=replace)
    assert airports.value(f"{TEMP}@1") == 20.0
    online_load.unload(registry=airports.place.registry, features=[f"{TEMP}@1"], drop=False)
    airports.load(TEMP, table="weather", replace=True)
    assert airports.value(TEMP) == 3.0
    with pytest.raises(NotRegistered, match="temp@1' has not been loaded online"):
        airports.value(f"{TEMP}@1")


def test_a_table_of_another_type_or_key_is_not_misread(airports: Airports) -> None:
    """Whoever writes past the components: the registry's word and the table's are held against each other."""
    airports.load(TEMP, table="weather")
    reader, store = airports.reader(), open_online(airports.store)
    assert airports.value(TEMP, reader) == 20.0
    hour = pa.array([at("01 08:00")], UTC)
    for version, key, temp, said in (
        (2, "origin", ["hot"], "holds string for '.*temp@1', which is registered as float64; load the feature again"),
        (3, "code", [20.0], "has the keys code and not those of '.*temp@1', origin; load the feature again"),
    ):
        rows = pa.table({key: ["JFK"], "hour": hour, "temp": temp})
        store.write("weather", rows, keys=[key], event_time="hour", entity="airport", version=version)
        store.serve("weather", version)
        for one in (reader, airports.reader()):
            with pytest.raises(SourceChanged, match=said):
                airports.value(TEMP, one)
        store.serve("weather", 1)
        assert airports.value(TEMP, reader) == 20.0


def test_a_registry_that_points_to_a_missing_table_is_told_by_the_tables_name(airports: Airports) -> None:
    """One table among others, for readers of before and new ones; a load makes it right for both."""
    airports.load(TEMP)
    airports.load(WIND)
    reader = airports.reader()
    assert (airports.value(TEMP, reader), airports.value(WIND, reader)) == (20.0, 3.0)
    lost = open_registry(airports.place.registry).online_source(f"{TEMP}@1").table
    open_online(airports.store).drop(lost)
    for one in (reader, airports.reader()):
        with pytest.raises(NotRegistered, match=f"online table '{lost}' is not in .*; there is weather-"):
            airports.value(TEMP, one)
        with pytest.raises(NotRegistered, match=lost):
            one.read(JFK, [WIND, TEMP], at=NOON)
        assert airports.value(WIND, one) == 3.0
    airports.load(TEMP)
    assert airports.value(TEMP, reader) == 20.0


def test_a_store_without_any_table_is_told(airports: Airports) -> None:
    """A registry that came from elsewhere, beside a store that holds nothing."""
    airports.load(TEMP)
    for table in airports.tables():
        open_online(airports.store).drop(table)
    with pytest.raises((NotRegistered, StorageError), match=r"there is none|no online store"):
        airports.value(TEMP)
    elsewhere = airports.store.replace("online.db", "elsewhere.db").replace("table-", "elsewhere-")
    with pytest.raises((NotRegistered, StorageError), match="elsewhere"):
        FeatureReader(airports.place.registry, store=elsewhere).read(JFK, [TEMP])


def test_an_open_reader_sees_what_is_loaded_since(airports: Airports) -> None:
    """A later row at once, an older one never; a version that takes over, and one that it is given back to."""
    airports.load(TEMP, table="weather")
    reader, place = airports.reader(), airports.place
    assert airports.value(TEMP, reader) == 20.0
    for day, hour, temp in ((DAYS[1], "02 08:00", 30.0), (DAYS[2], "01 07:00", 1.0)):
        rows = {"origin": ["JFK"], "code": ["JFK"], "hour": pa.array([at(hour)], UTC), "temp": [temp], "wind": [0.0]}
        write(place.source / f"{day}.parquet", pa.table(rows))
    [table] = [folder for folder in place.root.iterdir() if folder.name.startswith("table-")]
    for day in DAYS[1:]:
        place.load(date=day, out=str(table))
        airports.load(TEMP, table="weather", date=day)
        assert airports.value(TEMP, reader) == 30.0
    airports.load(TEMP, table="weather", date=DAYS[0], replace=True)
    assert airports.value(TEMP, reader) == 20.0
    store = open_online(airports.store)
    current = store.versions("weather").current
    store.serve("weather", current - 1)
    assert airports.value(TEMP, reader) == 30.0


def test_the_server_says_whose_fault_a_change_is(airports: Airports) -> None:
    """A table that lacks what the registry says is the store's, and what is unloaded is not there."""
    pytest.importorskip("fastapi", reason="no fastapi: pip install 'jukebox[serve]'")
    from fastapi.testclient import TestClient

    from jukebox.serving.server import make_app

    airports.load(TEMP, WIND, table="weather")
    body = {"features": [TEMP], "entities": [JFK], "at": NOON.isoformat()}
    with TestClient(make_app(airports.reader()), raise_server_exceptions=False) as client:
        assert client.post("/v1/features:read", json=body).json()["vectors"][0][TEMP]["value"] == 20.0
        airports.load(WIND, table="weather", replace=True)
        lacking = client.post("/v1/features:read", json=body)
        assert (lacking.status_code, "has no column 'temp'" in lacking.json()["error"]) == (503, True)
        online_load.unload(registry=airports.place.registry, features=[TEMP, WIND])
        unloaded = client.post("/v1/features:read", json=body)
        assert (unloaded.status_code, "not been loaded online" in unloaded.json()["error"]) == (404, True)
