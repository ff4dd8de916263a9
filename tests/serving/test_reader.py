"""Reading features by name."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.core.asof import Features, join
from jukebox.errors import (
    InvalidType,
    InvalidValue,
    MissingColumn,
    NameClash,
    NotRegistered,
    SourceChanged,
    StorageError,
    UnknownFeature,
)
from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.serving import FeatureReader
from jukebox.stores import OnlineSource, Registry, open_registry
from jukebox.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2013, 7, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
AIRPORT = Key("origin", "airport", "iata")
WEATHER = Endpoint("weather", "weather.csv", "csv", (AIRPORT,), "at", created_time="made")
ROUTES = Endpoint("routes", "r.csv", "csv", (AIRPORT, Key("dest", "airport", "iata")), "at")
PLANES = Endpoint("planes", "p.csv", "csv", (Key("tailnum", "aircraft", "string"),), static=True)
LOCAL = Endpoint("local", "l.csv", "csv", (AIRPORT,), "at")


def feature(name: str, endpoint: Endpoint, max_age: timedelta | None = None, data_type: str = "float64") -> Feature:
    """A feature whose source column is its name."""
    return Feature(FeatureName.parse(name), endpoint, name.rsplit("/", 1)[-1], data_type, max_age=max_age)


TEMP = feature("/airport/weather/temp", WEATHER, 2 * HOUR)
WIND = feature("/airport/weather/wind", WEATHER)
DELAY = feature("/route/history/delay", ROUTES)
SEATS = feature("/aircraft/planes/seats", PLANES, data_type="int64")
QUEUE = feature("/airport/local/queue", LOCAL, HOUR, "int64")


def load(registry: Registry, store: SqliteStore, uri: str, columns: dict[str, Any], features: list[Feature]) -> None:
    """Write rows to the table of the features' endpoint, and make it their online source."""
    endpoint = features[0].endpoint
    rows, keys = pa.table(columns), endpoint.entity_keys
    store.write(endpoint.name, rows, keys=keys, event_time=endpoint.event_time, created_time=endpoint.created_time)
    names = tuple(registry.feature(str(each.name)).versioned for each in features)
    registry.set_online_source(OnlineSource(uri, endpoint.name, names, rows.num_rows, "f", NOON))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry and a store in which the features of five endpoints are loaded."""
    home = tmp_path_factory.mktemp("serving")
    registry, uri = open_registry(f"mlmd+sqlite://{home}/registry.db"), f"sqlite://{home}/online.db"
    registry.register([TEMP, WIND, DELAY, SEATS, QUEUE, feature("/airport/weather/rain", WEATHER)])
    store = SqliteStore(home / "online.db")
    at = {"at": [NOON, NOON], "made": [NOON + HOUR] * 2}
    weather = {"origin": ["JFK", "LGA"], **at, "temp": [20.5, 21.0], "wind": [None, 3.0]}
    load(registry, store, uri, weather, [TEMP, WIND])
    load(registry, store, uri, {"origin": ["JFK"], "dest": ["LAX"], "at": [NOON], "delay": [7.0]}, [DELAY])
    load(registry, store, uri, {"tailnum": ["N1"], "seats": [149]}, [SEATS])
    naive = pa.array([NOON.replace(tzinfo=None)], pa.timestamp("s"))
    load(registry, store, uri, {"origin": ["JFK"], "at": naive, "queue": [0]}, [QUEUE])
    return home


@pytest.fixture
def reader(home: Path) -> FeatureReader:
    """A reader on that registry."""
    return FeatureReader(f"mlmd+sqlite://{home}/registry.db")


def states(reader: FeatureReader, at: datetime) -> list[tuple[Any, str]]:
    """Value and status of temp and wind at JFK."""
    found = reader.read({"origin": "JFK"}, ["/airport/weather/temp", "/airport/weather/wind"], at=at)
    return [(each.value, each.status) for each in found]


def test_features_come_by_name_in_the_order_asked(reader: FeatureReader) -> None:
    """Several tables, short, canonical and versioned names, and one mapping with all the keys."""
    entity = {"origin": "JFK", "dest": "LAX", "tailnum": "N1", "carrier": "AA"}
    names = ["/aircraft/planes/seats", "/route/history/delay@1", str(TEMP.name), "airport/weather/wind"]
    vector = reader.read(entity, names, at=NOON + HOUR)
    assert vector.to_dict() == dict(zip(names, [149, 7.0, 20.5, None], strict=True))
    assert [each.status for each in vector] == ["fresh"] * 4
    assert vector[names[1]].feature == "/entity/route/component/history/name/delay@1"
    assert vector[names[2]].event_time == NOON
    assert vector[names[0]].event_time is None
    assert len(vector) == 4
    with pytest.raises(MissingColumn, match="was not asked for"):
        vector["temp"]


def test_a_value_is_known_from_its_creation_on(reader: FeatureReader) -> None:
    """Before the created time a row is missing, at it and after it is there."""
    assert states(reader, NOON + HOUR - timedelta(microseconds=1)) == [(None, "missing")] * 2
    assert states(reader, NOON + HOUR) == [(20.5, "fresh"), (None, "fresh")]


def test_the_limit_of_age_is_the_joins(reader: FeatureReader) -> None:
    """At max_age a value is fresh; beyond it there is None, as in training, and the old value stands aside."""
    assert states(reader, NOON + 2 * HOUR)[0] == (20.5, "fresh")
    stale = reader.read({"origin": "JFK"}, [str(TEMP.name)], at=NOON + 2 * HOUR + timedelta(microseconds=1))[
        str(TEMP.name)
    ]
    assert (stale.value, stale.status, stale.too_old, stale.event_time) == (None, "stale", 20.5, NOON)
    assert states(reader, NOON + timedelta(days=4_000))[1] == (None, "fresh")


def test_reading_agrees_with_the_training_set(reader: FeatureReader) -> None:
    """At any moment the reader's values are those that the point-in-time join gives a label of that moment."""
    moments = [NOON + timedelta(minutes=minutes) for minutes in range(-30, 240, 15)]
    rows = pa.table({"origin": ["JFK"], "at": [NOON], "made": [NOON + HOUR], "temp": [20.5]})
    labels = pa.table({"origin": ["JFK"] * len(moments), "t": moments})
    table = Features(
        rows, keys={"origin": "origin"}, event_time="at", values={"temp": "temp"}, created_time="made", max_age=2 * HOUR
    )
    trained = join(labels, [table], label_time="t")["temp"].to_pylist()
    assert [states(reader, at)[0][0] for at in moments] == trained


def test_now_is_the_default(reader: FeatureReader) -> None:
    """Without ``at`` a value of 2013 is past its limit of age, naive times too, and a static one never."""
    names = [str(TEMP.name), str(QUEUE.name), str(SEATS.name)]
    vector = reader.read({"origin": "JFK", "tailnum": "N1"}, names)
    assert [each.status for each in vector] == ["stale", "stale", "fresh"]


def test_a_sole_key_goes_by_its_entity_too(reader: FeatureReader) -> None:
    """{"airport": …} is a primitive entity, {"origin": …} a key column, {"aircraft": …} both entity and primitive."""
    for entity in ({"airport": "LGA"}, {"origin": "LGA"}, {"origin": "LGA", "airport": "JFK"}):
        assert reader.read(entity, [str(TEMP.name)], at=NOON + HOUR).to_dict() == {str(TEMP.name): 21.0}
    assert reader.read({"aircraft": "N1"}, [str(SEATS.name)]).to_dict() == {str(SEATS.name): 149}


def test_a_key_that_is_not_there_is_named(reader: FeatureReader) -> None:
    """The error says which names would do and what the entity has; of a composite key no part goes by another name."""
    with pytest.raises(MissingColumn, match="'origin' or 'airport', and the entity has 'usr'"):
        reader.read({"usr": 1}, [str(TEMP.name)])
    with pytest.raises(MissingColumn, match="read by 'dest', and the entity has 'origin', 'airport'"):
        reader.read({"origin": "JFK", "airport": "LAX"}, [str(DELAY.name)])


def test_unknown_entities_and_null_keys_have_no_values(reader: FeatureReader) -> None:
    """No row, and a key that is None, are an unknown entity and no error; a key of another type is."""
    vectors = reader.read_many([{"origin": "???"}, {"origin": None}], [str(TEMP.name)])
    assert [vector[str(TEMP.name)].status for vector in vectors] == ["unknown_entity"] * 2
    with pytest.raises(InvalidType, match="'origin' is text"):
        reader.read({"origin": 5}, [str(TEMP.name)])


def test_many_entities_come_in_order(reader: FeatureReader) -> None:
    """Duplicates and strangers keep their places; no entities are no vectors."""
    asked = [{"airport": code} for code in ("LGA", "???", "JFK", "LGA")]
    found = reader.read_many(asked, [str(TEMP.name)], at=NOON + HOUR)
    assert [vector.to_dict()[str(TEMP.name)] for vector in found] == [21.0, None, 20.5, 21.0]
    assert list(reader.read_many([], [str(TEMP.name)])) == []


def test_naive_and_zoned_times_do_not_mix(reader: FeatureReader) -> None:
    """A naive moment fits naive event times alone, a zoned one zoned ones; static features take both."""
    naive = NOON.replace(tzinfo=None)
    queue = reader.read({"origin": "JFK"}, [str(QUEUE.name)], at=naive + HOUR)[str(QUEUE.name)]
    assert (queue.value, queue.event_time) == (0, naive)
    with pytest.raises(InvalidType, match=r"'at' has no zone and the event times of .*temp' have one"):
        reader.read({"origin": "JFK"}, [str(TEMP.name)], at=naive)
    with pytest.raises(InvalidType, match=r"'at' has a zone and the event times of .*queue' have none"):
        reader.read({"origin": "JFK"}, [str(QUEUE.name)], at=NOON)
    for at in (naive, NOON):
        assert reader.read({"tailnum": "N1"}, [str(SEATS.name)], at=at).to_dict() == {str(SEATS.name): 149}


@pytest.mark.parametrize(
    ("features", "error", "words"),
    [
        (["/airport/weather/tmp"], UnknownFeature, "nearest: .*temp"),
        (["/airport/weather/rain"], NotRegistered, "has not been loaded online"),
        (["/airport/weather/temp@7"], UnknownFeature, "7"),
        (["temp"], InvalidValue, "no feature name"),
        ([], InvalidValue, "no feature is asked for"),
        ("/airport/weather/temp", InvalidType, "list of names"),
        (["/airport/weather/temp"] * 2, NameClash, "asked for twice"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    reader: FeatureReader, features: Any, error: type[Exception], words: str
) -> None:
    """Unknown, unloaded, unreadable, repeated and absent names are one clear error each."""
    with pytest.raises(error, match=words):
        reader.read({"origin": "JFK"}, features)


def test_entities_and_moments_of_other_types_are_refused(reader: FeatureReader) -> None:
    """A bare key is no entity, and a text no moment."""
    with pytest.raises(InvalidType, match="maps key columns"):
        reader.read("JFK", [str(TEMP.name)])  # type: ignore[arg-type]
    with pytest.raises(InvalidType, match="is a datetime"):
        reader.read({"origin": "JFK"}, [str(TEMP.name)], at="noon")  # type: ignore[arg-type]


class CountingStore(SqliteStore):
    """A store that counts its reads."""

    reads = 0

    def read_tables(self, asked: Any, **options: Any) -> Any:
        """Count and read."""
        self.reads += len(asked)
        return super().read_tables(asked, **options)


def test_each_table_is_read_once(home: Path) -> None:
    """Two features of one table and one of another, for three entities, are two reads of the given store."""
    store = CountingStore(home / "online.db")
    reader = FeatureReader(open_registry(f"mlmd+sqlite://{home}/registry.db"), store=store)
    entities = [{"origin": "JFK", "dest": dest} for dest in ("LAX", "SFO", "BOS")]
    reader.read_many(entities, [str(each.name) for each in (TEMP, WIND, DELAY)])
    assert store.reads == 2


def test_where_features_lie_is_asked_once_until_refresh(tmp_path: Path) -> None:
    """A reader keeps its routes; after ``refresh`` it follows the registry to another store."""
    registry = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    registry.register([SEATS])
    for name, seats in (("one", 1), ("two", 2)):
        uri = f"sqlite://{tmp_path}/{name}.db"
        load(registry, SqliteStore(tmp_path / f"{name}.db"), uri, {"tailnum": ["N1"], "seats": [seats]}, [SEATS])
        if name == "one":
            reader = FeatureReader(registry)
            assert reader.read({"tailnum": "N1"}, [str(SEATS.name)]).to_dict() == {str(SEATS.name): 1}
    assert reader.read({"tailnum": "N1"}, [str(SEATS.name)]).to_dict() == {str(SEATS.name): 1}
    reader.refresh()
    with reader:
        assert reader.read({"tailnum": "N1"}, [str(SEATS.name)]).to_dict() == {str(SEATS.name): 2}


def test_a_table_that_does_not_fit_the_registry_is_named(tmp_path: Path) -> None:
    """A source without the file, without the table and without the column are errors that say so."""
    registry = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    [registered] = registry.register([SEATS])
    rows = pa.table({"tailnum": ["N1"], "engines": [2]})
    SqliteStore(tmp_path / "there.db").write("planes", rows, keys=["tailnum"], event_time=None)
    cases = [("gone.db", "planes", StorageError, "no online store"), ("there.db", "other", NotRegistered, "'other'")]
    for file, table, error, words in [*cases, ("there.db", "planes", SourceChanged, "no column 'seats'.*engines")]:
        registry.set_online_source(
            OnlineSource(f"sqlite://{tmp_path}/{file}", table, (registered.versioned,), 1, "f", NOON)
        )
        with pytest.raises(error, match=words):
            FeatureReader(registry).read({"tailnum": "N1"}, [str(SEATS.name)])


def test_importing_the_reader_imports_nothing_heavy() -> None:
    """A model server pays for Arrow and NumPy alone."""
    heavy = {
        "tensorflow",
        "tfx",
        "kfp",
        "ml_metadata",
        "apache_beam",
        "pandas",
        "google.cloud.bigtable",
        "pytest",
        "hypothesis",
    }
    code = f"import sys, jukebox.serving; print(sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
