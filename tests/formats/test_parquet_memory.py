"""Small Parquet files that unpack to more than the machine has: refused by name, or read in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jukebox.errors import InvalidValue
from jukebox.formats import parquet, parquet_memory
from jukebox.formats.parquet_pages import HEADER_BYTES, dictionary_page

if TYPE_CHECKING:
    from pathlib import Path

READING = """
import sys
import pyarrow as pa
from jukebox.formats import parquet, parquet_memory
parquet_memory.LIMIT = 1 << 26
rows = sum(len(batch) for batch in parquet.read(sys.argv[1]))
pieces = parquet.ParquetPieces([sys.argv[1]]).pieces()
again = sum(len(batch) for piece in pieces for batch in piece.read(parquet.schema(sys.argv[1]).names))
assert rows == again
print(rows, pa.default_memory_pool().max_memory() >> 20)
"""


def read_apart(path: Path) -> tuple[int, int]:
    """Return the rows that a process of its own reads, and the MiB that Arrow holds for them at the most."""
    done = subprocess.run([sys.executable, "-c", READING, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, size = done.stdout.split()
    return int(rows), int(size)


def write_encoded(path: Path, **columns: pa.Array) -> None:
    """Write dictionaries as columns of plain text, whose rows would not fit into this process either."""
    pq.write_table(pa.table(columns), path, dictionary_pagesize_limit=1 << 22)
    content = path.read_bytes()
    # Without the note of Arrow's own types a reader takes them for what Parquet says: text.
    assert content.count(b"ARROW:schema") == 1
    path.write_bytes(content.replace(b"ARROW:schema", b"other:schema"))


def encoded(rows: int, values: list[str]) -> pa.Array:
    """Return so many rows of these values, as a dictionary."""
    return pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % len(values), pa.int32()), pa.array(values))


def test_a_long_value_in_a_dictionary_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A megabyte that stands for every one of a thousand rows is read in less than they take."""
    write_encoded(tmp_path / "t.parquet", text=encoded(1_000, ["x" * (1 << 20)]), n=pa.array(range(1_000)))
    assert parquet.schema(tmp_path / "t.parquet") == pa.schema({"text": pa.string(), "n": pa.int64()})
    assert (tmp_path / "t.parquet").stat().st_size < 1 << 18
    rows, size = read_apart(tmp_path / "t.parquet")
    assert rows == 1_000
    assert 64 <= size < 200


def test_batches_of_long_values_stay_below_the_limit(tmp_path: Path, small: int) -> None:
    """And hold every row, in order."""
    values = [f"{number}" * 10_000 for number in range(7)]
    write_encoded(tmp_path / "t.parquet", t=encoded(1_000, values))
    batches = list(parquet.read(tmp_path / "t.parquet"))
    assert max(batch.nbytes for batch in batches) <= small
    assert [text for batch in batches for text in batch.column(0).to_pylist()] == [values[n % 7] for n in range(1_000)]


def test_a_row_group_that_unpacks_past_the_limit_is_refused(tmp_path: Path, small: int) -> None:
    """Zeros pack well: the error names file, row group and column, and what to do."""
    zeros = pa.table({"n": pa.array(np.zeros(small // 8 + 1, np.int64))})
    with pq.ParquetWriter(tmp_path / "t.parquet", zeros.schema, use_dictionary=False) as writer:
        writer.write_table(zeros[:5])
        writer.write_table(zeros)
    batches = parquet.read(tmp_path / "t.parquet")
    assert next(batches).num_rows == 5
    with pytest.raises(
        InvalidValue, match=r"t\.parquet unpacks to .* in column 'n' of row group 1.*smaller row groups"
    ):
        next(batches)
    assert next(parquet.read(tmp_path / "t.parquet", rows=(0, 5))).num_rows == 5


def test_long_lists_behind_few_bytes_are_refused(tmp_path: Path, small: int) -> None:
    """Three rows of many values each, all of which are the same, and of texts that are long."""
    ends = pa.array([0, small // 4, small // 2, small], pa.int32())
    lists = pa.ListArray.from_arrays(ends, pa.array(np.zeros(small, np.int32)))
    pq.write_table(pa.table({"v": lists}), tmp_path / "t.parquet")
    texts = pa.ListArray.from_arrays(pa.array([0, 400, 500], pa.int32()), encoded(500, ["y" * 5_000]))
    write_encoded(tmp_path / "u.parquet", v=texts)
    for name in "tu":
        with pytest.raises(InvalidValue, match=f"{name}.parquet unpacks to .* in column 'v' of row group 0"):
            next(parquet.read(tmp_path / f"{name}.parquet"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a megabyte be the most, and return it."""
    monkeypatch.setattr(parquet_memory, "LIMIT", 1 << 20)
    return 1 << 20


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_a_dictionary_is_known_by_its_header(tmp_path: Path, compression: str) -> None:
    """The number of values and their bytes, each with four of its length; noise is no header."""
    texts = [f"text-{number}" for number in range(1_000)]
    pq.write_table(pa.table({"t": texts * 2}), tmp_path / "t.parquet", compression=compression)
    start = pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0).dictionary_page_offset
    head = (tmp_path / "t.parquet").read_bytes()[start:][:HEADER_BYTES]
    assert dictionary_page(head) == (sum(len(text) + 4 for text in texts), 1_000)
    assert dictionary_page(head[:4]) is None
    assert dictionary_page(b"PAR1" + head) is None
