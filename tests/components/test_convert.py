"""Files of one format into files of another: the same rows in the same order, in one file or many."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import chain, permutations
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox import convert, feature_statistics, formats
from jukebox.engine.preview import first_rows
from jukebox.tables import Manifest
from tests.components.place import files

if TYPE_CHECKING:
    from pathlib import Path

# Formats that hold files; a table of BigQuery is another thing.
FORMATS = [name for name in formats.FORMATS if name != "bigquery"]
AT = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
ROWS = pa.table(
    {
        "n": pa.array([1, None, -3, 2**53], pa.int64()),
        "x": pa.array([0.5, 1.25, None, -2.0], pa.float32()),
        "s": pa.array(["a", 'b, "c"\nd', "é", None]),
        "b": pa.array([True, None, False, True]),
        "at": pa.array([AT, None, AT, AT], pa.timestamp("us", "UTC")),
    }
)
TYPES = {"n": "int64", "x": "float32", "s": "string", "b": "bool", "at": "timestamp"}


def suffix(name: str) -> str:
    """Return how files of a format end."""
    return formats.format_named(name).SUFFIX


def write(path: Path, name: str, rows: pa.Table = ROWS) -> Path:
    """Write rows in a format."""
    formats.format_named(name).write(path, rows.to_batches(), schema=rows.schema)
    return path


def read(path: Path | str, name: str, types: dict[str, pa.DataType] | None = None) -> pa.Table:
    """Return the rows of a file or folder."""
    known = {field.name: field.type for field in ROWS.schema} if types is None else types
    batches = formats.format_named(name).read(path, columns=list(known), options=formats.Options(types=known))
    return pa.Table.from_batches(batches, pa.schema(list(known.items())))


def run(source: Path | str, out: Path | str, **about: Any) -> Manifest:
    """Convert."""
    return convert.run(source=str(source), out=str(out), **about)


def declared(name: str) -> dict[str, str]:
    """Return the types that a format does not tell by itself."""
    return {} if name in ("parquet", "avro") else TYPES


@pytest.mark.parametrize(("source", "target"), permutations(FORMATS, 2))
def test_each_format_becomes_each_other_with_the_same_rows(tmp_path: Path, source: str, target: str) -> None:
    """In a file told by its ending, in values, nulls and types; and there is nothing beside it."""
    out = tmp_path / "out" / f"rows{suffix(target)}"
    made = run(write(tmp_path / f"rows{suffix(source)}", source), out, types=declared(source))
    assert read(out, target).equals(ROWS)
    assert list(files(out.parent)) == [out.name]
    assert (made.kind, made.rows, made.uri, made.details["format"]) == ("data_set", 4, str(out), target)
    assert made.details["bytes"] == out.stat().st_size
    assert made.inputs[0].uri == str(tmp_path / f"rows{suffix(source)}")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(1, 60))
def test_shards_hold_all_rows_in_order_whatever_their_sizes(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], rows_per_file: int
) -> None:
    """As many rows in each file as asked, fewer in the last, and one file at the least."""
    root = tmp_path_factory.mktemp("shards")
    total = sum(sizes)
    start = 0
    for number, size in enumerate(sizes):
        write(
            root / "in" / f"{number}.parquet",
            "parquet",
            pa.table({"n": pa.array(range(start, start + size), pa.int64())}),
        )
        start += size
    told: list[tuple[int, int | None]] = []
    made = run(
        root / "in", root / "out", to_format="parquet", rows_per_file=rows_per_file,
        progress=lambda done, of: told.append((done, of)),
    )  # fmt: skip
    assert len(made.details["files"]) == max(1, -(-total // rows_per_file))
    parts = [read(root / "out" / name, "parquet", {"n": pa.int64()})["n"].to_pylist() for name in made.details["files"]]
    assert list(chain.from_iterable(parts)) == list(range(total))
    assert all(len(part) == rows_per_file for part in parts[:-1])
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1:] in ([], [(total, total)])


def test_columns_are_chosen_and_ordered(tmp_path: Path) -> None:
    """Those asked for and no others."""
    out = tmp_path / "out.csv"
    assert dict(run(write(tmp_path / "in.parquet", "parquet"), out, columns=["s", "n"]).schema) == {
        "s": "string",
        "n": "int64",
    }
    assert out.read_text().startswith('"s","n"\n"a",1\n')


def test_plain_and_packed_records_are_told_by_their_ending(tmp_path: Path) -> None:
    """As TensorFlow's own tools call them."""
    source = write(tmp_path / "in.parquet", "parquet")
    for name, packed in (("out.tfrecord", False), ("out.tfrecord.gz", True)):
        run(source, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") is packed
        assert read(tmp_path / name, "tfrecord").equals(ROWS)


def test_folders_in_a_folder_stay_folders(tmp_path: Path) -> None:
    """The splits of TFX, dated partitions; what starts with a dot or an underscore holds no data."""
    for name in ("Split-train/a", "Split-train/b", "Split-eval/a", "date=2024-01-01/x", "_temporary/x", ".hidden/x"):
        write(tmp_path / "in" / f"{name}.parquet", "parquet")
    made = run(tmp_path / "in", tmp_path / "out", to_format="STORAGE_FORMAT_TF_EXAMPLE")
    assert made.details["files"] == [
        "Split-eval/part-00000.tfrecord.gz",
        "Split-train/part-00000.tfrecord.gz",
        "date=2024-01-01/part-00000.tfrecord.gz",
    ]
    assert made.rows == 16
    assert sorted(files(tmp_path / "out")) == [*made.details["files"], "manifest.json"]
    assert read(tmp_path / "out" / "Split-train", "tfrecord").num_rows == 8
    assert Manifest.read(tmp_path / "out", "data_set") == made


def test_what_was_converted_before_is_replaced_whole(tmp_path: Path) -> None:
    """Files of the former run are gone; a folder that was made for it beforehand, and is empty, does no harm."""
    source = write(tmp_path / "in.parquet", "parquet")
    (tmp_path / "out").mkdir()
    run(source, tmp_path / "out", to_format="csv", rows_per_file=1)
    assert len(files(tmp_path / "out")) == 5
    run(source, tmp_path / "out", to_format="parquet")
    assert sorted(files(tmp_path / "out")) == ["manifest.json", "part-00000.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out"]


def test_the_same_rows_give_the_same_fingerprint(tmp_path: Path) -> None:
    """Wherever they are written, so that a pipeline may tell that nothing changed."""
    source = write(tmp_path / "in.parquet", "parquet")
    one, other = (run(source, tmp_path / name, to_format="tfrecord") for name in ("one", "other"))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != run(source, tmp_path / "less", to_format="tfrecord", columns=["n"]).fingerprint


def test_no_rows_are_one_file_without_rows(tmp_path: Path) -> None:
    """A header alone, for one."""
    (tmp_path / "in.csv").write_text("n,s\n")
    made = run(tmp_path / "in.csv", tmp_path / "out", to_format="parquet")
    assert (made.rows, made.details["files"]) == (0, ["part-00000.parquet"])


def test_files_that_tell_no_format_are_read_in_the_one_that_is_named(tmp_path: Path) -> None:
    """By name or by constant."""
    (tmp_path / "rows.txt").write_text("n\n1\n")
    run(tmp_path / "rows.txt", tmp_path / "out.parquet", from_format="STORAGE_FORMAT_CSV")
    assert read(tmp_path / "out.parquet", "parquet", {"n": pa.int64()})["n"].to_pylist() == [1]


def test_other_components_take_what_was_converted(tmp_path: Path) -> None:
    """Statistics are computed of it, its first rows are shown."""
    made = run(write(tmp_path / "in.csv", "csv"), tmp_path / "out", to_format="parquet", types=TYPES)
    assert first_rows(made, 2, ["n"]).to_pydict() == {"n": [1, None]}
    about = {name: str(tmp_path / name) for name in ("out", "schema_out", "anomalies_out")}
    about["out"] = str(tmp_path / "statistics")
    assert feature_statistics.run(data=str(tmp_path / "out"), **about).rows == 4
