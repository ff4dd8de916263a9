"""tf.Example: TensorFlow reads from our bytes what the columns held, and nothing is changed unsaid."""

from __future__ import annotations

import math
import struct
from datetime import date, datetime, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.formats import codec_numpy, tfexample
from jukebox.formats.tfexample import encode

tf = pytest.importorskip("tensorflow")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parsed(batch: pa.RecordBatch) -> list[dict[str, tuple[str, list[Any]]]]:
    """Return what TensorFlow reads of each row: name to kind and values."""
    rows = []
    for record in encode(batch).to_pylist():
        features = tf.train.Example.FromString(record).features.feature
        kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
        rows.append({name: (kind, list(getattr(features[name], kind).value)) for name, kind in kinds.items()})
    return rows


def one(values: list[Any], kind: pa.DataType) -> list[Any]:
    """Return what TensorFlow reads of one column named x."""
    batch = pa.RecordBatch.from_arrays([pa.array(values, kind)], ["x"])
    return [row.get("x") for row in parsed(batch)]


def single(value: float) -> float:
    """Return the float as float32 holds it."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


TEXT = st.text(st.characters(blacklist_categories=["Cs"]))
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, width=32)
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int64": (pa.int64(), INTS),
    "int8": (pa.int8(), st.integers(-128, 127)),
    "uint32": (pa.uint32(), st.integers(0, 2**32 - 1)),
    "truth": (pa.bool_(), st.booleans()),
    "float": (pa.float32(), FLOATS),
    "double": (pa.float64(), FLOATS),
    "text-ü": (pa.string(), TEXT),
    "bytes": (pa.binary(), st.binary()),
    "long": (pa.large_binary(), st.binary(min_size=100, max_size=300)),
    "ints": (pa.list_(pa.int64()), st.lists(INTS, max_size=4)),
    "floats": (pa.list_(pa.float32(), 3), st.lists(FLOATS, min_size=3, max_size=3)),
    "texts": (pa.large_list(pa.string()), st.lists(TEXT, max_size=4)),
    "k" * 200: (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
}
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in COLUMNS.items()}), max_size=8)
KINDS = {
    "int": "int64_list",
    "bool": "int64_list",
    "float": "float_list",
    "str": "bytes_list",
    "bytes": "bytes_list",
}


def expected(name: str, value: Any) -> tuple[str, list[Any]]:
    """Return what a value must be in an example."""
    values = value if isinstance(value, list) else [value]
    element = {"ints": "int", "floats": "float", "texts": "str"}.get(name, type(value).__name__)
    return KINDS[element], [each.encode() if isinstance(each, str) else each for each in values]


@settings(max_examples=120, deadline=None)
@given(ROWS, st.integers(0, 3))
def test_tensorflow_reads_what_the_columns_held(rows: list[dict[str, Any]], skip: int) -> None:
    """For any values, nulls and slices: the same kind, the same values, and no key for a null."""
    schema = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])
    batch = pa.RecordBatch.from_pylist(rows, schema=schema).slice(skip)
    wanted = [{name: expected(name, value) for name, value in row.items() if value is not None} for row in rows[skip:]]
    assert parsed(batch) == wanted


@settings(max_examples=120, deadline=None)
@given(ROWS, st.integers(0, 3))
def test_the_compiled_coder_and_the_other_write_the_same_bytes(rows: list[dict[str, Any]], skip: int) -> None:
    """In frames and without, with slices, nulls and lists; and both tell the same ends."""
    compiled = pytest.importorskip("jukebox.formats._codec", reason="the codec is not built: install a C compiler")
    schema = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])
    batch = pa.RecordBatch.from_pylist(rows, schema=schema).slice(skip)
    told = []
    for coder in (compiled, codec_numpy):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tfexample, "coder", coder)
            told.append((encode(batch).to_pylist(), tfexample.framed(batch)))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "column",
    [
        (b"x", 3, np.ones(1, np.bool_), None, np.ones(2, np.int64), None),
        (b"x", 3, None, np.array([1, 2]), np.ones(2, np.int64), None),
        (b"x", 3, None, np.array([3, -1]), np.ones(2, np.int64), None),
        (b"x", 3, None, None, np.ones(1, np.int64), None),
        (b"x", 4, None, None, np.ones(2, np.int64), None),
        (b"x", 1, None, None, b"abc", np.array([0, 2, 4])),
        (b"x", 1, None, None, b"abc", np.array([2, 0, 3])),
        (b"x", 1, None, None, b"abc", None),
    ],
)
def test_the_compiled_coder_reads_nothing_outside_of_its_arrays(column: tuple[Any, ...]) -> None:
    """Arrays that do not fit each other are refused before a byte is written."""
    compiled = pytest.importorskip("jukebox.formats._codec", reason="the codec is not built: install a C compiler")
    with pytest.raises(ValueError, match=r"length|fewer|kind|offsets"):
        compiled.encode(2, [column], False, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="ends"):
        compiled.encode(2, [], False, np.zeros(2, np.int64))


@settings(max_examples=60, deadline=None)
@given(st.lists(INTS | st.integers(-300, 300)))
def test_integers_are_what_tensorflow_itself_would_write(values: list[int]) -> None:
    """The bytes are the canonical ones: TensorFlow writes the same for a lone key."""
    batch = pa.RecordBatch.from_arrays([pa.array(values, pa.int64())], ["x"])
    for value, record in zip(values, encode(batch).to_pylist(), strict=True):
        example = tf.train.Example()
        example.features.feature["x"].int64_list.value.append(value)
        assert record == example.SerializeToString()


def test_times_and_dates_are_counted_from_1970() -> None:
    """Timestamps in microseconds whatever their unit and zone, dates in days; before 1970 too."""
    at = datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    for kind in (pa.timestamp("s"), pa.timestamp("ms", "Europe/Stockholm"), pa.timestamp("ns", "UTC")):
        column = pa.array([at, EPOCH], pa.timestamp("us", "UTC")).cast(pa.int64()).cast(pa.timestamp("us"))
        if kind.tz is not None:
            column = pa.array([at, EPOCH], pa.timestamp("us", "UTC"))
        batch = pa.RecordBatch.from_arrays([column.cast(kind)], ["x"])
        assert [row["x"] for row in parsed(batch)] == [("int64_list", [-1_000_000]), ("int64_list", [0])]
    assert one([date(1970, 1, 2)], pa.date32()) == one([date(1970, 1, 2)], pa.date64()) == [("int64_list", [1])]


def test_a_float64_is_rounded_to_float32_and_never_to_infinity() -> None:
    """NaN and infinities stay what they are; a finite value beyond float32 is refused."""
    (_, values), *_ = one([[0.1, math.inf, -math.inf, math.nan]], pa.list_(pa.float64()))
    assert values[:3] == [single(0.1), math.inf, -math.inf]
    assert math.isnan(values[3])
    with pytest.raises(InvalidValue, match="'x' has values beyond float32"):
        one([1e300], pa.float64())


def test_what_stands_for_something_is_decoded() -> None:
    """Dictionaries give their values, half floats and fixed bytes their own."""
    assert one(["a", None, "b"], pa.dictionary(pa.int8(), pa.string()))[::2] == [
        ("bytes_list", [b"a"]),
        ("bytes_list", [b"b"]),
    ]
    assert one([np.float16(1.5)], pa.float16()) == [("float_list", [1.5])]
    assert one([b"ab"], pa.binary(2)) == [("bytes_list", [b"ab"])]


def test_a_null_has_no_key_and_an_empty_list_has_one() -> None:
    """A column of nulls alone is in no row."""
    assert one([None, [], [1]], pa.list_(pa.int64())) == [None, ("int64_list", []), ("int64_list", [1])]
    assert one([None, None], pa.null()) == one([None, None], pa.string()) == [None, None]
    assert one([], pa.int64()) == []


def test_keys_stand_in_the_order_of_the_columns() -> None:
    """The same batch gives the same bytes, in parts or whole."""
    batch = pa.RecordBatch.from_pydict({"b": [1, 200, None], "a": ["x", "y" * 200, "z"]})
    whole = encode(batch).to_pylist()
    assert [row.index(b"\x0a\x01b") < row.index(b"\x0a\x01a") for row in whole[:2]] == [True, True]
    assert [encode(batch.slice(row, 1)).to_pylist()[0] for row in range(3)] == whole


def test_long_values_have_long_lengths() -> None:
    """Sizes beyond what a table holds are found by sorting."""
    texts = ["x" * 70_000, "y" * 20_000, "", "z" * 70_000]
    assert one(texts, pa.string()) == [("bytes_list", [text.encode()]) for text in texts]


@pytest.mark.parametrize(
    "kind",
    [
        pa.struct([("a", pa.int64())]),
        pa.decimal128(5, 2),
        pa.time32("s"),
        pa.duration("s"),
        pa.list_(pa.list_(pa.int64())),
        pa.map_(pa.string(), pa.int64()),
        pa.list_(pa.null()),
    ],
)
def test_what_an_example_cannot_hold_is_refused_by_name(kind: pa.DataType) -> None:
    """Nothing is turned into text or flattened unasked."""
    with pytest.raises(InvalidType, match=r"column 'x' holds .*tf.Example does not"):
        encode(pa.RecordBatch.from_arrays([pa.nulls(1, kind)], ["x"]))


def test_values_that_an_example_cannot_hold_are_refused_by_name() -> None:
    """Too large an integer, too fine a time, a null inside of a list, a name used twice."""
    with pytest.raises(InvalidValue, match="'x'"):
        one([2**63], pa.uint64())
    with pytest.raises(InvalidValue, match="'x'"):
        one([1], pa.timestamp("ns"))
    with pytest.raises(InvalidValue, match="'x' has 1 nulls inside of lists"):
        one([[1, None]], pa.list_(pa.int64()))
    with pytest.raises(NameClash, match="'x'"):
        encode(pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"]))
