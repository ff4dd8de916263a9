"""JSON lines: read as it stands, or refused with its line; nothing is guessed from how a text looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn
from jukebox.formats import Options, jsonl

if TYPE_CHECKING:
    from pathlib import Path


def saved(folder: Path, text: str | bytes) -> Path:
    """Write the text."""
    (folder / "t.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "t.jsonl"


def everything(path: Path, columns: list[str] | None = None, **types: pa.DataType) -> pa.Table:
    """Read all rows."""
    options = Options(types=types or None)
    found = list(jsonl.read(path, columns=columns, options=options))
    return pa.Table.from_batches(found, None if found else jsonl.schema(path, options=options))


def test_whole_numbers_are_exact(tmp_path: Path) -> None:
    """Beyond 2**53 as well, where other readers round."""
    path = saved(tmp_path, '{"a": 9007199254740993}\n{"a": -9223372036854775808}\n')
    assert everything(path)["a"].to_pylist() == [9007199254740993, -(2**63)]
    assert everything(saved(tmp_path, '{"a": 18446744073709551615}\n'), a=pa.uint64())["a"].to_pylist() == [2**64 - 1]


@pytest.mark.parametrize(
    "text",
    ['{"a": 9007199254740993}\n{"a": 1.5}\n', '{"b": {"a": [9007199254740993, 0.5]}}\n', '{"a": 9223372036854775809}'],
)
def test_whole_numbers_among_floats_are_refused_and_not_rounded(tmp_path: Path, text: str) -> None:
    """The message has the number and its line."""
    with pytest.raises(InvalidValue, match=r"922337203685477580|9007199254740993.*line 1"):
        everything(saved(tmp_path, text))


def test_whole_numbers_that_floats_hold_may_stand_among_them(tmp_path: Path) -> None:
    """2**60 is a float64, and so is 1e300."""
    found = everything(saved(tmp_path, '{"a": 1152921504606846976}\n{"a": 1e300}\n{"a": 1}\n'))
    assert found["a"].to_pylist() == [2.0**60, 1e300, 1.0]


def test_text_stays_text(tmp_path: Path) -> None:
    """Also where it looks like a time, a number or nothing."""
    words = ["2024-01-01", "2024-01-01T00:00:00Z", "nan", "007", "null", ""]
    path = saved(tmp_path, "".join(json.dumps({"a": word, "l": [word]}) + "\n" for word in words))
    assert everything(path)["a"].to_pylist() == words
    assert everything(path)["l"].to_pylist() == [[word] for word in words]


def test_types_meet_over_all_lines_and_files(tmp_path: Path) -> None:
    """A null, an empty list or a missing key takes the type that comes later; fields of records are put together."""
    first = '{"a": null, "l": [], "r": {"x": 1}}\n'
    second = '{"a": 1, "l": [0.5], "r": {"y": "z"}, "n": true}\n'
    saved(tmp_path, first + "\n")
    (tmp_path / "u.jsonl").write_text(second)
    assert everything(tmp_path).to_pylist() == [
        {"a": None, "l": [], "r": {"x": 1, "y": None}, "n": None},
        {"a": 1, "l": [0.5], "r": {"x": None, "y": "z"}, "n": True},
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}\n{"a":', "line 2"),
        ('{"a": 1}\n\n[1]\n', "line 3 is no object"),
        ('{"a": 1}\n3', "line 2 is no object"),
        ("nonsense\n", "line 1"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2"),
    ],
)
def test_lines_that_are_no_object_are_named(tmp_path: Path, text: str | bytes, why: str) -> None:
    """The error names the file and the line."""
    with pytest.raises(CorruptData, match=rf"t\.jsonl is not whole JSON lines: {why}"):
        everything(saved(tmp_path, text))


@pytest.mark.parametrize(
    "text", ['{"a": 1}\n{"a": "x"}\n', '{"a": [1]}\n{"a": 1}\n', '{"a": 1, "a": 2}\n', '{"a": {}}\n{"a": true}\n']
)
def test_a_column_of_two_kinds_is_refused(tmp_path: Path, text: str) -> None:
    """And a key that stands twice."""
    with pytest.raises(InvalidType, match="a"):
        everything(saved(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("300", pa.int8()),
        ("1.5", pa.int64()),
        ("1.0", pa.int64()),
        ("1e300", pa.float32()),
        ('"2024-13-01"', pa.date32()),
        ('"2024-01-01 00:00:00"', pa.date32()),
        ('"25:00:00"', pa.time32("s")),
        ('"2024-01-01 00:00:00.5"', pa.timestamp("s")),
        ('"1.234"', pa.decimal128(5, 2)),
        ('"x"', pa.decimal128(5, 2)),
        ('"*"', pa.binary()),
        ('"YQ=="', pa.binary(2)),
        ("3", pa.string()),
        ("[1, 2, 3]", pa.list_(pa.float32(), 2)),
    ],
)
def test_values_that_their_declared_type_does_not_hold_are_refused(
    tmp_path: Path, text: str, kind: pa.DataType
) -> None:
    """Nothing is rounded, cut off or guessed."""
    with pytest.raises((InvalidValue, InvalidType), match=r"t\.jsonl"):
        everything(saved(tmp_path, f'{{"a": {text}}}\n'), a=kind)


def test_columns_are_chosen_and_missing_ones_named(tmp_path: Path) -> None:
    """A declared column may be missing in every line: it is null."""
    path = saved(tmp_path, '{"a": 1, "b": 2}\n')
    assert everything(path, ["b"]).to_pylist() == [{"b": 2}]
    assert everything(path, ["c", "a"], c=pa.string()).to_pylist() == [{"c": None, "a": 1}]
    with pytest.raises(MissingColumn, match="'z'"):
        everything(path, ["z"])


def test_a_long_line_and_an_empty_file(tmp_path: Path) -> None:
    """A line may be longer than the pieces that a file is read in."""
    path = saved(tmp_path, json.dumps({"a": "x" * (jsonl.CHUNK_BYTES + 5)}) + '\n{"a": "y"}')
    assert [len(text) for text in everything(path)["a"].to_pylist()] == [jsonl.CHUNK_BYTES + 5, 1]
    assert everything(saved(tmp_path, "")).num_rows == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_refused(tmp_path: Path, value: float) -> None:
    """Nothing is left of the file."""
    table = pa.table({"a": pa.array([1.0, value])})
    with pytest.raises(InvalidValue, match="'a' holds NaN or an infinity"):
        jsonl.write(tmp_path / "t.jsonl", table.to_batches(), schema=table.schema)
    assert list(tmp_path.iterdir()) == []


JSON: Any = st.fixed_dictionaries(
    {
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "d": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "s": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        "b": st.none() | st.booleans(),
        "l": st.none()
        | st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=3),
        "r": st.none() | st.fixed_dictionaries({'q"': st.none() | st.integers(0, 9)}),
    }
)
SCHEMA = pa.schema(
    {
        "i": pa.int64(),
        "d": pa.float64(),
        "s": pa.string(),
        "b": pa.bool_(),
        "l": pa.list_(pa.string()),
        "r": pa.struct([('q"', pa.int64())]),
    }
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON, min_size=1, max_size=10))
def test_rows_come_back_and_pythons_json_sees_the_same(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """A line is JSON as Python writes it, whatever the text holds."""
    table = pa.Table.from_pylist([*rows[:1], *rows], SCHEMA).slice(1)
    jsonl.write(tmp_path / "t.jsonl", table.to_batches(), schema=SCHEMA)
    lines = (tmp_path / "t.jsonl").read_bytes().decode().split("\n")[:-1]
    assert [json.loads(line) for line in lines] == rows
    assert everything(tmp_path / "t.jsonl", **dict(zip(SCHEMA.names, SCHEMA.types, strict=True))).to_pylist() == rows


@pytest.mark.parametrize(
    ("text", "line"), [("null", 1), ('{"a": 1}\n{"a": 2} null\n', 2), ('{"a": "}null"}\n\n null \n', 3)]
)
def test_a_null_where_an_object_belongs_is_refused(tmp_path: Path, text: str, line: int) -> None:
    """Arrow's own reader would bring the process down."""
    with pytest.raises(CorruptData, match=f"line {line}"):
        everything(saved(tmp_path, text))


def test_a_null_within_an_object_or_a_text_is_read(tmp_path: Path) -> None:
    """It only looks like a row of its own."""
    assert everything(saved(tmp_path, '{"a": "} null", "b": [{"c": 1}, null]}\n')).num_rows == 1
