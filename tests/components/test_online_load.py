"""What an online load makes the store serve: the newest row of every key, whatever was loaded before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import online_load
from jukebox.errors import InvalidType, InvalidValue, NoPartition, NotRegistered, UnknownFeature
from jukebox.serving import FeatureReader
from jukebox.stores import open_lineage, open_online, open_registry
from jukebox.tables import Manifest
from tests.components.place import DAYS, DECLARED, DELAY, LATE, SEATS, TEMP, WIND, at, labels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place

LATER = at("04 05:00")


def store(place: Place) -> str:
    """Return the URI of the place's online store."""
    return f"sqlite://{place.root}/online.db"


def load_online(place: Place, **about: Any) -> dict[str, Any]:
    """Load into the store; return what the manifest says of the one table that was loaded."""
    [load] = online_load.run(**{"store": store(place), "registry": place.registry, **about}).details["tables"]
    return load


def served(place: Place, feature: str = TEMP, **entity: Any) -> Any:
    """Return the value that is served long after the last row, too old or not."""
    [value] = FeatureReader(place.registry).read(entity or {"airport": "JFK"}, [feature], at=LATER)
    return value.value if value.status != "stale" else value.too_old


def one_table_each(place: Place, *days: str) -> list[str]:
    """Load each day of the weather into a feature table of its own, as the runs of a pipeline do."""
    return [place.load(date=day, out=str(place.root / "tables" / day)).uri for day in days]


def test_the_newest_row_of_each_key_is_served_from_whatever_partition(here: Place) -> None:
    """Three days of two airports come to two rows; what became of them is in the manifest."""
    here.load()
    here.weather(DAYS[0], [("SFO", at("01 06:00"), at("01 07:00"), 5.0, 2.0)])
    here.load(date=DAYS[0])
    out = here.root / "online_table"
    made = online_load.run(store=store(here), registry=here.registry, feature_table=str(here.table), out=str(out))
    [load] = made.details["tables"]
    assert (load["read"], load["rows"], load["written"], load["older"]) == (17, 3, 3, 0)
    assert load["features"] == [f"{TEMP}@1", f"{WIND}@1"]
    assert [served(here, airport=airport) for airport in ("JFK", "LGA", "SFO", "EWR")] == [38.0, 38.0, 5.0, None]
    assert (made.kind, made.rows, len(made.inputs), made.details["store"]) == ("online_table", 3, 3, store(here))
    assert Manifest.read(out, "online_table") == made


def test_an_older_date_loaded_later_never_takes_the_place_of_a_newer_one(here: Place) -> None:
    """Pipelines backfill; every row of the older date is counted as older."""
    older, newer = one_table_each(here, DAYS[0], DAYS[2])
    assert load_online(here, feature_table=newer)["written"] == 2
    load = load_online(here, feature_table=older)
    assert (load["rows"], load["written"], load["older"]) == (2, 0, 2)
    assert served(here) == 38.0


def test_of_one_event_time_the_later_known_value_is_served(here: Place) -> None:
    """A correction has the same event time and a later created time, whichever partition it comes with."""
    hour = at("03 18:00")
    correction = [("JFK", hour, hour + timedelta(hours=3), -1.0, 0.0)]
    here.weather(DAYS[0], correction)
    here.load()
    load_online(here, features=[TEMP])
    assert served(here) == -1.0


def test_the_same_load_again_changes_nothing(here: Place) -> None:
    """All rows are there already; a corrected one alone is written."""
    here.load()
    load_online(here, features=[TEMP])
    again = load_online(here, features=[TEMP])
    assert (again["rows"], again["written"], again["older"]) == (2, 0, 0)
    here.weather(DAYS[2], [("JFK", at("03 18:00"), at("03 19:00"), 99.0, 1.0)])
    here.load(date=DAYS[2])
    assert load_online(here, features=[TEMP])["written"] == 1
    assert served(here) == 99.0


def test_features_by_name_come_from_where_the_registry_says(here: Place) -> None:
    """Of several endpoints, each goes to a table of its own; short names and versions will do."""
    here.load(out=str(here.root / "weather"))
    here.load("planes", out=str(here.root / "planes"))
    made = online_load.run(
        store=store(here), registry=here.registry, features=["/airport/weather/temp", "aircraft/fleet/seats@1"]
    )
    assert [load["features"] for load in made.details["tables"]] == [[f"{TEMP}@1"], [f"{SEATS}@1"]]
    assert sorted(load["table"] for load in made.details["tables"]) == sorted(open_online(store(here)).tables())
    assert (served(here), served(here, SEATS, aircraft="N1")) == (38.0, 100)


def test_lineage_leads_from_a_feature_to_the_table_that_serves_it_alone(here: Place) -> None:
    """Though both endpoints were loaded by one call."""
    here.load(out=str(here.root / "weather"))
    here.load("planes", out=str(here.root / "planes"))
    made = online_load.run(store=store(here), registry=here.registry, features=[TEMP, SEATS])
    lineage = open_lineage(here.registry)
    for load, feature in zip(made.details["tables"], (TEMP, SEATS), strict=True):
        [table] = lineage.nodes_at(f"{store(here)}#{load['table']}")
        [run] = [event.execution for event in lineage.events_of_artifacts([table.id]) if event.output]
        reads = sorted({event.artifact for event in lineage.events_of_executions([run])})
        names = [node.name for node in lineage.artifacts(reads) if node.type == "jukebox.Feature"]
        assert names == [f"{feature}@1"]


def test_another_version_goes_to_another_table_and_the_newest_is_served(here: Place) -> None:
    """The old version is served to those who ask for it, from its own table."""
    here.load()
    first = load_online(here, features=[TEMP])
    here.register(DECLARED.replace("column: temp, data_type: float64", "column: wind_speed, data_type: float64"))
    here.load()
    second = load_online(here, features=[TEMP])
    assert first["table"] != second["table"]
    assert second["features"] == [f"{TEMP}@2"]
    assert (served(here), served(here, f"{TEMP}@2"), served(here, f"{TEMP}@1")) == (1.0, 1.0, 38.0)


def test_a_feature_set_pins_the_versions(here: Place) -> None:
    """A pipeline that registered version 1 loads it, whatever was registered since."""
    here.load()
    pinned = here.root / "pinned"
    (here.root / "feature_set").rename(pinned)
    here.register(DECLARED.replace("column: temp, data_type: float64", "column: temp, data_type: float32"))
    assert load_online(here, features=[TEMP], feature_set=str(pinned))["features"] == [f"{TEMP}@1"]


def test_what_is_served_is_what_training_had_for_the_last_label(here: Place) -> None:
    """All five features of three kinds of keys, too old ones too."""
    for endpoint in ("weather", "planes", "arrivals", "routes"):
        here.load(endpoint, out=str(here.root / "tables" / endpoint))
    features = [TEMP, WIND, SEATS, DELAY, LATE]
    online_load.run(store=store(here), registry=here.registry, features=features)
    spine = labels(("JFK", "04 05:00"), ("LGA", "04 05:00"))
    spine = spine.append_column("dest", pa.array(["SFO", "SFO"])).append_column("tail", pa.array(["N1", "N2"]))
    here.join(spine, features)
    with FeatureReader(here.registry) as reader:
        for row in here.joined().to_pylist():
            vector = reader.read(row, features, at=row["at"])
            assert [value.value for value in vector] == [row[name.rpartition("/")[2]] for name in features]
    assert [value.status for value in vector] == ["stale", "fresh", "fresh", "unknown_entity", "unknown_entity"]


def planes(place: Place, day: str, seats: int) -> str:
    """Load a delivery of the static endpoint into a table of its own; return the table."""
    (place.source / "planes.csv").write_text(f"tail,seats,maker\nN1,{seats},A\n")
    return place.load("planes", date=day, out=str(place.root / "planes" / day)).uri


def test_a_static_delivery_loaded_late_never_takes_the_place_of_a_newer_one(here: Place) -> None:
    """Static rows have no time but the date that they were delivered for."""
    older, newer = planes(here, DAYS[0], 100), planes(here, DAYS[2], 200)
    for table, written in ((newer, 1), (older, 0), (newer, 0)):
        load = load_online(here, feature_table=table, features=[SEATS])
        assert (load["rows"], load["written"]) == (1, written)
    assert served(here, SEATS, aircraft="N1") == 200
    [value] = FeatureReader(here.registry).read({"aircraft": "N1"}, [SEATS])
    assert (value.status, value.event_time) == ("fresh", None)


def test_the_newest_of_several_static_deliveries_is_served_as_it_is_joined(here: Place) -> None:
    """Whatever the order of the loads; the same date again is a correction."""
    for day, seats in ((DAYS[2], 200), (DAYS[0], 100)):
        planes(here, day, seats)
    spine = labels(("JFK", "01 00:00")).append_column("tail", pa.array(["N1"]))
    here.join(spine, [SEATS])
    load_online(here, features=[SEATS])
    assert here.joined()["seats"].to_pylist() == [served(here, SEATS, aircraft="N1")] == [200]
    planes(here, DAYS[2], 201)
    load_online(here, features=[SEATS])
    assert served(here, SEATS, aircraft="N1") == 201


def test_partitions_without_rows_are_passed_over(here: Place) -> None:
    """A day on which nothing happened changes nothing."""
    here.weather(DAYS[2], [])
    here.load()
    load = load_online(here, features=[TEMP])
    assert (load["read"], load["rows"], len(load["features"])) == (16, 2, 1)
    assert served(here) == 28.0


def test_a_table_without_rows_loads_nothing_and_takes_nothing_away(here: Place) -> None:
    """The load succeeds with 0 rows; the features are served from where they were, or not yet at all."""
    here.weather(DAYS[1], [])
    [empty] = one_table_each(here, DAYS[1])
    load = load_online(here, feature_table=empty)
    assert (load["read"], load["rows"], load["written"]) == (0, 0, 0)
    with pytest.raises(NotRegistered, match="has not been loaded online"):
        served(here)
    [full] = one_table_each(here, DAYS[0])
    load_online(here, feature_table=full)
    load_online(here, feature_table=empty)
    assert served(here) == 18.0


def test_a_table_may_be_named_and_holds_one_endpoint(here: Place) -> None:
    """Two endpoints in one table would be two kinds of keys."""
    here.load(out=str(here.root / "weather"))
    here.load("planes", out=str(here.root / "planes"))
    assert load_online(here, features=[TEMP], table="mine")["table"] == "mine"
    assert open_registry(here.registry).online_source(f"{TEMP}@1").table == "mine"
    with pytest.raises(InvalidValue, match="lie in 2 feature tables; the online table 'mine' can hold one"):
        load_online(here, features=[TEMP, SEATS], table="mine")
    with pytest.raises(InvalidType, match="other columns go to a table of their own"):
        load_online(here, features=[TEMP, WIND], table="mine")


def test_what_makes_no_sense_is_refused_before_anything_is_written(here: Place) -> None:
    """No features, unknown ones, ones that are not loaded or not in the table, and a folder that is no table."""
    here.load()
    for about, kind, said in (
        ({}, InvalidValue, "names features or a feature table, and here is neither"),
        ({"features": []}, InvalidValue, "names at least one feature"),
        ({"features": ["/airport/weather/tmp"]}, UnknownFeature, "nearest: .*temp"),
        ({"features": [SEATS]}, NoPartition, "is not loaded offline; load its endpoint 'planes' first"),
        ({"features": [TEMP], "feature_table": "elsewhere"}, NoPartition, "not loaded in the feature tables given"),
        ({"feature_table": f"{here.table}/date={DAYS[0]}"}, InvalidValue, "holds a partition, not a feature_table"),
        ({"features": [TEMP], "store": "x://y"}, InvalidValue, "'x://y' is no online store"),
    ):
        with pytest.raises(kind, match=said):
            load_online(here, **about)
    assert not (here.root / "online.db").exists()


def test_a_manifest_is_the_same_for_the_same_rows(here: Place, tmp_path: Path) -> None:
    """But for its time: caches may answer by it."""
    here.load()
    made = [
        online_load.run(store=f"sqlite://{tmp_path}/{n}.db", registry=here.registry, features=[TEMP]) for n in range(2)
    ]
    assert made[0].fingerprint == made[1].fingerprint
    assert made[0].inputs == made[1].inputs
    assert replace(made[0], details={}) == replace(made[1], details={})
