"""Row keys: composite typed keys to bytes and back."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jukebox.core.rowkeys import decode, encode, encode_one
from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn

TIMES = {"min_value": datetime(1, 1, 1), "max_value": datetime(9999, 12, 31, 23, 59, 59, 999_999)}
KINDS: dict[str, tuple[st.SearchStrategy[Any], pa.DataType]] = {
    "int64": (st.integers(-(2**63), 2**63 - 1), pa.int64()),
    "uint64": (st.integers(0, 2**64 - 1), pa.uint64()),
    "int8": (st.integers(-128, 127), pa.int8()),
    "bool": (st.booleans(), pa.bool_()),
    "text": (st.text(st.characters(exclude_categories=["Cs"]) | st.just("\0")), pa.string()),
    "bytes": (st.binary() | st.lists(st.sampled_from([0, 1, 255])).map(bytes), pa.binary()),
    "date": (st.dates(), pa.date32()),
    "naive": (st.datetimes(**TIMES), pa.timestamp("us")),
    "zoned": (st.datetimes(**TIMES, timezones=st.just(timezone.utc)), pa.timestamp("us", "UTC")),
}


@st.composite
def rows_of_keys(draw: st.DrawFn) -> tuple[list[pa.DataType], list[tuple[Any, ...]]]:
    """Some key columns and some rows of them."""
    kinds = [KINDS[name] for name in draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4))]
    rows = draw(st.lists(st.tuples(*(values for values, _ in kinds)), min_size=2, max_size=8))
    return [kind for _, kind in kinds], rows


def table_of(types: list[pa.DataType], rows: list[tuple[Any, ...]]) -> pa.Table:
    """The rows as a table whose columns are called 0, 1, …."""
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    return pa.table(columns, names=[str(place) for place in range(len(columns))])


@given(rows_of_keys())
def test_row_keys_sort_as_the_keys_do_and_read_back(
    given_rows: tuple[list[pa.DataType], list[tuple[Any, ...]]],
) -> None:
    """Byte order is the order of the tuples, and decoding gives the tuples."""
    types, rows = given_rows
    keys = encode(table_of(types, rows)).to_pylist()
    assert [decode(key) for key in keys] == rows
    assert [decode(key) for key in sorted(keys)] == sorted(rows)
    assert [encode_one(row) for row in rows] == keys


@given(rows_of_keys())
def test_no_key_begins_another(given_rows: tuple[list[pa.DataType], list[tuple[Any, ...]]]) -> None:
    """A scan by the prefix of a whole key finds that key alone."""
    keys = set(encode(table_of(*given_rows)).to_pylist())
    assert not any(one != other and other.startswith(one) for one in keys for other in keys)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()])
def test_integers_of_any_width_are_one_key(kind: pa.DataType) -> None:
    """5 is the same key in a column of any width, and as a NumPy number."""
    assert encode(pa.table({"k": pa.array([5], kind)})).to_pylist() == [encode_one([5])] == [encode_one([np.int16(5)])]


def test_text_of_any_layout_is_one_key() -> None:
    """Dictionary, large and sliced columns give the bytes of plain ones."""
    plain = pa.array(["x", "a\0b", ""])
    layouts = [plain.dictionary_encode(), plain.cast(pa.large_string()), pa.concat_arrays([plain, plain])[3:]]
    assert {tuple(encode(pa.table({"k": layout})).to_pylist()) for layout in [plain, *layouts]} == {
        tuple(encode_one([text]) for text in ("x", "a\0b", ""))
    }


def test_instants_are_one_key_in_any_unit_and_zone() -> None:
    """Seconds in UTC and nanoseconds in Tokyo are the same instant; a naive time is another key."""
    moment = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
    units = [pa.array([moment], pa.timestamp(unit, zone)) for unit, zone in (("s", "UTC"), ("ns", "Asia/Tokyo"))]
    keys = {encode(pa.table({"k": column}))[0].as_py() for column in units}
    assert keys == {encode_one([moment]), encode_one([moment.astimezone(timezone(timedelta(hours=9)))])}
    assert encode_one([moment.replace(tzinfo=None)]) not in keys


def test_no_key_columns_is_one_global_key() -> None:
    """Every row has the empty key where the key has no column."""
    assert encode(pa.table({"v": [1, 2]}), []).to_pylist() == [b"", b""] == [encode_one([])] * 2


def test_kinds_do_not_meet() -> None:
    """The integer 1, the text "1", the bytes b"1" and True are four keys."""
    assert len({encode_one([value]) for value in (1, "1", b"1", True)}) == 4


@pytest.mark.parametrize(
    ("column", "error", "words"),
    [
        (pa.array([1, None]), InvalidValue, "'k' has 1 nulls"),
        (pa.array([1.0]), InvalidType, "'k': double"),
        (pa.array([[1]]), InvalidType, "'k': list"),
        (pa.array([1], pa.timestamp("ns")), InvalidValue, "'k'"),
        (pa.array([2**62], pa.timestamp("s")), InvalidValue, "'k'"),
        (pa.array([2**60], pa.timestamp("us")), InvalidValue, "years 1 to 9999"),
    ],
)
def test_columns_that_are_no_key_are_refused_by_name(column: pa.Array, error: type[Exception], words: str) -> None:
    """Nulls, floats, lists and inexact times say which column they are in."""
    with pytest.raises(error, match=words):
        encode(pa.table({"k": column}))


@pytest.mark.parametrize("value", [None, 1.5, 2**64, -(2**63) - 1, "\ud800", [1]])
def test_values_that_are_no_key_are_refused(value: object) -> None:
    """None, floats, numbers beyond 64 bits and lone surrogates are errors."""
    with pytest.raises((InvalidType, InvalidValue)):
        encode_one([value])


def test_a_missing_key_column_is_named() -> None:
    """The error says what there is."""
    with pytest.raises(MissingColumn, match=r"'user'.*usr"):
        encode(pa.table({"usr": [1]}), ["user"])


TAGS = bytes([0x08, 0x09, 0x10, 0x11, 0x18, 0x20, 0x21, 0x28, 0x30])
ENDS = st.sampled_from([b"", b"\0", b"\1", b"\xff", b"\0\1", b"\0\xff", b"\0\0\1", b"\x80" + bytes(7), bytes(8)])
NEARLY_KEYS = st.lists(st.tuples(st.sampled_from(TAGS), ENDS | st.binary(max_size=9)), min_size=1, max_size=3).map(
    lambda parts: b"".join(bytes([tag]) + payload for tag, payload in parts)
)


@given(NEARLY_KEYS | st.binary(min_size=1, max_size=12))
@example(b"\x10" + bytes(8))
@example(b"(\0\2\0\1")
@settings(max_examples=1000)
def test_other_bytes_are_refused_or_read_back_the_same(raw: bytes) -> None:
    """Decoding never gives values that have another row key, nor any that have none."""
    try:
        values = decode(raw)
    except CorruptData:
        return
    assert encode_one(values) == raw
    assert all(isinstance(value, (bool, int, str, bytes, date)) for value in values)
