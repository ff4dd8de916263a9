"""Parquet: whole files come back as written, and files that are not whole are refused by name."""

from __future__ import annotations

import resource
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    MissingColumn,
    NameClash,
    NoPartition,
    StorageError,
)
from jukebox.formats import format_named, parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = pa.table(
    {
        "user": pa.array(["ü", None, "", "日本"]),
        "days.28.plays": pa.array([1, None, -3, 2**62]),
        "at": pa.array([1000, None, 2000, 3000], pa.timestamp("ns", "UTC")),
        "score": pa.array([0.1, float("nan"), None, -0.0]),
        "tags": pa.array([["a"], [], None, ["b", None]]),
        "embedding": pa.array([[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)),
    }
)


def written(path: Path, table: pa.Table = TABLE) -> Path:
    """Write the table and return its path."""
    assert parquet.write(path, table.to_batches(), schema=table.schema) == table.num_rows
    return path


def everything(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read all rows of the path."""
    return pa.Table.from_batches(parquet.read(path, columns=columns))


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    """Nulls, NaN, nanoseconds, zones, lists, embeddings and names with dots survive."""
    path = written(tmp_path / "made" / "t.parquet")
    assert str(everything(path).to_pydict()) == str(TABLE.to_pydict())
    assert everything(path).schema == parquet.schema(path) == TABLE.schema


def test_columns_come_in_the_asked_order(tmp_path: Path) -> None:
    """Only what is asked for is read, and a name with dots is one name."""
    table = TABLE.append_column("days", TABLE["days.28.plays"])
    path = written(tmp_path / "t.parquet", table)
    assert everything(path, ["score", "days"]).column_names == ["score", "days"]
    assert everything(path, ["days.28.plays"]).column_names == ["days.28.plays"]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Hidden files, underscores and the manifest are no data."""
    for name, value in (("b.parquet", 2), ("a.parquet", 1), ("c.parquet", 3)):
        written(tmp_path / name, pa.table({"x": [value]}))
    for name in ("manifest.json", "_SUCCESS", ".hidden"):
        (tmp_path / name).write_text("no data")
    assert everything(tmp_path)["x"].to_pylist() == [1, 2, 3]


def test_many_row_groups_keep_every_row_in_order(tmp_path: Path) -> None:
    """Batches of any size become whole row groups, and no row is lost between them."""
    table = pa.table({"x": np.arange(600_001)})
    path = tmp_path / "t.parquet"
    assert parquet.write(path, table.to_batches(70_003), schema=table.schema) == 600_001
    groups = pq.ParquetFile(path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [262_144, 262_144, 75_713]
    assert everything(path).equals(table)


def test_no_rows_are_still_a_table(tmp_path: Path) -> None:
    """A file without rows has its schema."""
    path = written(tmp_path / "t.parquet", TABLE.slice(0, 0))
    assert parquet.schema(path) == TABLE.schema
    assert list(parquet.read(path)) == []


@pytest.mark.parametrize("keep", [0, 3, 4, 8, 11, 12, 100, -1, -4, -9])
def test_a_truncated_file_is_corrupt(tmp_path: Path, keep: int) -> None:
    """Whatever is cut off the end, the error names the file."""
    path = written(tmp_path / "t.parquet")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptData, match=r"t\.parquet"):
        everything(path)


def test_a_footer_longer_than_the_file_is_corrupt(tmp_path: Path) -> None:
    """The length of the footer is compared with the size of the file."""
    path = written(tmp_path / "t.parquet")
    path.write_bytes(path.read_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1")
    with pytest.raises(CorruptData, match="footer claims 2147483647"):
        everything(path)


def test_a_file_with_a_hole_is_corrupt(tmp_path: Path) -> None:
    """A footer that is whole does not vouch for columns that are cut out from before it."""
    path = written(tmp_path / "t.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:4] + data[200:])
    with pytest.raises(CorruptData, match=r"t\.parquet"):
        everything(path)


def test_pages_of_noise_are_corrupt(tmp_path: Path) -> None:
    """Bytes overwritten in the middle are an error, not other values."""
    path = written(tmp_path / "t.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 300 + data[304:])
    with pytest.raises(CorruptData, match=r"t\.parquet"):
        everything(path)


@pytest.mark.skipif(not parquet.CHECKSUMS, reason="this pyarrow writes no checksums")
def test_a_flipped_bit_in_a_page_is_corrupt(tmp_path: Path) -> None:
    """Every page has a checksum where pyarrow knows them."""
    path = written(tmp_path / "t.parquet", pa.table({"x": np.arange(1000)}))
    data = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data[chunk.data_page_offset + chunk.total_compressed_size // 4] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptData, match=r"t\.parquet"):
        everything(path)


def test_text_that_is_not_parquet_is_corrupt(tmp_path: Path) -> None:
    """A name does not make a format."""
    (tmp_path / "t.parquet").write_text("a,b\n1,2\n" * 10)
    with pytest.raises(CorruptData, match="PAR1"):
        parquet.schema(tmp_path / "t.parquet")


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    """The error comes at the call, before any row is read."""
    path = written(tmp_path / "t.parquet")
    with pytest.raises(MissingColumn, match=r"'usr' is not in .*it has 'user', 'days.28.plays'"):
        parquet.read(path, columns=["usr"])
    with pytest.raises(InvalidValue, match="one or more names"):
        parquet.read(path, columns=[])
    with pytest.raises(NameClash, match="'user'"):
        parquet.read(path, columns=["user", "user"])


def test_files_of_a_folder_with_two_types_are_refused(tmp_path: Path) -> None:
    """Both files and both types are named."""
    written(tmp_path / "a.parquet", pa.table({"x": [1]}))
    written(tmp_path / "b.parquet", pa.table({"x": ["1"]}))
    with pytest.raises(InvalidType, match=r"string in .*b\.parquet and int64 in .*a\.parquet"):
        everything(tmp_path)


def test_what_is_not_there_is_no_partition(tmp_path: Path) -> None:
    """So is a folder that holds a manifest alone."""
    with pytest.raises(NoPartition, match="does not exist"):
        parquet.read(tmp_path / "none.parquet")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(NoPartition, match="no data files"):
        parquet.read(tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    """Neither half a file nor a temporary one is left, and the old file stays."""
    path = written(tmp_path / "t.parquet")
    before = path.read_bytes()

    def breaking() -> Iterator[pa.RecordBatch]:
        yield TABLE.to_batches()[0]
        raise error

    with pytest.raises(error):
        parquet.write(path, breaking(), schema=TABLE.schema)
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["parquet", "csv", "tfrecord"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, name: str) -> None:
    """A limit on the size of files stands for the full disk; nothing is left behind."""
    table = pa.table({"x": np.random.default_rng(0).random(200_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match=r"cannot be written: .*too large"):
            format_named(name).write(tmp_path / "t", table.to_batches(), schema=table.schema)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["parquet", "csv", "tfrecord"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    """A regular file in the place of the folder, and a folder in the place of the file, are refused."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    table = pa.table({"x": [1.0]})
    for path in (tmp_path / "file" / "t", tmp_path / "folder"):
        with pytest.raises(StorageError, match="cannot be written") as caught:
            format_named(name).write(path, table.to_batches(), schema=table.schema)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"


def test_batches_of_another_schema_are_refused(tmp_path: Path) -> None:
    """Order may differ, names and types may not."""
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    turned = pa.RecordBatch.from_pydict({"b": ["x"], "a": [1]})
    assert parquet.write(tmp_path / "t", [turned], schema=schema) == 1
    assert everything(tmp_path / "t").to_pydict() == {"a": [1], "b": ["x"]}
    with pytest.raises(InvalidType, match="'a' is double in the batch and int64"):
        parquet.write(tmp_path / "t", [pa.RecordBatch.from_pydict({"a": [1.0], "b": ["x"]})], schema=schema)
    with pytest.raises(MissingColumn, match="'b'"):
        parquet.write(tmp_path / "t", [pa.RecordBatch.from_pydict({"a": [1]})], schema=schema)


def test_a_format_is_found_by_name() -> None:
    """An unknown name is refused with those there are."""
    assert format_named("parquet") is parquet
    with pytest.raises(InvalidValue, match="'orc' is not known; there are parquet, "):
        format_named("orc")


def test_nulls_among_embeddings_are_kept(tmp_path: Path) -> None:
    """A missing embedding stays missing, in slices too, and no value is invented in its place."""
    kind = pa.list_(pa.float32(), 2)
    table = pa.table({"e": pa.array([[9.0, 9.0], [1.0, 2.0], None, [3.0, 4.0]], kind)}).slice(1)
    assert everything(written(tmp_path / "t", table)).equals(table)
    assert pq.read_table(tmp_path / "t")["e"].to_pylist() == [[1.0, 2.0], None, [3.0, 4.0]]


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    """Times are not rounded to microseconds on their way to the disk."""
    at = int(datetime(2024, 1, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000_000 + 1
    table = pa.table({"at": pa.array([at], pa.timestamp("ns"))})
    assert everything(written(tmp_path / "t", table)).equals(table)


def test_a_file_of_no_rows_from_another_writer_is_read_as_no_rows(tmp_path: Path) -> None:
    """PyArrow's own writer gives an empty table a row group whose chunks lie nowhere."""
    schema = pa.schema([("user", pa.string()), ("n", pa.int64()), ("tags", pa.list_(pa.string()))])
    pq.write_table(schema.empty_table(), tmp_path / "t.parquet")
    assert parquet.schema(tmp_path / "t.parquet") == schema
    assert sum(batch.num_rows for batch in parquet.read(tmp_path / "t.parquet")) == 0
