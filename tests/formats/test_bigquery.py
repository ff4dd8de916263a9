"""BigQuery's types and Arrow messages without a network; a live table where a project is named."""

from __future__ import annotations

import os
import uuid
from datetime import date, datetime, time, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn
from jukebox.formats import bigquery, format_of
from jukebox.formats.bigquery import Source
from jukebox.formats.bigquery_types import bigquery_type, decoded, stored, to_load

PROJECT = os.environ.get("JUKEBOX_BIGQUERY_PROJECT")
DATASET = os.environ.get("JUKEBOX_BIGQUERY_DATASET", "jukebox_tests")
TABLE = pa.table(
    {
        "b": pa.array([True, None]),
        "i": pa.array([1, -(2**63)], pa.int64()),
        "f": pa.array([0.5, None]),
        "s": pa.array(["", "é"]),
        "y": pa.array([b"\xff", None]),
        "d": pa.array([date(1, 1, 1), None]),
        "t": pa.array([time(1, 2, 3, 4), None], pa.time64("us")),
        "naive": pa.array([datetime(2024, 1, 1), None], pa.timestamp("us")),
        "zoned": pa.array([datetime(2024, 1, 1, tzinfo=timezone.utc), None], pa.timestamp("us", "UTC")),
        "n": pa.array([Decimal("1.5"), None], pa.decimal128(38, 9)),
        "big": pa.array([Decimal("1.5"), None], pa.decimal256(76, 38)),
        "l": pa.array([[1, 2], []], pa.list_(pa.int64())),
        "r": pa.array([{"a": 1, "b": ["x"]}, {"a": None, "b": []}]),
    }
)


def sent(table: pa.Table) -> tuple[bytes, list[bytes]]:
    """Return a table as the Storage Read API sends it: a schema, and batches without one."""
    return table.schema.serialize().to_pybytes(), [batch.serialize().to_pybytes() for batch in table.to_batches()]


def test_what_the_read_api_sends_is_decoded() -> None:
    """Every type that BigQuery has arrives, and columns come in the asked order."""
    schema, batches = sent(TABLE)
    assert pa.Table.from_batches(decoded(schema, batches, None, "t")).equals(TABLE)
    assert pa.Table.from_batches(decoded(schema, batches, ["r", "i"], "t")).equals(TABLE.select(["r", "i"]))
    with pytest.raises(MissingColumn, match="'z' is not in t"):
        list(decoded(schema, batches, ["z"], "t"))


def test_messages_that_are_not_whole_are_corrupt() -> None:
    """Neither a schema nor a batch that was cut off is believed."""
    schema, batches = sent(TABLE)
    with pytest.raises(CorruptData, match="no schema"):
        list(decoded(schema[:20], batches, None, "t"))
    with pytest.raises(CorruptData, match="no record batch"):
        list(decoded(schema, [batches[0][:40]], None, "t"))


def test_bigquerys_own_types_are_stored_as_they_are() -> None:
    """What the Storage Read API gives can be loaded again without a change of type or value."""
    schema = pa.schema([stored(field) for field in TABLE.schema])
    assert schema.types == TABLE.schema.types
    batch = TABLE.to_batches()[0]
    assert to_load(batch, schema).to_pylist() == batch.to_pylist()


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (pa.int8(), "INTEGER"),
        (pa.uint64(), "INTEGER"),
        (pa.float32(), "FLOAT"),
        (pa.large_string(), "STRING"),
        (pa.dictionary(pa.int8(), pa.string()), "STRING"),
        (pa.binary(4), "BYTES"),
        (pa.date64(), "DATE"),
        (pa.time32("s"), "TIME"),
        (pa.timestamp("ns"), "DATETIME"),
        (pa.timestamp("s", "Europe/Stockholm"), "TIMESTAMP"),
        (pa.decimal128(38, 9), "NUMERIC"),
        (pa.decimal128(10, 10), "BIGNUMERIC"),
        (pa.decimal256(76, 38), "BIGNUMERIC"),
        (pa.struct([("a", pa.int64())]), "RECORD"),
    ],
)
def test_arrows_types_have_a_type_in_bigquery(kind: pa.DataType, word: str) -> None:
    """Narrower types widen; a zone decides between the two kinds of time."""
    assert bigquery_type(kind, "x") == word


@pytest.mark.parametrize(
    "kind",
    [
        pa.null(),
        pa.duration("us"),
        pa.map_(pa.string(), pa.int64()),
        pa.list_(pa.list_(pa.int64())),
        pa.decimal256(76, 0),
        pa.list_(pa.duration("s")),
    ],
)
def test_types_that_bigquery_has_not_are_refused_by_name(kind: pa.DataType) -> None:
    """The message names the column and its type."""
    with pytest.raises(InvalidType, match="column 'x'"):
        stored(pa.field("x", kind))


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1], pa.timestamp("ns")),
        pa.array([2**63], pa.uint64()),
        pa.array([[1], None]),
        pa.array([[1, None]]),
        pa.array([1], pa.time64("ns")),
    ],
)
def test_values_that_would_change_are_refused_by_name(array: pa.Array) -> None:
    """Nanoseconds, large unsigned numbers, null lists and nulls in lists have no place in BigQuery."""
    batch = pa.record_batch([array], ["x"])
    with pytest.raises(InvalidValue, match="column 'x'"):
        to_load(batch, pa.schema([stored(field) for field in batch.schema]))


def test_values_that_fit_are_widened() -> None:
    """Numbers, times and texts come to BigQuery's types with the same values."""
    table = pa.table(
        {
            "i": pa.array([1, None], pa.uint8()),
            "f": pa.array([0.5, None], pa.float32()),
            "at": pa.array([1_000, None], pa.timestamp("ns", "Europe/Stockholm")),
            "n": pa.array([Decimal("1.5"), None], pa.decimal128(5, 1)),
            "w": pa.array(["a", None]).dictionary_encode(),
            "l": pa.array([[1, 2], []], pa.list_(pa.int8())),
            "e": pa.array([[1, 2], [3, 4]], pa.list_(pa.float32(), 2)),
            "y": pa.array([b"ab", None], pa.binary(2)),
        }
    )
    found = to_load(table.to_batches()[0], pa.schema([stored(field) for field in table.schema]))
    assert found["at"].cast(pa.int64()).to_pylist() == [1, None]
    rest = [name for name in table.schema.names if name != "at"]
    assert pa.Table.from_batches([found]).select(rest).to_pylist() == table.select(rest).to_pylist()


def test_an_address_is_a_table_or_a_query() -> None:
    """Projects may have a domain; a query is taken as it stands, or as a URI writes it."""
    assert Source.parse("bigquery://my-project.data.plays") == Source("my-project", "data", "plays")
    assert Source.parse("bigquery://example.com:my-project.data.plays").project == "example.com:my-project"
    assert Source.parse("bigquery://my-project?query=SELECT+1").query == "SELECT 1"
    assert Source.parse("bigquery://my-project?query=SELECT a FROM b").query == "SELECT a FROM b"
    assert format_of("bigquery://my-project.data.plays") is bigquery


@pytest.mark.parametrize("address", ["bigquery://", "bigquery://my-project.data", "bigquery://P.d.t", "t.parquet"])
def test_other_addresses_are_refused(address: str) -> None:
    """The message shows how one is written."""
    with pytest.raises(InvalidValue, match=r"bigquery://project\.dataset\.table"):
        Source.parse(address)


def test_a_query_cannot_be_written() -> None:
    """It has no table to write to."""
    with pytest.raises(InvalidValue, match="name a table"):
        bigquery.write("bigquery://my-project?query=SELECT 1", [], schema=TABLE.schema)


@pytest.mark.skipif(PROJECT is None, reason="JUKEBOX_BIGQUERY_PROJECT names no project; its account must be at hand")
def test_a_table_of_a_live_project_comes_back() -> None:
    """What is loaded is read again, whole and by column, and by a query."""
    address = f"bigquery://{PROJECT}.{DATASET}.t{uuid.uuid4().hex}"
    from google.cloud import bigquery as library

    client = library.Client(project=PROJECT)
    client.create_dataset(f"{PROJECT}.{DATASET}", exists_ok=True)
    try:
        assert bigquery.write(address, TABLE.to_batches(), schema=TABLE.schema) == 2
        found = pa.Table.from_batches(list(bigquery.read(address)))
        assert sorted(map(str, found.to_pylist())) == sorted(map(str, TABLE.to_pylist()))
        query = f"bigquery://{PROJECT}?query=SELECT i FROM `{address.removeprefix('bigquery://')}` ORDER BY i"
        assert [row for batch in bigquery.read(query) for row in batch["i"].to_pylist()] == [-(2**63), 1]
    finally:
        client.delete_table(address.removeprefix("bigquery://"), not_found_ok=True)
