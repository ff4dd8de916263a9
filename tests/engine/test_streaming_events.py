"""Messages become rows of the types that are declared, or are refused by the name of what is wrong."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jukebox.engine.sources import Delivery
from jukebox.engine.streaming_events import Event, Events
from jukebox.errors import InvalidValue
from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.stores import RegisteredFeature

NOW = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)
TYPES = {
    "i": "int32", "f": "float32", "s": "string", "b": "bool", "raw": "bytes", "day": "date", "t": "timestamp",
    "d": "decimal(10, 2)", "l": "list<int64>", "v": "list<float32, 2>",
}  # fmt: skip
SCHEMA = {
    "type": "record",
    "name": "play",
    "fields": [
        {"name": "user", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "i", "type": ["null", "int"]},
        {"name": "raw", "type": "bytes"},
    ],
}


def events(encoding: str = "json", schema: Any = None, types: Any = None, **about: Any) -> Events:
    """Return how messages of an endpoint are read that declares a feature of every type."""
    told = {"event_time": "at", "time_zone": "UTC"} | about
    endpoint = Endpoint("plays", "", "parquet", (Key("user", "user", "string"),), **told)
    members = tuple(
        RegisteredFeature(Feature(FeatureName.parse(f"/user/plays/{name}"), endpoint, name, kind), 1, 1)
        for name, kind in (types or TYPES).items()
    )
    return Events(Delivery(endpoint, members, ""), encoding, schema)


def sent(*records: Any) -> list[Event]:
    """Return events that hold records."""
    return [
        Event(str(n), record if isinstance(record, bytes) else json.dumps(record).encode(), NOW)
        for n, record in enumerate(records)
    ]


def whole(**values: Any) -> dict[str, Any]:
    """Return a record that is an event."""
    return {"user": "ann", "at": "2024-01-02T10:00:00Z", "i": 1} | values


def test_every_type_is_read_from_json() -> None:
    """Text of times, dates, decimals and base64 become what they say; what is not there is null."""
    told = {"f": 0.5, "s": "x", "b": True, "raw": "AAE=", "day": "2024-01-01", "t": "2024-01-01T00:00:00+02:00"}
    rows, taken, refused = events().rows(sent(whole(**told, d="1.25", l=[1, None], v=[1, 2.5]), whole()))
    assert (taken, refused) == ([0, 1], {})
    first, second = rows.to_pylist()
    assert first == {
        "user": "ann", "at": datetime(2024, 1, 2, 10, tzinfo=timezone.utc), "i": 1, "f": 0.5, "s": "x", "b": True,
        "raw": b"\x00\x01", "day": date(2024, 1, 1), "t": datetime(2023, 12, 31, 22, tzinfo=timezone.utc),
        "d": Decimal("1.25"), "l": [1, None], "v": [1.0, 2.5],
    }  # fmt: skip
    assert [name for name, value in second.items() if value is not None] == ["user", "at", "i"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"i": 1.5}, "column 'i' is declared int32 and holds 1.5"),
        ({"i": True}, "True is a bool"),
        ({"i": 1 << 40}, "column 'i' is declared int32"),
        ({"i": "1"}, "column 'i' is declared int32"),
        ({"f": 1e300}, "1e\\+300 does not fit"),
        ({"f": False}, "column 'f' is declared float"),
        ({"s": 1}, "column 's' is declared string"),
        ({"b": 1}, "column 'b' is declared bool"),
        ({"raw": "?"}, "column 'raw' is declared binary"),
        ({"day": "soon"}, "column 'day' is declared date32"),
        ({"t": 17}, "a time is ISO 8601 text"),
        ({"at": "soon"}, "column 'at' is declared timestamp"),
        ({"at": None}, "it has no 'at'"),
        ({"at": "2024-01-04T10:00:00Z"}, "more than a day after it was published"),
        ({"user": None}, "it has no 'user'"),
        ({"user": 1}, "column 'user' is declared string"),
        ({"d": "1.234"}, "column 'd' is declared decimal"),
        ({"d": "x"}, "column 'd' is declared decimal"),
        ({"l": 1}, "a int is no list"),
        ({"l": [1.5]}, "column 'l' is declared list"),
        ({"v": [1.0]}, "column 'v' is declared fixed_size_list"),
    ],
)
def test_a_value_of_another_type_is_refused_by_column(wrong: dict[str, Any], why: str) -> None:
    """Nothing is cut, wrapped or guessed, and the event beside it is read."""
    rows, taken, refused = events().rows(sent(whole(), whole(**wrong)))
    assert (rows.num_rows, taken, list(refused)) == (1, [0], [1])
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(refused[1])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\xff\xfe", b"null", b"{}", b"[" * 100_000])
def test_a_message_that_is_no_record_is_refused(data: bytes) -> None:
    """It is one reason, and no error."""
    _, taken, refused = events().rows(sent(data, whole()))
    assert (taken, list(refused)) == ([1], [0])


def test_an_event_without_any_of_the_features_is_refused() -> None:
    """A record of something else would otherwise be a row of nulls."""
    _, _, refused = events(types={"i": "int64"}).rows(sent({"user": "ann", "at": "2024-01-02T10:00:00Z", "j": 1}))
    assert refused == {0: "it has none of i; it has user, at, j"}


def test_a_time_without_a_zone_is_of_the_endpoints_zone_or_refused() -> None:
    """No zone is guessed, and events with and without one may come together."""
    naive, zoned = whole(at="2024-01-02T05:00:00"), whole(at="2024-01-02T10:00:00Z")
    rows, taken, _ = events(time_zone="America/New_York").rows(sent(naive, zoned))
    assert taken == [0, 1]
    assert len(set(rows["at"].to_pylist())) == 1
    _, taken, refused = events(time_zone=None).rows(sent(naive, zoned))
    assert taken == [1]
    assert "declares no time_zone" in refused[0]


def _avro(record: dict[str, Any], *, container: bool) -> bytes:
    stream = io.BytesIO()
    if container:
        fastavro.writer(stream, SCHEMA, [record])
    else:
        fastavro.schemaless_writer(stream, SCHEMA, record)
    return stream.getvalue()


@pytest.mark.parametrize("container", [True, False])
def test_avro_is_read_as_a_container_or_as_a_datum_of_the_schema(container: bool) -> None:
    """Its own times and bytes are taken as they are; what is cut short or goes on is refused."""
    record = {"user": "ann", "at": NOW, "i": None, "raw": b"\x00"}
    data = _avro(record, container=container)
    read = events("avro", SCHEMA, {"i": "int32", "raw": "bytes"})
    rows, taken, refused = read.rows(sent(data, data[:-1], b"", data + b"\x00"))
    assert rows.to_pylist() == [record]
    assert (taken, sorted(refused)) == ([0], [1, 2, 3])


def test_an_endpoint_whose_rows_are_no_events_is_refused() -> None:
    """So is a feature that declares no type, and an encoding that is not known."""
    wrong = [{"event_time": None}, {"types": {"i": "any"}}, {"encoding": "xml"}, {"encoding": "avro", "schema": {}}]
    for about in wrong:
        with pytest.raises(InvalidValue):
            events(**about)


def test_with_a_delivery_time_an_event_is_known_from_its_publication() -> None:
    """A streamed row need not wait for the delivery of its day."""
    rows, _, _ = events(delivery_time="6h").rows(sent(whole()))
    assert rows["created_time"].to_pylist() == [NOW]


@given(st.lists(st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()), max_size=8))
def test_one_wrong_event_takes_no_other_with_it(values: list[Any]) -> None:
    """Events read together and each alone give the same rows and the same refusals."""
    read = events(types={"i": "int64"})
    given_ = sent(*(whole(i=value, at=(NOW - timedelta(hours=n)).isoformat()) for n, value in enumerate(values)))
    rows, taken, refused = read.rows(given_)
    alone = [read.rows([each]) for each in given_]
    assert taken == [n for n, each in enumerate(alone) if each[1]]
    assert refused == {n: each[2][0] for n, each in enumerate(alone) if each[2]}
    assert rows.to_pylist() == [row for each in alone for row in each[0].to_pylist()]
