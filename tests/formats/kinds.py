"""Every type of column with values at its edges, and what each format makes of it: the table of docs/formats.md.

A cell is what a column is on disk, or begins with ``refused``. ``back`` is the type that is read when none is
declared; None where it is the one that was written.
"""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

FORMATS = ("parquet", "tfrecord", "avro", "csv", "jsonl")
STRUCT = pa.struct([("a", pa.int64()), ("b", pa.string())])


class Cell(NamedTuple):
    """What a format makes of a type: its own name for it, and the undeclared type that comes back."""

    disk: str
    back: pa.DataType | None = None


class Kind(NamedTuple):
    """A type of column and values that are hard to keep; ``cells`` in the order of FORMATS."""

    name: str
    values: pa.Array
    cells: tuple[Cell, ...]


def _cells(*cells: str | tuple[str, pa.DataType]) -> tuple[Cell, ...]:
    return tuple(Cell(cell) if isinstance(cell, str) else Cell(*cell) for cell in cells)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


I64, F32, F64, TEXT, BYTES = pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.binary()
REFUSED = "refused"


def _integer(kind: pa.DataType, avro: str) -> Kind:
    bits = kind.bit_width
    signed = pa.types.is_signed_integer(kind)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, min(2**bits, 2**63) - 1)
    cells = _cells(str(kind), ("int64_list", I64), avro, ("text", I64), ("number", I64))
    return Kind(str(kind), _array([low, None, high, 0, 1], kind), cells)


def _instant(kind: pa.DataType, avro: str, parquet: Any) -> Kind:
    utc = pa.timestamp("ns" if kind.unit == "ns" else "us", None if kind.tz is None else "UTC")
    texts = ("text, in UTC with a Z" if kind.tz else "text", utc)
    cells = _cells(parquet, ("int64_list of µs", I64), avro, texts, (texts[0], TEXT))
    moments = {"s": [-1, 1_700_000_000], "ms": [-1, 1_700_000_000_123], "us": [-1, 1_700_000_000_123_456]}
    # tf.Example holds microseconds.
    values = moments.get(kind.unit, [-1_000, 1_700_000_000_123_456_000])
    return Kind(str(kind), _array([values[0], None, values[1], 0, 1_000], kind), cells)


def kinds() -> list[Kind]:
    """Return all of them."""
    ints = {
        pa.int8(): "int",
        pa.int16(): "int",
        pa.int32(): "int",
        pa.int64(): "long",
        pa.uint8(): "int",
        pa.uint16(): "int",
        pa.uint32(): "long",
        pa.uint64(): "long, to 2**63 - 1",
    }
    lists = [[0.5, 1.5], None, [2.5, -0.0], [0.0, 1.0], [1.0, 2.0]]
    decimals = [Decimal("1.23"), None, Decimal("-99999.99"), Decimal("0.00"), Decimal("0.10")]
    days = [date(1, 1, 1), None, date(9999, 12, 31), date(1970, 1, 1), date(2024, 2, 29)]
    clocks = [time(0), None, time(23, 59, 59), time(12, 30), time(1, 2, 3)]
    words = ["", None, 'é"\\,\n', "nan", "007"]
    return [
        Kind(
            "bool",
            _array([True, None, False, True, False], pa.bool_()),
            _cells("bool", ("int64_list", I64), "boolean", "text", "true, false"),
        ),
        *(_integer(kind, avro) for kind, avro in ints.items()),
        Kind(
            "float32",
            _array([0.1, None, -3.4e38, 1.0, 1e-40], F32),
            _cells("float", "float_list", "float", ("text", F64), ("number", F64)),
        ),
        Kind(
            "float64",
            _array([0.5, None, -1.25, 1.0, 2.0**-100], F64),
            _cells("double", ("float_list, rounded to float32", F32), "double", "text", "number"),
        ),
        Kind(
            "string", _array(words, TEXT), _cells("string", ("bytes_list", BYTES), "string", "text, quoted", "string")
        ),
        Kind(
            "large_string",
            _array(words, pa.large_string()),
            _cells("large_string", ("bytes_list", BYTES), "string", ("text, quoted", TEXT), ("string", TEXT)),
        ),
        Kind(
            "binary",
            _array([b"", None, b"\xff\x00", b"a", b"bc"], BYTES),
            _cells("binary", "bytes_list", "bytes", REFUSED, ("base64", TEXT)),
        ),
        Kind(
            "fixed_size_binary[2]",
            _array([b"ab", None, b"\xff\x00", b"cd", b"ef"], pa.binary(2)),
            _cells("fixed_size_binary[2]", ("bytes_list", BYTES), "fixed", REFUSED, ("base64", TEXT)),
        ),
        Kind(
            "date32",
            _array(days, pa.date32()),
            _cells("date", ("int64_list of days", I64), "date", "text", ("text", TEXT)),
        ),
        Kind(
            "date64",
            _array(days, pa.date64()),
            _cells(("date", pa.date32()), ("int64_list of days", I64), "date", ("text", pa.date32()), ("text", TEXT)),
        ),
        Kind(
            "time32[s]",
            _array(clocks, pa.time32("s")),
            _cells(("time of ms", pa.time32("ms")), REFUSED, "time-millis", ("text", TEXT), ("text", TEXT)),
        ),
        Kind(
            "time32[ms]",
            _array(clocks, pa.time32("ms")),
            _cells("time of ms", REFUSED, "time-millis", ("text", TEXT), ("text", TEXT)),
        ),
        Kind(
            "time64[us]",
            _array(clocks, pa.time64("us")),
            _cells("time of µs", REFUSED, "time-micros", ("text", TEXT), ("text", TEXT)),
        ),
        _instant(pa.timestamp("s"), "local-timestamp-millis", ("timestamp of ms", pa.timestamp("ms"))),
        _instant(pa.timestamp("ms"), "local-timestamp-millis", "timestamp of ms"),
        _instant(pa.timestamp("us"), "local-timestamp-micros", "timestamp of µs"),
        _instant(pa.timestamp("ns"), "local-timestamp-nanos", "timestamp of ns"),
        _instant(pa.timestamp("us", "UTC"), "timestamp-micros", "timestamp of µs"),
        _instant(pa.timestamp("us", "Europe/Stockholm"), "timestamp-micros", "timestamp of µs"),
        Kind("duration[us]", _array([0, None, 1, -1, 5], pa.duration("us")), _cells("duration", *[REFUSED] * 4)),
        Kind(
            "decimal128(7, 2)",
            _array(decimals, pa.decimal128(7, 2)),
            _cells("decimal", REFUSED, "fixed decimal", ("text", F64), ("text", TEXT)),
        ),
        Kind(
            "decimal256(60, 2)",
            _array(decimals, pa.decimal256(60, 2)),
            _cells("decimal", REFUSED, "fixed decimal", ("text", F64), ("text", TEXT)),
        ),
        Kind(
            "null", pa.nulls(5), _cells("null", "no key, so no column unless declared", "null", ("empty", TEXT), "null")
        ),
        Kind(
            "dictionary of string",
            _array(["a", None, "b", "a", ""], TEXT).dictionary_encode(),
            _cells("dictionary", ("bytes_list", BYTES), "string", ("text, quoted", TEXT), ("string", TEXT)),
        ),
        Kind(
            "list of int64",
            _array([[1, 2**62], None, [], [3], [4, 5, 6]], pa.list_(I64)),
            _cells("list", "int64_list", "array", REFUSED, "array"),
        ),
        Kind(
            "list of string with nulls",
            _array([["a", None], None, [], ["b"], [""]], pa.list_(TEXT)),
            _cells("list", "refused: a null inside of a list", "array", REFUSED, "array"),
        ),
        Kind(
            "large_list of int64",
            _array([[1], None, [], [3], [4, 5]], pa.large_list(I64)),
            _cells("list", ("int64_list", pa.list_(I64)), "array", REFUSED, ("array", pa.list_(I64))),
        ),
        Kind(
            "embedding, list of float32 [2]",
            _array(lists, pa.list_(F32, 2)),
            _cells("list", ("float_list", pa.list_(F32)), "array", REFUSED, ("array", pa.list_(F64))),
        ),
        Kind(
            "list of lists",
            _array([[[1], []], None, [], [[2, 3]], [None]], pa.list_(pa.list_(I64))),
            _cells("list", REFUSED, "array", REFUSED, "array"),
        ),
        Kind(
            "record",
            _array([{"a": 1, "b": "x"}, None, {"a": None, "b": ""}, {"a": 2, "b": None}, {"a": 3, "b": "y"}], STRUCT),
            _cells("struct", REFUSED, "record", REFUSED, "object"),
        ),
        Kind(
            "list of records",
            _array([[{"a": 1, "b": "x"}], None, [], [None], [{"a": None, "b": "y"}]], pa.list_(STRUCT)),
            _cells("list", REFUSED, "array", REFUSED, "array"),
        ),
        Kind(
            "map of string to int64",
            _array([[("k", 1), ("j", None)], None, [], [("k", 2)], [("", 3)]], pa.map_(TEXT, I64)),
            _cells(
                "map",
                REFUSED,
                "map",
                REFUSED,
                ("array of key and value", pa.list_(pa.struct([("key", TEXT), ("value", I64)]))),
            ),
        ),
    ]
