"""Where dated and hourly partitions lie."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.engine.addresses import Addresses, source_fingerprint
from jukebox.engine.dates import end_of, hours_of
from jukebox.engine.sources import Delivery
from jukebox.errors import NoPartition
from jukebox.features.file import parse_features
from jukebox.formats import parquet
from jukebox.formats.bigquery import Source
from jukebox.storage import place_of
from jukebox.stores import RegisteredFeature
from tests.storage.conftest import bucket, gs, s3

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bucket", "gs", "s3"]

NEW_YORK = "America/New_York"
SPRING, AUTUMN, PLAIN = date(2024, 3, 10), date(2024, 11, 3), date(2024, 7, 1)
DECLARED = """\
endpoints:
  - {{name: plays, uri: "plays/{{date}}/{{hour}}.parquet", format: parquet, time_zone: {zone}, {time},
     keys: [{{column: user, primitive_entity: user, identifier: string}}]}}
features:
  - {{name: /user/plays/n, endpoint: plays, column: n, data_type: int64}}
"""


def addresses(root: Path, uri: str = "plays/{date}/{hour}.parquet", zone: str = NEW_YORK) -> Addresses:
    """Return the addresses of an endpoint."""
    return Addresses("plays", uri, str(root), zone)


def hourly(root: Path, time: str, zone: str = NEW_YORK) -> Delivery:
    """Return the delivery of an hourly endpoint."""
    found = tuple(RegisteredFeature(each, 1, 1) for each in parse_features(DECLARED.format(zone=zone, time=time)))
    return Delivery(found[0].feature.endpoint, found, str(root))


def written(root: Path, day: date, hours: tuple[int, ...]) -> None:
    """Write one row for each hour, its number."""
    for hour in hours:
        rows = pa.table({"user": ["u"], "n": [hour]})
        parquet.write(root / "plays" / f"{day}" / f"{hour:02}.parquet", rows.to_batches(), schema=rows.schema)


@pytest.mark.parametrize(("day", "missing"), [(SPRING, {2}), (AUTUMN, set()), (PLAIN, set())])
def test_a_date_has_the_hours_that_clocks_show(tmp_path: Path, day: date, missing: set[int]) -> None:
    """One is skipped in spring; the one that is shown twice in autumn has one file."""
    slices = addresses(tmp_path).slices(day)
    assert [each.hour for each in slices] == [hour for hour in range(24) if hour not in missing]
    assert slices[0].path == tmp_path / "plays" / f"{day}" / "00.parquet"
    assert slices[-1].name == f"{day}T23"


@given(st.dates(date(1971, 1, 1), date(2037, 1, 1)), st.sampled_from([NEW_YORK, "Australia/Lord_Howe", "Asia/Tehran"]))
def test_hours_follow_one_another_up_to_the_end_of_the_date(day: date, zone: str) -> None:
    """Each ends after the one before, and the last with the date."""
    ends = [end_of(day, zone, hour=hour) for hour in hours_of(day, zone)]
    assert ends == sorted(set(ends))
    assert ends[-1] == end_of(day, zone)


def test_an_hour_that_is_shown_twice_ends_with_its_second_time() -> None:
    """What it holds is true, and known, no sooner."""
    hours = {hour: end_of(AUTUMN, NEW_YORK, hour=hour) for hour in (0, 1, 2)}
    assert [hours[hour].hour for hour in (0, 1, 2)] == [5, 7, 8]


def test_rows_of_all_hours_are_one_date_in_their_order(tmp_path: Path) -> None:
    """Each hour is a snapshot of its end, known a delivery later."""
    written(tmp_path, SPRING, hours_of(SPRING, NEW_YORK))
    source = hourly(tmp_path, "delivery_time: 15m")
    source.require([SPRING])
    [part] = source.parts([SPRING])
    rows = pa.Table.from_batches(part.batches).to_pylist()
    assert [row["n"] for row in rows] == [hour for hour in range(24) if hour != 2]
    assert len(part.paths) == 23
    assert rows[1]["event_time"] == datetime(2024, 3, 10, 7, tzinfo=timezone.utc)
    assert rows[2]["event_time"] == datetime(2024, 3, 10, 8, tzinfo=timezone.utc)
    assert rows[2]["created_time"] == datetime(2024, 3, 10, 8, 15, tzinfo=timezone.utc)


def test_a_missing_hour_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    """The first is named, and how many more there are."""
    written(tmp_path, PLAIN, tuple(range(22)))
    with pytest.raises(
        NoPartition,
        match=r"'plays' has no partition for 2024-07-01T22 and 1 other hours under .*; 22 there, "
        r"from 2024-07-01T00 to 2024-07-01T21",
    ):
        hourly(tmp_path, "delivery_time: 15m").require([PLAIN])


def test_the_hour_may_stand_before_the_date_and_the_date_twice(tmp_path: Path) -> None:
    """Of files with other dates in the two places none is a partition."""
    there = addresses(tmp_path, "h{hour}/{date}/{date}.csv")
    for name in ("h00/2024-07-01/2024-07-01.csv", "h00/2024-07-01/2024-07-02.csv", "hxx/2024-07-01/2024-07-01.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert there.path(PLAIN, 0).exists()
    with pytest.raises(NoPartition, match=r"no partition for 2024-07-01T01 and 22 other hours .*; 1 there, from 2024"):
        there.require([PLAIN])


def test_partitions_of_object_stores_are_found_and_missed_alike(bucket: str) -> None:
    """Below the source folder, or where the uri says by itself."""
    rows = pa.table({"n": [1]})
    for hour in range(23):
        path = f"{bucket}/apm/plays/{PLAIN}/{hour:02}.parquet"
        parquet.write(path, rows.to_batches(), schema=rows.schema)
    below = Addresses("plays", "plays/{date}/{hour}.parquet", f"{bucket}/apm", NEW_YORK)
    absolute = Addresses("plays", f"{bucket}/apm/plays/{{date}}/{{hour}}.parquet", "data", NEW_YORK)
    assert absolute.path(PLAIN, 5) == below.path(PLAIN, 5) == place_of(f"{bucket}/apm/plays/{PLAIN}/05.parquet")
    for there in (below, absolute):
        with pytest.raises(
            NoPartition, match=r"no partition for 2024-07-01T23 under .*; 23 there, from 2024-07-01T00 to"
        ):
            there.require([PLAIN])


@pytest.mark.parametrize(
    ("uri", "first"),
    [
        ("bigquery://my-project.logs.plays_{date}", "bigquery://my-project.logs.plays_20240701"),
        ("bigquery://my-project.logs.plays${date}{hour}", "bigquery://my-project.logs.plays$2024070100"),
        (
            "bigquery://my-project?query=SELECT * FROM logs.plays WHERE day = '{date}'",
            "bigquery://my-project?query=SELECT * FROM logs.plays WHERE day = '2024-07-01'",
        ),
    ],
)
def test_tables_of_bigquery_have_dates_as_their_names_have_them(tmp_path: Path, uri: str, first: str) -> None:
    """Without hyphens in a table's name, with them in a query; that they are there is not asked."""
    there = addresses(tmp_path, uri)
    there.require([PLAIN])
    assert there.slices(PLAIN)[0].path == first
    assert Source.parse(first)
    assert source_fingerprint(first) == ""
