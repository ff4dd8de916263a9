"""What an endpoint delivers, as the rows of a feature table."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.engine.sources import Delivery
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash, NoPartition
from jukebox.features.definitions import EVENT_TIME
from jukebox.features.file import parse_features
from jukebox.formats import parquet, tfrecord
from jukebox.stores import RegisteredFeature

if TYPE_CHECKING:
    from pathlib import Path

UTC = pa.timestamp("us", "UTC")
HEAD = """\
endpoints:
  - {{name: plays, uri: "{uri}", format: {format}, {time},
     keys: [{{column: user, primitive_entity: user, identifier: {id}}}]}}
features:
"""
FEATURE = "  - {{name: /user/plays/{name}, endpoint: plays, column: {column}, data_type: '{kind}'}}\n"


def delivery(
    root: Path, *features: tuple[str, str], uri: str = "plays.csv", id_: str = "string", time: str = "event_time: at"
) -> Delivery:
    """Return the delivery of an endpoint with features of (column, data type)."""
    kind = "tfrecord" if "tfrecord" in uri else uri.rpartition(".")[2]
    text = HEAD.format(uri=uri, format=kind, id=id_, time=time)
    text += "".join(FEATURE.format(name=name, column=name, kind=kind) for name, kind in features or [("n", "int64")])
    found = tuple(RegisteredFeature(feature, 1, 1) for feature in parse_features(text))
    return Delivery(found[0].feature.endpoint, found, str(root))


def read(source: Delivery) -> pa.Table:
    """Return all rows of an endpoint that is not dated."""
    return pa.Table.from_batches(source.read(source.path()))


def text(root: Path, *lines: str) -> None:
    """Write a CSV file."""
    (root / "plays.csv").write_text("\n".join(lines) + "\n")


def table(root: Path, **columns: Any) -> None:
    """Write a Parquet file."""
    rows = pa.table(columns)
    parquet.write(root / "plays.parquet", rows.to_batches(), schema=rows.schema)


def utc(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """Return an instant of March 2024."""
    return datetime(2024, 3, day, hour, minute, tzinfo=timezone.utc)


def test_columns_come_as_keys_times_features_and_nothing_else(tmp_path: Path) -> None:
    """In that order, whatever the order and number of columns in the source."""
    text(tmp_path, "more,n,made,at,user", "x,1,2024-03-01T01:00:00Z,2024-03-01T00:00:00Z,u")
    rows = read(delivery(tmp_path, time="event_time: at, created_time: made"))
    assert rows.to_pylist() == [{"user": "u", "at": utc(1), "made": utc(1, 1), "n": 1}]


@pytest.mark.parametrize(
    ("zone", "times"),
    [
        ("UTC", [utc(1, 12), utc(20, 12)]),
        ("America/New_York", [utc(1, 17), utc(20, 16)]),
        ("Asia/Kolkata", [utc(1, 6, 30), utc(20, 6, 30)]),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_times_without_a_zone_are_in_the_zone_that_is_declared(
    tmp_path: Path, form: str, zone: str, times: list[datetime]
) -> None:
    """On both sides of a change of clocks; what comes out are instants."""
    text(tmp_path, "user,at,n", "u,2024-03-01T12:00:00,1", "u,2024-03-20T12:00:00,2")
    naive = [datetime(2024, 3, day, 12) for day in (1, 20)]
    table(tmp_path, user=["u", "u"], at=pa.array(naive, pa.timestamp("ms")), n=[1, 2])
    rows = read(delivery(tmp_path, uri=f"plays.{form}", time=f"event_time: at, time_zone: {zone}"))
    assert rows["at"].to_pylist() == times
    assert rows.schema.field("at").type == UTC


@pytest.mark.parametrize("zone", ["", ", time_zone: America/New_York"])
def test_times_with_a_zone_of_their_own_stay_the_instants_they_are(tmp_path: Path, zone: str) -> None:
    """A declared zone is that of times that carry none."""
    text(tmp_path, "user,at,n", "u,2024-03-01T12:00:00Z,1", "u,2024-03-01T13:00:00+01:00,2")
    assert read(delivery(tmp_path, time=f"event_time: at{zone}"))["at"].to_pylist() == [utc(1, 12)] * 2
    table(tmp_path, user=["u"], at=pa.array([utc(1, 12)], pa.timestamp("s", "Asia/Tokyo")), n=[1])
    rows = read(delivery(tmp_path, uri="plays.parquet", time=f"event_time: at{zone}"))
    assert rows["at"].to_pylist() == [utc(1, 12)]
    assert rows.schema.field("at").type == UTC


def test_a_date_as_time_is_its_midnight_there(tmp_path: Path) -> None:
    """Naive where no zone is declared."""
    text(tmp_path, "user,at,n", "u,2024-03-01,1")
    assert read(delivery(tmp_path))["at"].to_pylist() == [datetime(2024, 3, 1)]
    rows = read(delivery(tmp_path, time="event_time: at, time_zone: America/New_York"))
    assert rows["at"].to_pylist() == [utc(1, 5)]


def test_times_that_are_all_missing_are_null_times(tmp_path: Path) -> None:
    """A day whose rows were never known is a day all the same."""
    text(tmp_path, "user,at,made,n", "u,2024-03-01T12:00:00,,1")
    rows = read(delivery(tmp_path, time="event_time: at, created_time: made, time_zone: UTC"))
    assert rows["made"].to_pylist() == [None]
    assert rows.schema.field("made").type == UTC


@pytest.mark.parametrize(
    ("moment", "why"), [("2024-03-10T02:30:00", "nonexistent|exist"), ("2024-11-03T01:30:00", "ambiguous")]
)
def test_a_time_that_clocks_skip_or_show_twice_is_refused(tmp_path: Path, moment: str, why: str) -> None:
    """Nobody can tell which instant is meant; the error names the column and the zone."""
    text(tmp_path, "user,at,n", f"u,{moment},1")
    source = delivery(tmp_path, time="event_time: at, time_zone: America/New_York")
    with pytest.raises(InvalidValue, match=f"column 'at' of endpoint 'plays' in zone America/New_York: .*({why})"):
        read(source)


def test_a_time_column_that_holds_no_times_is_refused(tmp_path: Path) -> None:
    """Numbers and text are not guessed at."""
    text(tmp_path, "user,at,n", "u,soon,1")
    with pytest.raises(InvalidType, match="time column 'at' of endpoint 'plays' holds string, not times"):
        read(delivery(tmp_path))
    table(tmp_path, user=["u"], at=[1709251200], n=[1])
    with pytest.raises(InvalidType, match="time column 'at' of endpoint 'plays' holds int64, not times"):
        read(delivery(tmp_path, uri="plays.parquet"))


def test_a_static_row_has_the_epoch_as_its_time(tmp_path: Path) -> None:
    """Under a name that no source needs to have."""
    text(tmp_path, "user,n", "u,1", "v,")
    rows = read(delivery(tmp_path, time="static: true"))
    assert rows.column_names == ["user", EVENT_TIME, "n"]
    assert rows[EVENT_TIME].to_pylist() == [datetime(1970, 1, 1, tzinfo=timezone.utc)] * 2


def test_keys_are_read_as_their_identifiers_say(tmp_path: Path) -> None:
    """Text with leading zeros stays text; whole numbers are numbers where the identifier says so."""
    text(tmp_path, "user,at,n", "007,2024-03-01T12:00:00Z,1")
    assert read(delivery(tmp_path))["user"].to_pylist() == ["007"]
    assert read(delivery(tmp_path, id_="int64"))["user"].to_pylist() == [7]
    text(tmp_path, "user,at,n", "seven,2024-03-01T12:00:00Z,1")
    with pytest.raises(InvalidType, match=r"column 'user' of .* is declared int64"):
        read(delivery(tmp_path, id_="int64"))


def test_keys_come_in_one_layout(tmp_path: Path) -> None:
    """Dictionaries, large text and narrow integers are as plain ones, so that dates of two producers meet."""
    at = pa.array([utc(1)] * 2, UTC)
    for users in (pa.array(["u", None]).dictionary_encode(), pa.array(["u", None], pa.large_string())):
        table(tmp_path, user=users, at=at, n=[1, 2])
        assert read(delivery(tmp_path, uri="plays.parquet")).schema.field("user").type == pa.string()
    table(tmp_path, user=pa.array([1, None], pa.int16()), at=at, n=[1, 2])
    assert read(delivery(tmp_path, uri="plays.parquet", id_="int64"))["user"].type == pa.int64()


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("int32", pa.array([1, None], pa.int64()), [1, None]),
        ("int64", pa.array([1.0, 2.0]), [1, 2]),
        ("float32", pa.array([1, 2], pa.int8()), [1.0, 2.0]),
        ("string", pa.array(["a", None]).dictionary_encode(), ["a", None]),
        ("decimal(12, 2)", pa.array([1, 2], pa.int32()), [1, 2]),
        ("list<float32, 2>", pa.array([[1.0, 2.0], None], pa.list_(pa.float64())), [[1.0, 2.0], None]),
        ("any", pa.array([{"a": 1}, None]), [{"a": 1}, None]),
        ("timestamp", pa.array([datetime(2024, 3, 1), None], pa.timestamp("s")), [utc(1, 5), None]),
        ("timestamp", pa.array([utc(1), None], pa.timestamp("ns", "UTC")), [utc(1), None]),
    ],
)
def test_values_take_their_declared_type_where_nothing_is_lost(
    tmp_path: Path, kind: str, values: pa.Array, expected: list[Any]
) -> None:
    """Naive times of a feature are in the endpoint's zone, as its event times are."""
    table(tmp_path, user=["u", "v"], at=pa.array([utc(1)] * 2, UTC), n=values)
    source = delivery(tmp_path, ("n", kind), uri="plays.parquet", time="event_time: at, time_zone: America/New_York")
    assert read(source)["n"].to_pylist() == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int64", pa.array([1.5, 2.0])),
        ("int8", pa.array([1, 300])),
        ("uint32", pa.array([1, -1])),
        ("float64", pa.array(["1.0", "warm"])),
        ("list<float32, 2>", pa.array([[1.0], [2.0]])),
        ("timestamp", pa.array([datetime(2024, 3, 1)] * 2, pa.timestamp("us"))),
        ("timestamp", pa.array([1, 2])),
        ("bool", pa.array([utc(1)] * 2, UTC)),
    ],
)
def test_values_that_do_not_fit_are_refused_by_feature_and_column(tmp_path: Path, kind: str, values: pa.Array) -> None:
    """Nothing is rounded, cut or guessed, not even what a number may mean as a time."""
    table(tmp_path, user=["u", "v"], at=pa.array([utc(1)] * 2, UTC), n=values)
    with pytest.raises(InvalidType, match=r"feature '/entity/user/.*/n' is declared .*, column 'n' of 'plays' holds "):
        read(delivery(tmp_path, ("n", kind), uri="plays.parquet"))


def test_the_one_feature_of_many_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """Also where the reader finds it and knows no features."""
    text(tmp_path, "user,at,a,b,c", "u,2024-03-01T12:00:00Z,1,x,2")
    source = delivery(tmp_path, ("a", "int64"), ("b", "float64"), ("c", "int64"))
    with pytest.raises(
        InvalidType, match=r"feature '/entity/user/component/plays/name/b' is declared float64 from column 'b'"
    ):
        read(source)
    rows = pa.table({"user": ["u"], "at": pa.array([utc(1)], UTC), "a": [1], "b": ["x"], "c": [2]})
    tfrecord.write(tmp_path / "plays.tfrecord.gz", rows.to_batches(), schema=rows.schema)
    source = delivery(tmp_path, ("a", "int64"), ("b", "float64"), ("c", "int64"), uri="plays.tfrecord.gz")
    with pytest.raises(InvalidType, match="name/b' is declared float64 from column 'b'"):
        read(source)


def test_records_give_times_text_and_missing_values(tmp_path: Path) -> None:
    """Times are microseconds of UTC there, whatever zone is declared; a feature that no record has is null."""
    rows = pa.table({"user": ["u", "v"], "at": pa.array([utc(1), None], UTC), "n": [1, None]})
    tfrecord.write(tmp_path / "plays.tfrecord.gz", rows.to_batches(), schema=rows.schema)
    for zone in ("", ", time_zone: America/New_York"):
        source = delivery(
            tmp_path, ("n", "int64"), ("m", "string"), uri="plays.tfrecord.gz", time=f"event_time: at{zone}"
        )
        assert read(source).to_pylist() == [
            {"user": "u", "at": utc(1), "n": 1, "m": None},
            {"user": "v", "at": None, "n": None, "m": None},
        ]


def test_missing_columns_are_named_together(tmp_path: Path) -> None:
    """With the endpoint, the file and what it has."""
    text(tmp_path, "usr,n", "u,1")
    with pytest.raises(
        MissingColumn, match=r"column 'user', 'at' of endpoint 'plays' is not in .*plays.csv; it has usr, n"
    ):
        read(delivery(tmp_path))


def test_nulls_are_what_the_endpoint_says(tmp_path: Path) -> None:
    """NA is null where it is declared so, and the empty text is then a text."""
    text(tmp_path, "user,at,n,s", "u,2024-03-01T12:00:00Z,NA,")
    source = delivery(tmp_path, ("n", "int64"), ("s", "string"), time='event_time: at, null_values: ["NA"]')
    assert read(source).select(["n", "s"]).to_pylist() == [{"n": None, "s": ""}]


@pytest.mark.parametrize("uri", ["{date}.csv", "a/{date}.csv", "{date}/plays.csv", "a/{date}/b/x-{date}.csv"])
def test_a_date_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, uri: str) -> None:
    """Wherever in the address the date stands, and whether the address is below the source or absolute."""
    days = [date(2024, 3, day) for day in (1, 2, 5)]
    for day in days:
        path = tmp_path / uri.replace("{date}", str(day))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("user,at,n\n")
    said = "no partition for 2024-03-03 and 1 other dates under .*; 3 there, from 2024-03-01 to 2024-03-05$"
    for source in (delivery(tmp_path, uri=uri), delivery(tmp_path / "elsewhere", uri=f"{tmp_path}/{uri}")):
        source.require(days)
        with pytest.raises(NoPartition, match=said):
            source.require([*days, date(2024, 3, 3), date(2024, 3, 4)])
    with pytest.raises(NoPartition, match="none there at all"):
        delivery(tmp_path / "elsewhere", uri=uri).require(days)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", [0, 2, 1]), ("America/New_York", [1, 1, 1]), ("Asia/Tokyo", [0, 1, 2]), ("", [0, 2, 1])],
)
def test_rows_go_to_the_dates_of_their_zone(tmp_path: Path, zone: str, expected: list[int]) -> None:
    """Midnight begins a day; rows outside of the dates and rows without a time go to none."""
    text(
        tmp_path,
        "user,at,n",
        "u,2024-03-09T02:00:00Z,1",
        "u,2024-03-09T15:00:00Z,2",
        "u,2024-03-10T05:00:00Z,3",
        "u,,4",
    )
    days = [date(2024, 3, 8), date(2024, 3, 9), date(2024, 3, 10)]
    source = delivery(tmp_path, time=f"event_time: at{', time_zone: ' + zone if zone else ''}")
    counted = {part.day: sum(batch.num_rows for batch in part.batches) for part in source.parts(days)}
    assert list(counted.values()) == expected


def test_a_day_of_23_hours_and_times_before_1970_go_to_their_dates(tmp_path: Path) -> None:
    """The day on which clocks change is its own, and no time is rounded towards 1970."""
    text(tmp_path, "user,at,n", "u,2024-03-11T03:59:59.5Z,1", "u,2024-03-11T04:00:00Z,2", "u,1969-12-31T04:59:59.5Z,3")
    source = delivery(tmp_path, time="event_time: at, time_zone: America/New_York")
    days = [date(2024, 3, 10), date(2024, 3, 11), date(1969, 12, 30)]
    found = [[n for batch in part.batches for n in batch.column("n").to_pylist()] for part in source.parts(days)]
    assert found == [[1], [2], [3]]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two features that end alike cannot lie in one table."""
    source = delivery(tmp_path, ("n", "int64"))
    with pytest.raises(NameClash, match="two columns of 'plays' would be called 'n'"):
        Delivery(source.endpoint, source.features * 2, str(tmp_path))
