"""Logs in TFRecords: what TensorFlow reads of them, and that nothing is lost of what an example cannot hold."""

from __future__ import annotations

import json
import struct
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.core.cells import plain_type
from jukebox.engine import served_records
from jukebox.engine.exact_examples import from_examples, to_examples
from jukebox.errors import CorruptData, InvalidType
from jukebox.formats import tfrecord
from tests.formats.kinds import kinds

if TYPE_CHECKING:
    from pathlib import Path

F32, F64, U64, TEXT = pa.float32(), pa.float64(), pa.uint64(), pa.string()
NOON = datetime(2024, 1, 1, 12, 0, 0, 123_456, timezone.utc)
EDGES: list[tuple[pa.DataType, list[Any]]] = [
    (F64, [1.1, None, float("nan"), -0.0, 1e300, 5e-324, 0.5, float("-inf")]),
    (F32, [None, struct.unpack("<f", b"\xcd\xcc\xcc\x3d")[0], float("nan"), -0.0]),
    (U64, [2**64 - 1, 2**63, 2**63 - 1, 0, None]),
    (pa.bool_(), [True, None, False]),
    (pa.date32(), [date(1969, 12, 31), None, date(9999, 12, 31)]),
    (pa.timestamp("us", "UTC"), [NOON, None]),
    (pa.timestamp("us"), [None, NOON.replace(tzinfo=None)]),
    (pa.decimal128(38, 2), [Decimal("-1.25"), None, Decimal(10) ** 35]),
    (TEXT, ["", None, "ü#\0"]),
    (pa.binary(), [b"", None, b"\xff\0"]),
    (pa.list_(F64), [[0.1, None], [], None, [1.0], [0.5, 1e200], [0.1]]),
    (pa.list_(F64, 2), [[0.1, 2], None, [1.0, 2.0], [None, 1.0]]),
    (pa.list_(F32, 2), [[0.5, None], None, [1.0, 2.0]]),
    (pa.list_(U64), [[2**64 - 1], [1], None, []]),
    (pa.list_(TEXT), [["a", None], None, [], ["ü", ""]]),
    (pa.list_(pa.decimal128(9, 2)), [[Decimal("1.25"), None], None, []]),
    (pa.list_(pa.list_(pa.int64())), [[[1]], None, [], [[None], [], None]]),
    (pa.struct([("a", pa.int8()), ("b", TEXT)]), [{"a": 1, "b": None}, None]),
    (pa.null(), [None, None]),
]


def batch_of(column: pa.Array) -> pa.RecordBatch:
    """Return a batch with the column beside a number of each row."""
    return pa.RecordBatch.from_arrays([pa.array(range(len(column))), column], names=["n", "v"])


def bits(column: pa.Array) -> list[str]:
    """Return what tells any two values apart: -0.0 from 0.0, null from empty, and floats by their shortest text."""
    return [repr(value) for value in column.to_pylist()]


def written(path: Path, column: pa.Array) -> pa.Array:
    """Write a column and read it back."""
    batch = batch_of(column)
    assert served_records.write(path, [batch.slice(0, 1), batch.slice(1)], schema=batch.schema) == len(column)
    assert served_records.count_rows(path) == len(column)
    assert served_records.schema(path) == batch.schema
    back = pa.Table.from_batches(served_records.read(path, columns=["v", "n"]))
    assert back["n"].to_pylist() == list(range(len(column)))
    assert back["v"].type == column.type
    return back["v"]


@pytest.mark.parametrize(("kind", "values"), EDGES, ids=[str(kind) for kind, _ in EDGES])
def test_every_type_comes_back_to_the_bit(tmp_path: Path, kind: pa.DataType, values: list[Any]) -> None:
    """Nulls and empty lists, what float32 rounds, what int64 does not hold, and what an example has no type for."""
    column = pa.array(values, kind)
    assert bits(written(tmp_path / "a.tfrecord.gz", column)) == bits(column)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_every_type_of_a_cell_comes_back_or_is_refused(tmp_path: Path, kind: Any) -> None:
    """A log's columns are those of online stores; of others either nothing is lost, or nothing is written."""
    path = tmp_path / "a.tfrecord.gz"
    try:
        is_plain = plain_type(kind.values.type) == kind.values.type
        back = written(path, kind.values)
    except InvalidType:
        assert list(tmp_path.iterdir()) == []
        assert kind.name == "map of string to int64" or not is_plain
    else:
        assert bits(back) == bits(kind.values)


doubles = st.one_of(st.none(), st.floats(), st.floats(width=32))


@settings(max_examples=80, deadline=None)
@given(st.lists(doubles, min_size=1), st.lists(st.one_of(st.none(), st.lists(doubles, max_size=4)), min_size=1))
def test_no_float_is_rounded(scalars: list[Any], lists: list[Any]) -> None:
    """Alone and in lists, whichever of them are floats of 32 bits."""
    for column in (pa.array(scalars, F64), pa.array(lists, pa.list_(F64))):
        batch = batch_of(column)
        made = to_examples(batch)
        found = dict(zip(made.schema.names, made.columns, strict=True))
        assert bits(from_examples(found, batch.schema, len(column)).column(1)) == bits(column)


def test_tensorflow_finds_each_value_under_its_name(tmp_path: Path) -> None:
    """As in any example; the second key is there for the rows alone that the first one rounds."""
    path = tmp_path / "a.tfrecord.gz"
    written(path, pa.array([0.1, 0.5, None, 1e300]))
    [found] = tfrecord.lists(path)
    keys = dict(zip(found.schema.names, found.columns, strict=True))
    assert list(keys) == ["n", "v", "v exact"]
    assert keys["v"].to_pylist() == [[pytest.approx(0.1)], [0.5], None, None]
    assert [cell is not None for cell in keys["v exact"].to_pylist()] == [True, False, False, True]


def test_a_file_that_is_not_what_its_columns_were_told_of_is_refused_by_name(tmp_path: Path) -> None:
    """Cut off, with rows too few, of other types, with cells of others; with columns that are gone or damaged."""
    path = tmp_path / "a.tfrecord.gz"
    written(path, pa.array([0.1, 0.2, 0.3]))
    whole, columns = path.read_bytes(), served_records.beside(path)
    told = json.loads(columns.read_text())

    def refused(said: str) -> None:
        with pytest.raises(CorruptData, match=said):
            list(served_records.read(path))

    path.write_bytes(whole[:-10])
    refused(r"a\.tfrecord\.gz is not what its columns were told of")
    tfrecord.write(path, [batch_of(pa.array([0.5]))], schema=batch_of(pa.array([0.5])).schema)
    refused(r"a\.tfrecord\.gz has 1 rows, and was written with 3")
    tfrecord.write(path, [batch_of(pa.array(["x"]))], schema=batch_of(pa.array(["x"])).schema)
    refused("'v' of .* holds another kind")
    wrong = pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.array([b"\1\0", b"\1\0\0"])], names=["n", "v exact"])
    tfrecord.write(path, [wrong], schema=wrong.schema)
    refused("a packed cell is not that of one double")
    path.write_bytes(whole)
    for text, said in (
        ("{", "does not tell the columns of a log"),
        (json.dumps({**told, "jukebox_served_records": 9}), "has the format 9; this version of Jukebox reads 1"),
        (json.dumps({**told, "arrow_schema": "AAAA"}), "does not tell the columns"),
    ):
        columns.write_text(text)
        refused(said)
    columns.unlink()
    refused(r"has no _a\.tfrecord\.gz\.columns\.json beside it, which tells its columns")
