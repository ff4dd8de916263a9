"""Folders of Parquet: many files, ``key=value`` folders, and schemas that differ and yet fit."""

from __future__ import annotations

import pickle
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash, NoPartition
from jukebox.formats import Options, format_of, parquet
from jukebox.formats.files import source_files
from jukebox.formats.widening import holding
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from pathlib import Path


def put(path: Path, **columns: Any) -> Path:
    """Write a file as another tool would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def rows(path: Path, **how: Any) -> list[dict[str, Any]]:
    """Return all rows that are read, and those of the same files read in pieces."""
    batches = list(parquet.read(path, **how))
    return pa.Table.from_batches(batches).to_pylist() if batches else []


def test_folders_called_key_value_give_columns(tmp_path: Path) -> None:
    """Numbers, dates, text in percent signs, and the null that Hive has a name for."""
    for folder in ("year=2013/day=2013-01-05/a=x%2Fy", "year=2014/day=2013-01-06/a=__HIVE_DEFAULT_PARTITION__"):
        put(tmp_path / folder / "p.parquet", v=[1])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "_temporary").mkdir()
    put(tmp_path / "_temporary" / "x.parquet", v=["other"])
    assert parquet.schema(tmp_path) == pa.schema(
        {"v": pa.int64(), "year": pa.int64(), "day": pa.date32(), "a": pa.string()}
    )
    assert rows(tmp_path) == [
        {"v": 1, "year": 2013, "day": date(2013, 1, 5), "a": "x/y"},
        {"v": 1, "year": 2014, "day": date(2013, 1, 6), "a": None},
    ]
    assert rows(tmp_path, columns=["a", "year"]) == [{"a": "x/y", "year": 2013}, {"a": None, "year": 2014}]
    assert parquet.count_rows(tmp_path) == 2
    assert format_of(tmp_path) is parquet
    declared = Options(types={"year": pa.string()})
    assert rows(tmp_path, columns=["year"], options=declared) == [{"year": "2013"}, {"year": "2014"}]


def test_what_pyarrow_partitions_is_read_as_pyarrow_reads_it(tmp_path: Path) -> None:
    """Its own data set writer and reader are the judge."""
    table = pa.table({"v": list(range(20)), "k": [n % 3 for n in range(20)], "t": ["ab"[n % 2] for n in range(20)]})
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=["k", "t"], partitioning_flavor="hive")
    judge = ds.dataset(tmp_path, format="parquet", partitioning="hive").to_table().select(["v", "k", "t"])
    ours = pa.Table.from_batches(parquet.read(tmp_path, columns=["v", "k", "t"]))
    assert sorted(map(str, ours.to_pylist())) == sorted(map(str, judge.to_pylist()))
    assert sorted(map(str, ours.to_pylist())) == sorted(map(str, table.to_pylist()))


def test_pieces_hold_the_same_rows(tmp_path: Path) -> None:
    """Keys, columns that are lacking and wider types are in each piece, wherever it travels."""
    put(tmp_path / "k=1" / "a.parquet", x=pa.array([1, 2], pa.int32()), s=pa.array(["a", "b"]))
    put(tmp_path / "k=2" / "b.parquet", x=pa.array([2**40], pa.int64()), more=[0.5])
    pieces = parquet.ParquetPieces([tmp_path])
    names = pieces.schema.names
    assert names == ["x", "s", "more", "k"]
    found = [row for piece in pieces.pieces() for batch in piece.read(names) for row in batch.to_pylist()]
    travelled = pickle.loads(pickle.dumps(pieces.pieces()))
    again = [row for piece in travelled for batch in piece.read(names, {"s"}) for row in batch.to_pylist()]
    assert found == again == rows(tmp_path)
    assert [row["x"] for row in found] == [1, 2, 2**40]
    assert [piece.bounds("x") for piece in pieces.pieces()] == [None, (2**40, 2**40)]
    assert [piece.bounds("more") for piece in pieces.pieces()] == [None, None]


def test_of_a_feature_table_only_what_manifests_name_is_read(tmp_path: Path) -> None:
    """A file that a load left behind, or is still writing, is no part of the table."""
    for day in ("2013-01-01", "2013-01-02"):
        folder = tmp_path / f"date={day}"
        put(folder / "part-b.parquet", v=[day])
        put(folder / "part-a.parquet", v=["stale"])
        Manifest("partition", rows=1, details={"data": "part-b.parquet"}).write(folder)
    Manifest("feature_table", rows=2).write(tmp_path)
    assert [row["v"] for row in rows(tmp_path)] == ["2013-01-01", "2013-01-02"]


def test_added_columns_are_null_where_they_are_lacking(tmp_path: Path) -> None:
    """The columns of all files, those of the first before."""
    put(tmp_path / "1.parquet", a=[1], b=["x"])
    put(tmp_path / "2.parquet", a=[2], c=pa.array([[1.5]]))
    put(tmp_path / "3.parquet", c=pa.array([None], pa.null()), a=[3])
    assert rows(tmp_path) == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2, "b": None, "c": [1.5]},
        {"a": 3, "b": None, "c": None},
    ]
    assert rows(tmp_path, columns=["c"]) == [{"c": None}, {"c": [1.5]}, {"c": None}]
    with pytest.raises(MissingColumn, match=r"'d' is not in .*it has 'a', 'b', 'c'"):
        parquet.read(tmp_path, columns=["d"])


WHOLE = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]


@settings(deadline=None, max_examples=80)
@given(first=st.sampled_from(WHOLE), second=st.sampled_from(WHOLE))
def test_the_type_for_two_whole_numbers_holds_both(first: pa.DataType, second: pa.DataType) -> None:
    """Whichever comes first; where there is none, both cannot be held."""
    ends = [_ends(first), _ends(second)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    kind = holding(first, second)
    assert kind == holding(second, first)
    if kind is None:
        assert high > 2**63 - 1
        assert low < 0
    else:
        assert _ends(kind)[0] <= low
        assert high <= _ends(kind)[1]


def _ends(kind: pa.DataType) -> tuple[int, int]:
    if pa.types.is_signed_integer(kind):
        return -(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1
    return 0, 2**kind.bit_width - 1


def test_values_of_narrower_types_stay_what_they_are(tmp_path: Path) -> None:
    """Whole numbers, floats and units of time."""
    late = datetime(2013, 1, 1)
    put(tmp_path / "1.parquet", n=pa.array([-128], pa.int8()), f=pa.array([0.5], pa.float32()), t=[late])
    put(
        tmp_path / "2.parquet",
        n=pa.array([2**32 - 1], pa.uint32()),
        f=pa.array([0.1], pa.float64()),
        t=pa.array([late], pa.timestamp("ms")),
    )
    assert parquet.schema(tmp_path) == pa.schema({"n": pa.int64(), "f": pa.float64(), "t": pa.timestamp("us")})
    assert rows(tmp_path) == [{"n": -128, "f": 0.5, "t": late}, {"n": 2**32 - 1, "f": 0.1, "t": late}]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array([1]), pa.array(["1"])),
        (pa.array([1]), pa.array([1.0])),
        (pa.array([1], pa.uint64()), pa.array([-1])),
        (pa.array([0], pa.timestamp("us", "UTC")), pa.array([0], pa.timestamp("us"))),
        (pa.array([[1]]), pa.array([["a"]])),
    ],
)
def test_types_that_do_not_go_together_are_refused(tmp_path: Path, first: pa.Array, second: pa.Array) -> None:
    """The error names the column and both files, before any row is read."""
    put(tmp_path / "1.parquet", x=first)
    put(tmp_path / "2.parquet", x=second)
    for work in (parquet.read, parquet.schema, lambda path: parquet.ParquetPieces([path]).pieces()):
        with pytest.raises(InvalidType, match=r"column 'x' is .* in .*2\.parquet and .* in .*1\.parquet"):
            work(tmp_path)


def test_folders_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    """Other keys, files beside folders, other folders, a column under the name of a key, a value of another type."""
    put(tmp_path / "a" / "k=1" / "p.parquet", v=[1])
    put(tmp_path / "a" / "l=1" / "p.parquet", v=[1])
    put(tmp_path / "b" / "k=1" / "p.parquet", v=[1])
    put(tmp_path / "b" / "p.parquet", v=[1])
    put(tmp_path / "c" / "k=1" / "other" / "p.parquet", v=[1])
    put(tmp_path / "d" / "v=1" / "p.parquet", v=[1])
    put(tmp_path / "e" / "k=one" / "p.parquet", v=[1])
    for name, said in {"a": "other keys", "b": "beside folders", "c": "'other', which is not called key=value"}.items():
        with pytest.raises(InvalidValue, match=said):
            parquet.schema(tmp_path / name)
    with pytest.raises(NameClash, match="'v' is a column"):
        parquet.schema(tmp_path / "d")
    with pytest.raises(InvalidType, match="'k=one', which is no int64"):
        parquet.schema(tmp_path / "e", options=Options(types={"k": pa.int64()}))
    with pytest.raises(InvalidValue, match="partitioned into 'k=one' and others; only Parquet"):
        source_files(tmp_path / "e")


def test_folders_without_files_hold_nothing(tmp_path: Path) -> None:
    """An empty folder, and one whose partitions are all empty."""
    with pytest.raises(NoPartition, match="no data files"):
        parquet.read(tmp_path)
    (tmp_path / "k=1").mkdir()
    with pytest.raises(NoPartition, match="no data files"):
        parquet.read(tmp_path)


def test_files_of_no_rows_give_their_columns(tmp_path: Path) -> None:
    """They take part in the schema, and in nothing else."""
    put(tmp_path / "1.parquet", a=pa.array([], pa.int8()), b=pa.array([], pa.string()))
    put(tmp_path / "2.parquet", a=pa.array([5], pa.int64()))
    assert rows(tmp_path) == [{"a": 5, "b": None}]


@settings(deadline=None, max_examples=60)
@given(first=st.integers(0, 40), count=st.integers(0, 40), group=st.integers(1, 9))
def test_a_range_of_rows_is_that_slice_of_all(
    tmp_path_factory: pytest.TempPathFactory, first: int, count: int, group: int
) -> None:
    """Over files and row groups of any size, beyond the end too."""
    folder = tmp_path_factory.mktemp("range")
    for name, start, stop in (("a", 0, 11), ("b", 11, 11), ("c", 11, 30)):
        table = pa.table({"n": pa.array(range(start, stop), pa.int64())})
        parquet.write(folder / f"{name}.parquet", table.to_batches(), schema=table.schema, row_group_rows=group)
    found = [row["n"] for row in rows(folder, rows=(first, first + count))]
    assert found == list(range(30))[first : first + count]


def test_a_range_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is read."""
    put(tmp_path / "a.parquet", n=[1])
    for wrong in ((-1, 2), (3, 2)):
        with pytest.raises(InvalidValue, match="a first row from 0 on"):
            parquet.read(tmp_path, rows=wrong)


def test_row_groups_have_the_size_that_is_asked_for(tmp_path: Path) -> None:
    """But for the last; a size of none is refused before anything is written."""
    table = pa.table({"n": list(range(10))})
    parquet.write(tmp_path / "t.parquet", table.to_batches(3), schema=table.schema, row_group_rows=4)
    footer = pq.read_metadata(tmp_path / "t.parquet")
    assert [footer.row_group(at).num_rows for at in range(footer.num_row_groups)] == [4, 4, 2]
    assert [row["n"] for row in rows(tmp_path)] == list(range(10))
    with pytest.raises(InvalidValue, match="row_group_rows is 0"):
        parquet.write(tmp_path / "u.parquet", table.to_batches(), schema=table.schema, row_group_rows=0)
    assert not (tmp_path / "u.parquet").exists()
