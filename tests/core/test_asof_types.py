"""Values pass through a join with their types, and numbers with all of their digits."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jukebox.core.asof import Features, join

pytestmark = pytest.mark.usefixtures("either_kernel")

UTC = timezone.utc
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.bool_(), [True, False, None]),
    (pa.int8(), [-128, 127, None]),
    (pa.uint64(), [2**64 - 1, 0, None]),
    (pa.float16(), [np.float16(1.5), np.float16(-2), None]),
    (pa.float32(), [1.5, -0.0, None]),
    (pa.string(), ["", "é", None]),
    (pa.large_string(), ["", "é", None]),
    (pa.binary(), [b"\x00", b"", None]),
    (pa.large_binary(), [b"\x00", b"", None]),
    (pa.binary(2), [b"\x00\x01", b"ab", None]),
    (pa.decimal128(20, 3), [Decimal("1.500"), Decimal("-12345678901234567.001"), None]),
    (pa.decimal256(60, 3), [Decimal("1.500"), Decimal("-1.000"), None]),
    (pa.date32(), [date(2024, 2, 29), date(1969, 1, 1), None]),
    (pa.date64(), [date(2024, 2, 29), date(1969, 1, 1), None]),
    (
        pa.timestamp("ms", "Europe/Berlin"),
        [datetime(2024, 3, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None],
    ),
    (pa.duration("us"), [timedelta(1), timedelta(-1), None]),
    (pa.time64("us"), [1, 2, None]),
    (pa.month_day_nano_interval(), [pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, 0, 1]), None]),
    (pa.null(), [None, None, None]),
    (pa.list_(pa.float32()), [[1.5, None], [], None]),
    (pa.large_list(pa.string()), [["a", None], [], None]),
    (pa.list_(pa.float32(), 2), [[1.5, 2.5], [0.0, None], None]),
    (pa.list_(pa.list_(pa.string())), [[["a"], None], [[]], None]),
    (
        pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))]),
        [{"a": 1, "b": ["x"]}, {"a": None, "b": None}, None],
    ),
    (pa.map_(pa.string(), pa.int64()), [[("a", 1)], [], None]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None]),
    (pa.dictionary(pa.uint16(), pa.decimal128(5, 1), ordered=True), [Decimal("1.5"), Decimal("2.5"), None]),
]


def value_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return an array of a type, a dictionary's values encoded."""
    if pa.types.is_dictionary(kind):
        encoded = pa.array(values, kind.value_type).dictionary_encode()
        indices = encoded.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered)
    return pa.array(values, kind)


def joined(column: pa.ChunkedArray | pa.Array, places: list[int]) -> pa.ChunkedArray:
    """Return the values of rows 0, 1, … as one label each, at ``places``, finds them; -1 finds none."""
    rows = pa.array(range(len(column)))
    table = pa.table({"row": rows, "ts": pa.array([0] * len(column), pa.timestamp("s")), "value": column})
    labels = pa.table({"row": places, "ts": pa.array([0] * len(places), pa.timestamp("s"))})
    asked = Features(table, keys={"row": "row"}, event_time="ts", values={"answer": "value"})
    return join(labels, [asked], label_time="ts")["answer"]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_values_of_any_type_come_out_as_they_went_in(kind: pa.DataType, values: list[Any]) -> None:
    """The output column has the feature column's type and its values, from slices and several chunks too."""
    whole = value_array([*values, *values], kind)
    chunked = pa.chunked_array([whole[1:2], whole[:0], whole[2:6], value_array(values[:1], kind)])
    expected = chunked.to_pylist()
    places = [5, 0, -1, 3, 3, 1, 2, 4]
    answer = joined(chunked, places)
    assert answer.type == kind
    assert answer.to_pylist() == [None if place < 0 else expected[place] for place in places]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_nothing_known_is_a_null_of_the_right_type(kind: pa.DataType, values: list[Any]) -> None:
    """Labels without an answer, feature tables without a row and labels without a row keep the type."""
    for column, places in (
        (value_array(values, kind), [-1, -1]),
        (value_array([], kind), [0]),
        (value_array(values, kind), []),
    ):
        answer = joined(column, places)
        assert answer.type == kind
        assert answer.to_pylist() == [None] * len(places)


def test_an_extension_type_is_kept() -> None:
    """A column of an extension type comes out as that type."""

    class Tempo(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.int16(), "jukebox.test.tempo")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Tempo:
            return cls()

    answer = joined(pa.ExtensionArray.from_storage(Tempo(), pa.array([120, 90], pa.int16())), [1, -1, 0])
    assert answer.type == Tempo()
    assert pa.concat_arrays([chunk.storage for chunk in answer.chunks]).to_pylist() == [90, None, 120]


def test_chunks_with_dictionaries_of_their_own_are_told_apart() -> None:
    """Equal indices of different dictionaries stay different values, more of them than one small index can reach."""
    chunks = [pa.array([f"{part}-{row}" for row in range(100)]).dictionary_encode() for part in range(4)]
    small = pa.dictionary(pa.int8(), pa.string())
    column = pa.chunked_array([chunk.cast(small) for chunk in chunks])
    answer = joined(column, [*range(399, -1, -1), -1])
    assert answer.type == small
    assert answer.to_pylist() == [*reversed(column.to_pylist()), None]


def test_dictionary_keys_of_several_chunks_meet_by_value() -> None:
    """A key is its value, wherever its chunk's dictionary holds it, and null indices and null values match nothing."""
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["b", None]))
    column = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode().cast(dictionary.type), dictionary])
    table = pa.table({"k": column, "ts": pa.array(range(5), pa.int64()), "n": range(5)})
    labels = pa.table({"k": pa.array(["a", "b", None, "c"], pa.large_string()), "ts": [9, 9, 9, 9]})
    asked = Features(table, keys={"k": "k"}, event_time="ts", values={"n": "n"})
    assert join(labels, [asked], label_time="ts")["n"].to_pylist() == [0, 2, None, None]


def test_neighbours_beyond_the_reach_of_floats_are_told_apart() -> None:
    """Keys and times next to 2^63 and single nanoseconds of our days are exact."""
    top = 2**63 - 1
    now = 1_700_000_000_000_000_001
    labels = pa.table({"k": [top, top - 1, top], "ts": pa.array([now, now, now - 1], pa.timestamp("ns"))})
    table = pa.table({"k": [top, top - 1], "ts": pa.array([now, now], pa.timestamp("ns")), "n": [top, top - 1]})
    asked = Features(table, keys={"k": "k"}, event_time="ts", values={"n": "n"})
    assert join(labels, [asked], label_time="ts")["n"].to_pylist() == [top, top - 1, None]


def test_signed_and_unsigned_keys_meet_as_numbers() -> None:
    """The 64 bits of -1 and of 2^64 - 1 are one pattern and two keys."""
    labels = pa.table({"k": pa.array([-1, 5], pa.int64()), "ts": [0, 0]})
    table = pa.table({"k": pa.array([2**64 - 1, 5], pa.uint64()), "ts": [0, 0], "n": [1, 2]})
    asked = Features(table, keys={"k": "k"}, event_time="ts", values={"n": "n"})
    assert join(labels, [asked], label_time="ts")["n"].to_pylist() == [None, 2]
    swapped = Features(labels.append_column("n", [[1, 2]]), keys={"k": "k"}, event_time="ts", values={"n": "n"})
    assert join(table.drop(["n"]), [swapped], label_time="ts")["n"].to_pylist() == [None, 2]


def test_a_float_key_that_is_no_number_matches_nothing() -> None:
    """NaN is treated as null, and -0.0 is 0.0."""
    nan = float("nan")
    labels = pa.table({"k": [nan, 0.0, 1.5], "ts": [0, 0, 0]})
    table = pa.table({"k": [nan, -0.0, 1.5], "ts": [0, 0, 0], "n": [1, 2, 3]})
    asked = Features(table, keys={"k": "k"}, event_time="ts", values={"n": "n"})
    assert join(labels, [asked], label_time="ts")["n"].to_pylist() == [None, 2, 3]


def test_composite_keys_are_not_glued() -> None:
    """("a|b", "c") and ("a", "b|c") are two keys, as are ("", "a") and ("a", "")."""
    pairs = [("a|b", "c"), ("a", "b|c"), ("", "a"), ("a", "")]
    left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    labels = pa.table({"x": left, "y": right, "ts": [0] * 4})
    table = pa.table({"x": left[::-1], "y": right[::-1], "ts": [0] * 4, "n": [3, 2, 1, 0]})
    asked = Features(table, keys={"x": "x", "y": "y"}, event_time="ts", values={"n": "n"})
    assert join(labels, [asked], label_time="ts")["n"].to_pylist() == [0, 1, 2, 3]


def test_outputs_of_one_pass_have_their_own_max_ages() -> None:
    """A mapping limits the outputs that it names; one column may be asked twice, and one key under two roles."""
    hour = timedelta(hours=1)
    labels = pa.table({"origin": ["JFK"], "dest": ["LAX"], "at": [datetime(2013, 1, 1, 12)]})
    table = pa.table({"airport": ["JFK", "LAX"], "ts": [datetime(2013, 1, 1, 10)] * 2, "temp": [3, 20]})
    here = Features(
        table,
        keys={"origin": "airport"},
        event_time="ts",
        values={"fresh": "temp", "temp": "temp"},
        max_age={"fresh": hour},
    )
    there = Features(table, keys={"dest": "airport"}, event_time="ts", values={"dest_temp": "temp"}, max_age=2 * hour)
    out = join(labels, [here, there], label_time="at")
    assert out.select(["fresh", "temp", "dest_temp"]).to_pylist() == [{"fresh": None, "temp": 3, "dest_temp": 20}]
