"""What a load leaves behind: dated partitions, a manifest, and features that the registry knows where to find."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NoPartition, NotRegistered, UnknownFeature
from jukebox.formats import parquet, tfrecord
from jukebox.stores import open_registry
from jukebox.tables import Manifest, partitions
from tests.components.place import DAYS, DELAY, TEMP, UTC, WIND, at, files, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place


def rows(table: Path, day: str) -> list[dict[str, object]]:
    """Return the rows of a partition."""
    part = Manifest.read(table / f"date={day}", "partition")
    return pa.Table.from_batches(parquet.read(table / f"date={day}" / part.details["data"])).to_pylist()


def test_a_range_becomes_a_partition_a_day_and_a_table_that_tells_of_all(here: Place) -> None:
    """Rows, dates, keys, times and delivery are in the manifest, which is on disk as it is returned."""
    table = here.load()
    assert table == Manifest.read(here.table, "feature_table")
    assert (table.rows, table.keys, table.event_time, table.created_time) == (24, ("origin",), "hour", "known_at")
    assert table.details["dates"] == list(DAYS)
    assert table.details["features"] == {f"{TEMP}@1": "temp", f"{WIND}@1": "wind"}
    assert table.details["statistics"]["temp"]["max"] == 38.0
    assert table.details["delivered_at"].endswith("+00:00")
    assert {str(day): part.rows for day, part in partitions(here.table).items()} == dict.fromkeys(DAYS, 8)


def test_columns_are_keys_times_and_features_under_their_own_names(here: Place) -> None:
    """The source column wind_speed is the feature wind in the table."""
    here.load(date=DAYS[0])
    [first, *_] = rows(here.table, DAYS[0])
    assert first == {"origin": "JFK", "hour": at("01 00:00"), "known_at": at("01 01:00"), "temp": 0.0, "wind": 1.0}


def test_the_table_becomes_the_offline_source_of_its_features(here: Place) -> None:
    """The registry names the folder, the dates and the fingerprint."""
    table = here.load()
    [source] = open_registry(here.registry).offline_sources(f"{TEMP}@1")
    assert (source.uri, source.endpoint, source.fingerprint) == (str(here.table), "weather", table.fingerprint)
    assert source.dates == tuple(date.fromisoformat(day) for day in DAYS)


def test_the_same_source_gives_the_same_fingerprint_and_another_one_another(here: Place) -> None:
    """Loading again changes nothing that a fingerprint sees; one other value does."""
    first = here.load()
    assert here.load().fingerprint == first.fingerprint
    here.weather(DAYS[1], [("JFK", at("02 00:00"), at("02 01:00"), 1.5, None)])
    assert here.load().fingerprint != first.fingerprint


def test_a_date_that_is_loaded_again_is_replaced_whole(here: Place) -> None:
    """The partition holds the new rows and one data file, and the other dates are not touched."""
    here.load()
    before = files(here.table / f"date={DAYS[0]}")
    here.weather(DAYS[1], [("JFK", at("02 00:00"), at("02 01:00"), 1.5, None)])
    table = here.load(date=DAYS[1])
    assert [row["temp"] for row in rows(here.table, DAYS[1])] == [1.5]
    assert len(list((here.table / f"date={DAYS[1]}").glob("[!.]*"))) == 2
    assert files(here.table / f"date={DAYS[0]}") == before
    assert (table.rows, table.details["dates"]) == (17, list(DAYS))


def test_one_date_after_another_gives_the_table_of_the_range(here: Place) -> None:
    """A backfill in pieces and in any order ends where one pass does."""
    for day in reversed(DAYS):
        pieces = here.load(date=day)
    whole = here.load(out=str(here.root / "whole"))
    assert (pieces.fingerprint, pieces.inputs, pieces.rows) == (whole.fingerprint, whole.inputs, whole.rows)


def test_a_partition_without_rows_is_loaded_as_such(here: Place) -> None:
    """No data is not a missing date, in Parquet as in TFRecords."""
    here.weather(DAYS[1], [])
    empty = pa.table({"origin": pa.array([], pa.string())})
    tfrecord.write(here.source / "routes" / DAYS[1] / "part.tfrecord.gz", empty.to_batches(), schema=empty.schema)
    assert here.load().rows == 16
    assert here.load("routes", out=str(here.root / "routes")).rows == 2


def test_a_static_endpoint_goes_to_the_date_of_the_load(here: Place) -> None:
    """A file that is not dated is the partition of the last date, and its rows have no moment of their own."""
    table = here.load("planes")
    assert table.details["dates"] == [DAYS[-1]]
    assert table.details["static"] is True
    assert [(row["tail"], row["seats"]) for row in rows(here.table, DAYS[-1])] == [("N1", 100), ("N2", None)]


def test_an_endpoint_without_dates_is_parted_at_the_midnights_of_its_zone(here: Place) -> None:
    """Naive times are New York's: 23:30 belongs to its day there, and is kept as the instant it was."""
    here.load("arrivals")
    assert [row["delay"] for day in DAYS for row in rows(here.table, day)] == [5, -3, 40]
    assert rows(here.table, DAYS[-1])[0]["arrived"] == at("04 04:30")


def test_an_empty_source_without_dates_gives_empty_partitions(here: Place) -> None:
    """A header alone is a whole source."""
    (here.source / "arrivals.csv").write_text("tail,arrived,delay\n")
    assert here.load("arrivals").rows == 0


def test_two_features_of_one_endpoint_in_two_loads_are_joined_from_two_tables(here: Place) -> None:
    """A source map of one feature loads that alone, and the other keeps its own table."""
    here.load(features={TEMP: "temp"}, out=str(here.root / "temp"))
    here.load(features={"/airport/weather/wind": "wind_speed"}, out=str(here.root / "wind"))
    label = pa.table({"origin": ["JFK"], "at": pa.array([at("02 07:30")], UTC)})
    here.join(label, [TEMP, WIND])
    assert here.joined().select(["temp", "wind"]).to_pylist() == [{"temp": 16.0, "wind": 1.0}]


def test_progress_is_told_by_date(here: Place) -> None:
    """The function is called after each partition with how many are done, of how many."""
    told: list[tuple[int, int]] = []
    here.load(progress=lambda done, all_: told.append((done, all_)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_slash_at_the_end_of_a_path_makes_no_other_table(here: Place) -> None:
    """The table is found by the path as a shell completes it."""
    here.load(out=f"{here.table}/")
    label = pa.table({"origin": ["JFK"], "at": pa.array([at("02 07:30")], UTC)})
    here.join(label, feature_tables=[f"{here.table}/"])
    assert here.joined()["temp"].to_pylist() == [16.0]


def without(place: Place, column: str) -> None:
    """Write the weather of the first day without one of its columns."""
    path = place.source / "weather" / f"{DAYS[0]}.parquet"
    write(path, pa.Table.from_batches(parquet.read(path)).drop([column]))


@pytest.mark.parametrize("column", ["origin", "hour", "known_at", "temp"])
def test_a_source_without_a_column_is_refused_by_the_column_the_endpoint_and_what_there_is(
    here: Place, column: str
) -> None:
    """Key, times and features alike; no table is left."""
    without(here, column)
    with pytest.raises(
        MissingColumn, match=f"'{column}' of endpoint 'weather' is not in .*2024-01-01.parquet; it has "
    ):
        here.load()
    assert not partitions(here.table)


@pytest.mark.parametrize("column", ["origin", "at"])
def test_records_without_the_key_or_the_time_are_refused_and_not_taken_for_nulls(here: Place, column: str) -> None:
    """Any feature may be missing in all records of a day; what the rows are about and when may not."""
    day = here.source / "routes" / DAYS[0] / "part.tfrecord.gz"
    whole = pa.table({"origin": ["JFK"], "dest": ["SFO"], "at": pa.array([at("01 06:00")], UTC), "late": [1.0]})
    for table in (whole.drop(["late"]), whole.drop([column])):
        tfrecord.write(day, table.to_batches(), schema=table.schema)
        if table.column_names[-1] == "at":
            assert here.load("routes", date=DAYS[0], out=str(here.root / "routes")).rows == 1
    with pytest.raises(MissingColumn, match=f"'{column}' of endpoint 'routes'"):
        here.load("routes", date=DAYS[0])


def test_a_date_without_a_partition_is_refused_before_anything_is_written(here: Place) -> None:
    """The error names the first missing date, how many more there are, and which dates there are."""
    said = "no partition for 2024-01-04 and 1 other dates under .*; 3 there, from 2024-01-01 to 2024-01-03"
    with pytest.raises(NoPartition, match=said):
        here.load(end="2024-01-05")
    with pytest.raises(NoPartition, match=r"'routes' has no partition for 2023-12-31 .*; 3 there, from 2024-01-01 to"):
        here.load("routes", date="2023-12-31")
    assert not here.table.exists()


def test_an_endpoint_or_feature_that_is_not_registered_is_refused(here: Place) -> None:
    """The error says what there is."""
    with pytest.raises(NotRegistered, match="'wether'; there is arrivals, planes, routes, weather"):
        here.load("wether")
    with pytest.raises(UnknownFeature, match=f"'weather' does not feed '{DELAY}'; it feeds {TEMP}"):
        here.load(features={DELAY: "delay"})


@pytest.mark.parametrize(
    ("source_map", "said"),
    [
        ({TEMP: "temperature"}, "registered from column 'temp', the source map says 'temperature'"),
        ({}, "names no feature"),
    ],
)
def test_a_source_map_that_contradicts_the_registry_or_is_empty_is_refused(
    here: Place, source_map: dict[str, str], said: str
) -> None:
    """A registered feature comes from its registered column."""
    with pytest.raises(InvalidValue, match=said):
        here.load(features=source_map)


def test_data_that_do_not_fit_the_declared_type_are_refused_by_feature_and_column(here: Place) -> None:
    """In Parquet the cast fails, in CSV the reading."""
    weather = pa.table({
        "origin": ["JFK"], "hour": pa.array([at("01 00:00")], UTC), "known_at": pa.array([at("01 01:00")], UTC),
        "temp": ["warm"], "wind_speed": [1.0],
    })  # fmt: skip
    write(here.source / "weather" / f"{DAYS[0]}.parquet", weather)
    with pytest.raises(
        InvalidType, match=f"feature '{TEMP}' is declared float64, column 'temp' of 'weather' holds string"
    ):
        here.load()
    (here.source / "arrivals.csv").write_text("tail,arrived,delay\nN1,2024-01-01T08:00:00,late\n")
    with pytest.raises(InvalidType, match=f"feature '{DELAY}' is declared int64 from column 'delay'.*arrivals.csv"):
        here.load("arrivals")


def test_producers_may_change_units_of_time_and_layouts_of_text_between_dates(here: Place) -> None:
    """A table of milliseconds and plain text beside nanoseconds and dictionaries is joined as one."""
    for day, unit, text in zip(DAYS, ("ms", "us", "ns"), (pa.string(), pa.large_string(), None), strict=True):
        hour = at(f"{day[-2:]} 06:00")
        times = {
            name: pa.array([value], pa.timestamp(unit, "UTC")) for name, value in (("hour", hour), ("known_at", hour))
        }
        origin = pa.array(["JFK"]).dictionary_encode() if text is None else pa.array(["JFK"], text)
        write(
            here.source / "weather" / f"{day}.parquet",
            pa.table({"origin": origin, **times, "temp": [1], "wind_speed": [2]}),
        )
    here.load()
    moments = [at(f"{day[-2:]} 06:00") + timedelta(hours=1) for day in DAYS]
    here.join(pa.table({"origin": ["JFK"] * 3, "at": pa.array(moments, UTC)}))
    assert here.joined()["temp"].to_pylist() == [1.0, 1.0, 1.0]
