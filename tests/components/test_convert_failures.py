"""Conversions that cannot be: an error that names the file, offset or row, and nothing that looks whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import convert
from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn, NameClash, NoPartition, StorageError
from jukebox.formats import parquet, tfrecord
from tests.components.limits import full_disk, unwritable
from tests.components.place import files
from tests.components.test_convert import FORMATS, run, suffix, write

if TYPE_CHECKING:
    from pathlib import Path

LONG = pa.table({"n": pa.array(range(5_000), pa.int64()), "s": pa.array([f"text {n}" for n in range(5_000)])})


def there(root: Path) -> list[str]:
    """Return whatever lies below a folder, hidden or not, but for what is converted."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.name.startswith("in"))


def refused(error: type[Exception], said: str, source: Path, **about: Any) -> None:
    """Convert to a file and to a folder, for nothing: the one is as it was before, of the other there is nothing."""
    root = source.parent
    kept = root / "kept.parquet"
    if not kept.exists():
        write(kept, "parquet")
    before = kept.read_bytes()
    target = about.pop("to_format", "parquet")
    for out in (kept, root / "folder"):
        to_format = target if out.suffix == "" else None
        if to_format is None and target != "parquet":
            continue
        with pytest.raises(error, match=said):
            run(source, out, to_format=to_format, **about)
    assert there(root) == ["kept.parquet"]
    assert kept.read_bytes() == before


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("csv", "jsonl")])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Also where only its last byte is missing."""
    source = write(tmp_path / f"in{suffix(name)}", name, LONG)
    whole = source.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 3):
        source.write_bytes(whole[:size])
        refused(CorruptData, f"in{suffix(name)}", source)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("csv", "jsonl")])
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """A picture that is called like data."""
    source = tmp_path / f"in{suffix(name)}"
    source.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    refused(CorruptData, f"in{suffix(name)}", source)


def test_the_second_of_two_files_is_named(tmp_path: Path) -> None:
    """The rows of the first were read by then: they are not left behind."""
    (tmp_path / "in").mkdir()
    for number in (0, 1):
        tfrecord.write(
            tmp_path / "in" / f"{number}.tfrecord.gz", LONG.to_batches(), schema=LONG.schema, gzip_level=None
        )
    second = tmp_path / "in" / "1.tfrecord.gz"
    data = bytearray(second.read_bytes())
    data[-20] ^= 1
    second.write_bytes(data)
    # Types that are known are not looked for: the rows are read, and written, but once.
    about = {"columns": ["n", "s"], "types": {"n": "int64", "s": "string"}}
    with pytest.raises(CorruptData, match=r"1\.tfrecord\.gz .*at byte \d+"):
        run(tmp_path / "in", tmp_path / "out", to_format="parquet", rows_per_file=100, **about)
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_values_that_do_not_fit_are_refused_with_their_rows(tmp_path: Path) -> None:
    """Those of the batch that could not be written."""
    rows = pa.table({"l": [[1]] * 70_000 + [[None]] + [[2]] * 70_000})
    parquet.write(tmp_path / "in.parquet", rows.to_batches(max_chunksize=1_000), schema=rows.schema)
    refused(
        InvalidValue,
        r"in\.parquet, in rows \d+ to \d+: column 'l' has 1 nulls inside of lists",
        tmp_path / "in.parquet",
        to_format="tfrecord",
    )


def test_a_column_that_a_format_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    """Before a row is read."""
    rows = pa.table({"r": [{"a": 1}]})
    source = write(tmp_path / "in.parquet", "parquet", rows)
    refused(InvalidType, "column 'r' .*struct<a: int64>", source, to_format="tfrecord")
    refused(InvalidType, "column 'r' .*struct<a: int64>", source, to_format="csv")


@pytest.mark.parametrize(
    ("about", "error", "said"),
    [
        ({"columns": ["n", "m"]}, MissingColumn, "'m' is not in .*in.parquet; it has 'n', 'x', 's', 'b', 'at'"),
        ({"columns": ["n", "n"]}, NameClash, "column 'n' is asked for more than once"),
        ({"columns": []}, InvalidValue, "it takes a list of one or more names"),
        ({"types": {"m": "int64"}}, MissingColumn, "'m' of the declared types is not in .*in.parquet"),
        ({"types": {"n": "string"}}, InvalidType, "column 'n' is int64 in .*in.parquet itself, and declared string"),
        ({"types": {"n": "text"}}, InvalidValue, "'text' is no data type; there are any, bool"),
        ({"from_format": "orc"}, InvalidValue, "format 'orc' is not known; there are parquet, "),
        ({"from_format": "tfrecord"}, CorruptData, "in.parquet is not whole TFRecord"),
        ({"to_format": "STORAGE_FORMAT_ORC"}, InvalidValue, "format 'orc' is not known"),
        ({"rows_per_file": 0, "to_format": "csv"}, InvalidValue, "rows_per_file is 0; a file holds one row or more"),
    ],
)
def test_what_was_asked_for_is_told(tmp_path: Path, about: dict[str, Any], error: type[Exception], said: str) -> None:
    """With what there is."""
    refused(error, said, write(tmp_path / "in.parquet", "parquet"), **about)


@pytest.mark.parametrize(
    ("out", "about", "said"),
    [
        ("out", {}, "out does not tell a format; name one, or end it in one of .parquet, "),
        ("out.gz.txt", {}, "does not tell a format"),
        ("out.csv.gz", {}, "does not tell a format"),
        ("out.csv", {"to_format": "parquet"}, "out.csv is called as csv is, and the format to write is parquet"),
        ("out.csv", {"rows_per_file": 5}, "out.csv is one file, and rows_per_file is about a folder"),
        ("in", {"to_format": "csv"}, "lie in one another"),
        ("in/out.csv", {}, "lie in one another"),
        ("../out/in/out.csv", {}, "in has data in the folder 'below', and .*out.csv is one file; name a folder"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused(tmp_path: Path, out: str, about: dict[str, Any], said: str) -> None:
    """Nothing is made there."""
    write(tmp_path / "in" / "rows.parquet", "parquet")
    write(tmp_path / "in" / "below" / "rows.parquet", "parquet")
    with pytest.raises(InvalidValue, match=said):
        run(tmp_path / "in", tmp_path / out, **about)
    assert sorted(files(tmp_path)) == ["in/below/rows.parquet", "in/rows.parquet"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    """Nor is a folder in the way of a file, nor a file in the way of a folder."""
    source = write(tmp_path / "in.parquet", "parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="out holds other files already; name a folder that is empty or not there"):
        run(source, tmp_path / "out", to_format="csv")
    with pytest.raises(StorageError, match="file cannot be written: it is there already and a file"):
        run(source, tmp_path / "file", to_format="csv")
    with pytest.raises(StorageError, match="cannot be written"):
        run(source, tmp_path / "file" / "out.csv")
    assert (tmp_path / "out" / "letter.txt").read_text() == "dear"


def test_a_source_that_is_not_there_or_is_empty_is_told(tmp_path: Path) -> None:
    """A folder of nothing but notes has no data either."""
    for out in ("out.csv", "out"):
        with pytest.raises(NoPartition, match="nowhere"):
            run(tmp_path / "nowhere", tmp_path / out, to_format="csv")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "_SUCCESS").touch()
    with pytest.raises(NoPartition, match="in holds no data files"):
        run(tmp_path / "in", tmp_path / "out", to_format="csv")
    (tmp_path / "in" / "notes.txt").write_text("x")
    with pytest.raises(InvalidValue, match=r"notes.txt does not tell its format; the endings known are \.parquet"):
        run(tmp_path / "in", tmp_path / "out", to_format="csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file that broke off nor those before it."""
    source = write(tmp_path / "in.parquet", "parquet", LONG)
    with full_disk(20_000):
        for out, about in (("out.csv", {}), ("out", {"to_format": "csv", "rows_per_file": 3_000})):
            with pytest.raises(StorageError, match=r"out.* cannot be written: .*file too large"):
                run(source, tmp_path / out, **about)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]
    for out in unwritable(tmp_path):
        with pytest.raises(StorageError, match="cannot be written"):
            run(source, tmp_path / out, to_format="csv")


@pytest.mark.parametrize(
    ("source", "out", "about", "said"),
    [
        (
            "bigquery://nonsense",
            "out.parquet",
            {},
            "'bigquery://nonsense' names no table of BigQuery; one is bigquery://",
        ),
        ("in.parquet", "bigquery://nonsense", {}, "'bigquery://nonsense' names no table of BigQuery"),
        ("in.parquet", "bigquery://my-project?query=SELECT 1", {}, "is a query, which cannot be written; name a table"),
        (
            "in.parquet",
            "bigquery://my-project.a.b",
            {"rows_per_file": 5},
            "is one file, and rows_per_file is about a fo",
        ),
        (
            "in.parquet",
            "bigquery://my-project.a.b",
            {"to_format": "csv"},
            "is called as bigquery is, and the format to wr",
        ),
        (
            "in.parquet",
            "out",
            {"to_format": "bigquery"},
            "out is no table of BigQuery; one is bigquery://project.dataset",
        ),
    ],
)
def test_what_is_no_table_of_bigquery_is_refused(
    tmp_path: Path, source: str, out: str, about: dict[str, Any], said: str
) -> None:
    """Before BigQuery is asked."""
    write(tmp_path / "in.parquet", "parquet")
    places = {"source": source, "out": out}
    places = {name: where if "://" in where else str(tmp_path / where) for name, where in places.items()}
    with pytest.raises(InvalidValue, match=re.escape(said)):
        convert.run(**places, **about)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({"d": pa.array([1], pa.duration("s"))}), "column 'd' is duration[s], which Avro cannot hold"),
        (pa.table({"n": pa.nulls(2)}), "{out}/part-00000.avro would have rows without a byte"),
    ],
)
def test_an_error_of_a_folder_names_the_users_files_alone(tmp_path: Path, table: pa.Table, said: str) -> None:
    """What it is converted from and what to, not the folder that was begun beside that."""
    source, out = write(tmp_path / "in.parquet", "parquet", table), tmp_path / "made"
    with pytest.raises((InvalidType, InvalidValue)) as caught:
        run(source, out, to_format="avro")
    assert str(caught.value).startswith(f"{source}: {said.format(out=out)}")
    assert there(tmp_path) == []
