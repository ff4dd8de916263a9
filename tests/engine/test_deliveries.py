"""The times that a load writes itself: the end of a snapshot's date, and when a delivered partition became known."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.engine.sources import Delivery
from jukebox.errors import InvalidValue, NameClash
from jukebox.features.file import parse_features
from jukebox.formats import parquet, tfrecord
from jukebox.stores import RegisteredFeature

if TYPE_CHECKING:
    from pathlib import Path

UTC = pa.timestamp("us", "UTC")
DECLARED = """\
endpoints:
  - {{name: plays, uri: "{uri}", format: {format}, {time}, keys: [{{column: user, primitive_entity: user,
     identifier: string}}]}}
features:
  - {{name: /user/plays/n, endpoint: plays, column: n, data_type: int64}}
"""
SPRING = date(2024, 3, 10)  # clocks in New York go forward at two in the morning


def delivery(root: Path, time: str, uri: str = "{date}.parquet") -> Delivery:
    """Return the delivery of an endpoint of dated partitions."""
    kind = "tfrecord" if "tfrecord" in uri else "parquet"
    found = tuple(
        RegisteredFeature(each, 1, 1) for each in parse_features(DECLARED.format(uri=uri, format=kind, time=time))
    )
    return Delivery(found[0].feature.endpoint, found, str(root))


def written(root: Path, **columns: object) -> None:
    """Write the partition of the day in spring."""
    rows = pa.table(columns)
    parquet.write(root / f"{SPRING}.parquet", rows.to_batches(), schema=rows.schema)


def rows_of(source: Delivery, day: date = SPRING) -> pa.Table:
    """Return the rows that a day's partition will hold."""
    [part] = source.parts([day])
    return pa.Table.from_batches(part.batches)


@pytest.mark.parametrize(
    ("zone", "ended"),
    [
        ("UTC", datetime(2024, 3, 11)),
        ("America/New_York", datetime(2024, 3, 11, 4)),
        ("Asia/Kolkata", datetime(2024, 3, 10, 18, 30)),
    ],
)
def test_a_snapshot_is_true_at_the_end_of_its_date_and_known_a_delivery_later(
    tmp_path: Path, zone: str, ended: datetime
) -> None:
    """The end is the midnight of the endpoint's zone; six hours are six hours, whatever clocks do."""
    written(tmp_path, n=[1, None], user=["u", "v"])
    source = delivery(tmp_path, f"delivery_time: 6h, time_zone: {zone}")
    rows, ended = rows_of(source), ended.replace(tzinfo=timezone.utc)
    assert rows.to_pylist() == [
        {"user": user, "event_time": ended, "created_time": ended + timedelta(hours=6), "n": n}
        for user, n in (("u", 1), ("v", None))
    ]
    assert rows.schema.field("event_time").type == rows.schema.field("created_time").type == UTC
    assert (source.event_time, source.created_time) == ("event_time", "created_time")


def test_a_duration_counts_hours_and_not_the_numbers_of_clocks(tmp_path: Path) -> None:
    """In the night in which clocks go forward three hours after midnight they show four."""
    written(tmp_path, n=[1], user=["u"])
    (tmp_path / f"{SPRING}.parquet").rename(tmp_path / "2024-03-09.parquet")
    source = delivery(tmp_path, "delivery_time: 3h, time_zone: America/New_York")
    [row] = rows_of(source, date(2024, 3, 9)).to_pylist()
    assert row["created_time"] == datetime(2024, 3, 10, 8, tzinfo=timezone.utc)


def test_rows_with_times_of_their_own_are_known_from_the_delivery_too(tmp_path: Path) -> None:
    """The event time is the source's; the created time is that of the partition, for every row."""
    at = datetime(2024, 3, 10, 12)
    written(tmp_path, user=["u", "v"], at=pa.array([at, None], pa.timestamp("ms")), n=[1, 2])
    rows = rows_of(delivery(tmp_path, "event_time: at, delivery_time: 0s, time_zone: UTC"))
    assert rows.column_names == ["user", "at", "created_time", "n"]
    assert rows["at"].to_pylist() == [at.replace(tzinfo=timezone.utc), None]
    assert rows["created_time"].to_pylist() == [datetime(2024, 3, 11, tzinfo=timezone.utc)] * 2


def test_records_are_snapshots_too(tmp_path: Path) -> None:
    """What a record lacks is a time; the partition's is written into every row."""
    rows = pa.table({"user": ["u"], "n": [1]})
    tfrecord.write(tmp_path / f"{SPRING}.tfrecord.gz", rows.to_batches(), schema=rows.schema)
    source = delivery(tmp_path, "delivery_time: 1d, time_zone: UTC", "{date}.tfrecord.gz")
    [row] = rows_of(source).to_pylist()
    assert (row["event_time"].day, row["created_time"].day) == (11, 12)


@pytest.mark.parametrize(
    ("day", "zone", "instant"),
    [
        (date(2018, 11, 3), "America/Sao_Paulo", datetime(2018, 11, 4, 3)),  # skipped: 23:59:59 was before 1:00
        (date(2024, 11, 2), "America/Havana", datetime(2024, 11, 3, 4)),  # shown twice: at 1:00 it was midnight again
    ],
)
def test_a_date_ends_once_where_clocks_skip_midnight_or_show_it_twice(
    tmp_path: Path, day: date, zone: str, instant: datetime
) -> None:
    """At the change in the one case, the first time in the other."""
    written(tmp_path, user=["u"], n=[1])
    (tmp_path / f"{SPRING}.parquet").rename(tmp_path / f"{day}.parquet")
    [row] = rows_of(delivery(tmp_path, f"delivery_time: 0s, time_zone: {zone}"), day).to_pylist()
    assert row["event_time"] == row["created_time"] == instant.replace(tzinfo=timezone.utc)


def test_a_delivery_beyond_all_years_is_refused(tmp_path: Path) -> None:
    """The duration may be written, and yet no date has such an end."""
    written(tmp_path, user=["u"], n=[1])
    with pytest.raises(InvalidValue, match="2024-03-10, and 3000000 days, 0:00:00 after it, is beyond the year 9999"):
        rows_of(delivery(tmp_path, "delivery_time: 3000000d, time_zone: UTC"))


def test_no_feature_takes_the_name_of_a_time_that_is_written(tmp_path: Path) -> None:
    """A registry may hold one of before this rule: it is refused before anything is written."""
    source = delivery(tmp_path, "delivery_time: 6h, time_zone: UTC")
    text = DECLARED.format(uri="p.parquet", format="parquet", time="event_time: at").replace(
        "plays/n", "plays/created_time"
    )
    other = RegisteredFeature(parse_features(text)[0], 1, 1)
    with pytest.raises(NameClash, match="two columns of 'plays' would be called 'created_time'"):
        Delivery(source.endpoint, (*source.features, other), str(tmp_path))
