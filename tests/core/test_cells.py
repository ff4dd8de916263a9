"""Packed cells: the fields of a row to bytes and back."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.asof_times import combined
from jukebox.core.cell_reading import reader
from jukebox.core.cells import encode, plain_type
from jukebox.errors import CorruptData, InvalidType

MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
PLAIN: list[tuple[st.SearchStrategy[Any], pa.DataType]] = [
    (st.booleans(), pa.bool_()),
    (st.integers(-(2**63), 2**63 - 1), pa.int64()),
    (st.integers(0, 2**64 - 1), pa.uint64()),
    (st.integers(-128, 127), pa.int8()),
    (st.floats(allow_nan=False), pa.float64()),
    (st.floats(width=32, allow_nan=False), pa.float32()),
    (st.text(st.characters(exclude_categories=["Cs"]), max_size=200), pa.string()),
    (st.binary(max_size=200), pa.binary()),
    (st.binary(min_size=3, max_size=3), pa.binary(3)),
    (st.dates(), pa.date32()),
    (MOMENTS, pa.timestamp("us")),
    (MOMENTS.map(lambda time: time.replace(tzinfo=timezone.utc)), pa.timestamp("us", "Europe/Stockholm")),
    (MOMENTS.map(lambda time: time.replace(microsecond=0)), pa.timestamp("s")),
    (st.timedeltas(timedelta(days=-100_000_000), timedelta(days=100_000_000)), pa.duration("us")),
    (st.times(), pa.time64("us")),
    (st.decimals(-(10**20), 10**20, places=3), pa.decimal128(38, 3)),
    (st.none(), pa.null()),
]


def nested(items: tuple[st.SearchStrategy[Any], pa.DataType]) -> st.SearchStrategy[tuple[Any, pa.DataType]]:
    """Lists and structs of a kind of value."""
    values, kind = items
    maybe = st.none() | values
    return st.sampled_from(
        [
            (st.lists(maybe, max_size=4), pa.list_(kind)),
            (st.lists(maybe, min_size=2, max_size=2), pa.list_(kind, 2)),
            (st.fixed_dictionaries({"a": maybe, "b": maybe}), pa.struct([("a", kind), ("b", kind)])),
        ]
    )


PLAIN_KINDS = st.sampled_from(PLAIN)
KINDS = PLAIN_KINDS | PLAIN_KINDS.flatmap(nested) | PLAIN_KINDS.flatmap(nested).flatmap(nested)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of any types that cells hold, from one column to twenty, cut anywhere."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=4)) * draw(st.sampled_from([1, 5]))
    rows = draw(st.integers(0, 5))
    columns = [pa.array(draw(st.lists(st.none() | v, min_size=rows, max_size=rows)), kind) for v, kind in kinds]
    table = pa.table(columns, names=[str(place) for place in range(len(columns))])
    return table.slice(draw(st.integers(0, rows)))


def cells_of(table: pa.Table) -> list[bytes]:
    """The cells of a table's rows."""
    return encode([combined(column) for column in table.columns]).to_pylist()


@settings(max_examples=100, deadline=None)
@given(tables())
def test_cells_read_back_as_the_table_does(table: pa.Table) -> None:
    """Reading a cell gives what Arrow's own ``to_pylist`` gives, in value and in type."""
    read = reader(table.schema.types)
    rows = [list(row.values()) for row in table.to_pylist()]
    assert [repr(read(cell)) for cell in cells_of(table)] == [repr(row) for row in rows]


@pytest.mark.parametrize("size", [1, 90, 3_000])
@pytest.mark.parametrize("uneven", [False, True])
def test_wide_and_narrow_values_beside_each_other_come_back(size: int, uneven: bool) -> None:
    """Embeddings and long texts, of one length or of many, with nulls between, whichever way they are copied."""
    lengths = [size + n * uneven for n in range(7)]
    texts = [None if n == 3 else chr(97 + n) * length for n, length in enumerate(lengths)]
    lists = [[float(n)] * length for n, length in enumerate(lengths)]
    holed = [[None if place == n else n for place in range(length)] for n, length in enumerate(lengths)]
    columns: dict[str, Any] = {"flag": [True] * 7, "text": texts, "list": pa.array(lists, pa.list_(pa.float32()))}
    table = pa.table({**columns, "holed": holed, "after": range(7)})
    read = reader(table.schema.types)
    assert [read(cell) for cell in cells_of(table)] == [list(row.values()) for row in table.to_pylist()]


@settings(max_examples=50, deadline=None)
@given(tables(), st.data())
def test_a_cell_cut_short_is_refused(table: pa.Table, data: st.DataObject) -> None:
    """A part of a cell, or a cell with something behind it, is no cell."""
    read = reader(table.schema.types)
    for cell in cells_of(table)[:2]:
        for wrong in (cell[: data.draw(st.integers(0, len(cell) - 1))], cell + b"\0"):
            with pytest.raises(CorruptData):
                read(wrong)


@given(st.binary(max_size=60), KINDS)
def test_other_bytes_are_refused_or_read(raw: bytes, kind: tuple[Any, pa.DataType]) -> None:
    """No bytes make the reader fail in another way, or without end."""
    with suppress(CorruptData):
        reader([kind[1]])(b"\x01" + raw)


def test_the_format_is_stable() -> None:
    """These bytes were written by format 1, and stay readable."""
    columns = [
        *(pa.array([2**53 + 1], pa.int64()), pa.array([None], pa.float64()), pa.array([True]), pa.array(["å"])),
        *(pa.array([[1, None]], pa.list_(pa.int8())), pa.array([Decimal("1.5")], pa.decimal128(3, 1))),
    ]
    [cell] = encode(columns).to_pylist()
    assert cell.hex() == "010201000000000020000102c3a5050101000f" + "00" * 15
    assert reader([column.type for column in columns])(cell) == [2**53 + 1, None, True, "å", [1, None], Decimal("1.5")]


def test_nan_keeps_its_bits_and_zero_its_sign() -> None:
    """A NaN with a payload and -0.0 come back bit for bit."""
    raw = [struct.unpack("<d", bytes.fromhex("0100000000000cf8"))[0], -0.0, math.inf]
    cells = encode([pa.array(raw, pa.float64())]).to_pylist()
    assert [cell[2:].hex() for cell in cells] == ["0100000000000cf8", "0000000000000080", "000000000000f07f"]


def test_raw_fields_come_as_integers() -> None:
    """Times that are to be compared come in the column's own unit."""
    columns = [pa.array([2], pa.timestamp("ns", "UTC")), pa.array([None], pa.date32()), pa.array(["x"])]
    assert reader([column.type for column in columns], raw=2)(encode(columns)[0].as_py()) == [2, None, "x"]


def test_dictionaries_and_large_types_become_plain() -> None:
    """What a cell holds has no layout."""
    assert plain_type(pa.dictionary(pa.int8(), pa.large_string())) == pa.string()
    assert plain_type(pa.large_list(pa.large_binary())) == pa.list_(pa.binary())


@pytest.mark.parametrize("kind", [pa.map_(pa.string(), pa.int8()), pa.month_day_nano_interval(), pa.struct([])])
def test_types_that_no_cell_holds_are_refused(kind: pa.DataType) -> None:
    """Maps, intervals and structs of nothing are named."""
    with pytest.raises(InvalidType, match="cell cannot hold"):
        plain_type(kind)


def test_another_version_of_the_format_is_refused() -> None:
    """A cell that begins with another version byte says so."""
    with pytest.raises(CorruptData, match="version 1"):
        reader([pa.int8()])(b"\x02\x00\x05")
