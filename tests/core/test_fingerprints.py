"""A fingerprint is that of the values: not of how they are cut, laid out or filled up."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox.core.fingerprints import Fingerprint, fingerprint_of

# Columns of any type are drawn with all that they hold, which takes a busy machine long.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.bool_(): st.booleans(),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(max_size=4),
    pa.large_binary(): st.binary(max_size=4),
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.decimal128(5, 2): st.integers(-99999, 99999).map(lambda n: Decimal(n) / 100),
    pa.timestamp("us", "UTC"): st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    pa.date32(): st.dates(),
    pa.null(): st.none(),
}
for _kind, _values in list(VALUES.items()):
    VALUES[pa.list_(_kind)] = st.lists(st.none() | _values, max_size=3)
VALUES[pa.large_list(pa.string())] = VALUES[pa.list_(pa.string())]
VALUES[pa.list_(pa.int64(), 2)] = st.lists(VALUES[pa.int64()], min_size=2, max_size=2)
VALUES[pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])] = st.fixed_dictionaries(
    {"a": st.none() | st.integers(-9, 9), "b": st.none() | VALUES[pa.list_(pa.string())]}
)
VALUES[pa.map_(pa.string(), pa.int64())] = st.dictionaries(st.text(max_size=2), st.integers(0, 9)).map(
    lambda d: list(d.items())
)
VALUES[pa.list_(pa.list_(pa.int64()))] = st.lists(VALUES[pa.list_(pa.int64())], max_size=2)


class Celsius(pa.ExtensionType):
    """Degrees, stored as numbers."""

    def __init__(self) -> None:
        super().__init__(pa.float64(), "test.celsius")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    """Return an array of some type, nulls among its values."""
    kind = draw(st.sampled_from(list(VALUES)))
    return pa.array(draw(st.lists(st.none() | VALUES[kind], max_size=8)), kind)


def of(*arrays: pa.Array) -> str:
    """Return the fingerprint of a column that comes in these pieces."""
    schema = pa.schema([("x", arrays[0].type)])
    return fingerprint_of([pa.RecordBatch.from_arrays([array], schema=schema) for array in arrays], schema)


@given(columns(), st.lists(st.integers(0, 8), max_size=3))
@patient
def test_it_does_not_change_with_where_rows_are_cut(array: pa.Array, cuts: list[int]) -> None:
    """Slices with offsets, empty ones among them, are the whole that they came from; so is a chunked table."""
    ends = [0, *sorted(min(cut, len(array)) for cut in cuts), len(array)]
    pieces = [array[start:end] for start, end in pairwise(ends)]
    table = pa.table({"x": pa.chunked_array(pieces, array.type)})
    assert of(*pieces) == of(array) == fingerprint_of(table, table.schema)


@given(columns(), st.integers(0, 8))
@patient
def test_a_slice_is_as_if_its_values_had_been_written_anew(array: pa.Array, start: int) -> None:
    """What lies in the buffers around a slice, or under a null, does not count."""
    part = array[start:]
    assert of(part) == of(pa.array(part.to_pylist(), part.type))


@given(columns(), st.data())
@patient
def test_other_values_have_another_fingerprint(array: pa.Array, data: st.DataObject) -> None:
    """One value, one null, one row more or another order: all of them show."""
    other = pa.array(data.draw(st.lists(st.none() | VALUES[array.type], max_size=8)), array.type)
    assert (of(array) == of(other)) == (repr(array.to_pylist()) == repr(other.to_pylist()))


def test_no_batch_is_as_an_empty_one() -> None:
    """Of every type, and in a table of many columns: what has no rows is the same however it comes."""
    schema = pa.schema([(f"c{n}", kind) for n, kind in enumerate(VALUES)])
    empty = schema.empty_table()
    batch = pa.RecordBatch.from_arrays([pa.array([], kind) for kind in VALUES], schema=schema)
    assert len({fingerprint_of(each, schema) for each in ([], empty, [batch], [batch, batch])}) == 1


@given(st.lists(st.none() | st.sampled_from(["a", "bb", ""]), max_size=6))
def test_layouts_of_text_and_dictionaries_do_not_count(texts: list[str | None]) -> None:
    """Plain and large text and codes for it stand for the same values; bytes and symbols of other types do not."""
    plain = pa.array(texts, pa.string())
    codes = plain.dictionary_encode()
    listed = [pa.array([texts], pa.list_(kind)) for kind in (pa.string(), pa.large_string())]
    assert of(plain) == of(plain.cast(pa.large_string())) == of(codes) == of(codes.slice(0, 3), codes.slice(3))
    assert of(listed[0]) == of(listed[1])
    assert of(plain) != of(plain.cast(pa.binary()))


def test_types_names_and_places_of_columns_count() -> None:
    """Even where the bytes are the same, and where there is no row to show them."""
    array = pa.array([1], pa.int64())
    tables = [
        pa.table({"x": array}),
        pa.table({"y": array}),
        pa.table({"x": array.cast(pa.uint64())}),
        pa.table({"x": array.cast(pa.timestamp("us"))}),
        pa.table({"x": array.cast(pa.timestamp("ms"))}),
        pa.table({"x": [[1]]}),
        pa.table({"x": pa.array([[1]], pa.list_(pa.int64(), 1))}),
        pa.table({"x": array, "y": array}),
        pa.table({"y": array, "x": array}),
    ]
    for rows in (1, 0):
        found = [fingerprint_of(table.slice(0, rows), table.schema) for table in tables]
        assert all(one != other for one, other in combinations(found, 2))


def test_what_stands_where_between_lists_counts() -> None:
    """Lists of the same values that end elsewhere differ, and so do a null, an empty list and a list of a null."""
    kind = pa.list_(pa.string())
    cases: list[Any] = [
        [["a"], ["b"]],
        [["a", "b"], []],
        [[], ["a", "b"]],
        [["ab"], []],
        [None, ["ab"]],
        [[None], ["ab"]],
    ]
    assert len({of(pa.array(case, kind)) for case in cases}) == len(cases)


def test_an_extension_counts_as_what_it_is_stored_as() -> None:
    """Whoever does not know the extension reads its storage, and gets the same fingerprint."""
    stored = pa.array([1.5, None])
    assert of(pa.ExtensionArray.from_storage(Celsius(), stored)) == of(stored)


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_a_running_fingerprint_can_be_asked_in_between(batches: int) -> None:
    """Asking does not disturb it."""
    batch = pa.RecordBatch.from_arrays([pa.array([1, None])], names=["x"])
    running = Fingerprint(batch.schema)
    for count in range(1, batches + 1):
        running.update(batch)
        assert running.hexdigest() == fingerprint_of([batch] * count, batch.schema)


def test_a_copy_goes_on_by_itself() -> None:
    """What one takes in the other does not, nested columns included."""
    kind = pa.list_(pa.struct([("text", pa.string())]))
    one, two = ([[{"text": text}, None], None] for text in ("a", "b"))
    batches = [pa.RecordBatch.from_arrays([pa.array(each, kind)], names=["x"]) for each in (one, two)]
    first = Fingerprint(batches[0].schema)
    first.update(batches[0])
    second = first.copy()
    second.update(batches[1])
    assert first.hexdigest() == fingerprint_of(batches[:1], batches[0].schema)
    assert second.hexdigest() == fingerprint_of(batches, batches[0].schema)
    first.update(batches[1])
    assert first.hexdigest() == second.hexdigest()
