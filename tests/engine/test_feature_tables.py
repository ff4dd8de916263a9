"""How partitions are written, described and read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.engine.catalog import Partition
from jukebox.engine.feature_tables import describe_table, is_described, read_partitions, write_partition
from jukebox.errors import InvalidType, StorageError
from jukebox.tables import Manifest, partition_folder, partitions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY, NEXT = date(2024, 1, 1), date(2024, 1, 2)
ABOUT = Manifest(
    kind="partition",
    schema=dict.fromkeys(("user", "at", "n"), "null"),
    keys=("user",),
    event_time="at",
    details={"endpoint": "plays", "static": False, "features": {"/user/plays/n@1": "n"}, "delivered_at": "now"},
)
AT = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)


def batch(*values: Any, unit: str = "us") -> pa.RecordBatch:
    """Return rows with these values."""
    times = pa.array([AT] * len(values), pa.timestamp(unit, "UTC"))
    columns = [pa.array(["u"] * len(values)), times, pa.array(values, pa.string() if "a" in values else pa.int64())]
    return pa.RecordBatch.from_arrays(columns, names=["user", "at", "n"])


def part(root: Path, day: date = DAY) -> Partition:
    """Return a partition as the registry's catalog finds it."""
    return Partition(day, Manifest.read(partition_folder(root, day)))


def values(root: Path, *days: date) -> list[Any]:
    """Return the values of partitions, in their order."""
    batches = read_partitions([part(root, day) for day in days or (DAY,)], ["n"])
    return [value for each in batches for value in each.column("n").to_pylist()]


def test_a_partition_tells_of_its_rows(tmp_path: Path) -> None:
    """Count, types, statistics and the name of its data are those of what was written."""
    made = write_partition(str(tmp_path), DAY, [batch(1, 2), batch(None)], ABOUT)
    assert made == part(tmp_path).manifest
    assert (made.rows, made.schema) == (3, {"user": "string", "at": "timestamp[us, tz=UTC]", "n": "int64"})
    assert made.details["statistics"]["n"] | {"std": None} == {
        "rows": 3, "nulls": 1, "min": 1, "max": 2, "mean": 1.5, "std": None, "zeros": 0,
    }  # fmt: skip
    assert (made.details["date"], made.details["delivered_at"]) == ("2024-01-01", "now")
    assert part(tmp_path).path.exists()


def test_the_fingerprint_is_that_of_the_rows(tmp_path: Path) -> None:
    """Not of the batches that they came in, the name of the file or the moment."""
    one = write_partition(str(tmp_path), DAY, [batch(1, 2, 3)], ABOUT)
    other = write_partition(str(tmp_path), NEXT, [batch(1), batch(2, 3)], ABOUT)
    assert one.fingerprint == other.fingerprint
    assert one.details["data"] != other.details["data"]
    assert write_partition(str(tmp_path), DAY, [batch(3, 2, 1)], ABOUT).fingerprint != one.fingerprint


def test_no_rows_are_a_partition_too(tmp_path: Path) -> None:
    """It is whole, and reading passes over it, whatever its types."""
    assert write_partition(str(tmp_path), DAY, [], ABOUT).rows == 0
    write_partition(str(tmp_path), NEXT, [batch(1)], ABOUT)
    assert values(tmp_path, DAY, NEXT) == [1]


def test_a_partition_is_replaced_and_leaves_no_data_behind(tmp_path: Path) -> None:
    """Nor does what a killed load left there stay."""
    write_partition(str(tmp_path), DAY, [batch(1)], ABOUT)
    (partition_folder(tmp_path, DAY) / "part-of-a-killed-load.parquet").touch()
    write_partition(str(tmp_path), DAY, [batch(2)], ABOUT)
    assert values(tmp_path) == [2]
    assert len(list(partition_folder(tmp_path, DAY).iterdir())) == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_rows_that_break_off_leave_the_old_partition(tmp_path: Path, error: type[BaseException]) -> None:
    """Whatever the reason: the manifest and the data are those of before, and nothing else is there."""

    def broken() -> Iterator[pa.RecordBatch]:
        yield batch(*range(1000))
        raise error

    with pytest.raises(error):
        write_partition(str(tmp_path), DAY, broken(), ABOUT)
    assert partitions(tmp_path) == {}
    write_partition(str(tmp_path), DAY, [batch(1)], ABOUT)
    before = sorted(partition_folder(tmp_path, DAY).iterdir())
    with pytest.raises(error):
        write_partition(str(tmp_path), DAY, broken(), ABOUT)
    assert sorted(partition_folder(tmp_path, DAY).iterdir()) == before
    assert values(tmp_path) == [1]


def test_a_manifest_that_cannot_be_written_leaves_no_data(tmp_path: Path) -> None:
    """The place of the manifest is taken by a folder here, which no mode of files could be for root."""
    (partition_folder(tmp_path, DAY) / "manifest.json").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"manifest\.json cannot be written"):
        write_partition(str(tmp_path), DAY, [batch(1)], ABOUT)
    assert [path.name for path in partition_folder(tmp_path, DAY).iterdir()] == ["manifest.json"]


def test_a_load_beside_another_of_the_same_date_takes_nothing_of_it(tmp_path: Path) -> None:
    """One that began later and ended first is replaced; the data of the last manifest are there."""

    def meanwhile() -> Iterator[pa.RecordBatch]:
        yield batch(1)
        write_partition(str(tmp_path), DAY, [batch(2)], ABOUT)

    write_partition(str(tmp_path), DAY, [batch(0)], ABOUT)
    write_partition(str(tmp_path), DAY, meanwhile(), ABOUT)
    assert values(tmp_path) == [1]
    write_partition(str(tmp_path), DAY, [batch(3)], ABOUT)
    assert len(list(partition_folder(tmp_path, DAY).iterdir())) == 2


def test_rows_of_two_types_in_one_partition_are_refused(tmp_path: Path) -> None:
    """With the name of the column."""
    with pytest.raises(InvalidType, match="column 'n'"):
        write_partition(str(tmp_path), DAY, [batch(1), batch("a")], ABOUT)
    assert partitions(tmp_path) == {}


def test_a_table_is_described_by_all_partitions_of_its_features(tmp_path: Path) -> None:
    """Those of another version are there and not part of it."""
    other = replace(ABOUT, details={**ABOUT.details, "features": {"/user/plays/n@2": "n"}})
    write_partition(str(tmp_path), DAY, [batch(1, 5)], ABOUT)
    write_partition(str(tmp_path), NEXT, [batch(3)], ABOUT)
    write_partition(str(tmp_path), date(2024, 1, 3), [batch(9)], other)
    table = describe_table(str(tmp_path), ABOUT)
    assert table == Manifest.read(tmp_path, "feature_table")
    assert (table.rows, table.details["dates"]) == (3, ["2024-01-01", "2024-01-02"])
    assert table.details["statistics"]["n"]["max"] == 5
    assert [source.uri for source in table.inputs] == ["date=2024-01-01", "date=2024-01-02"]


def test_the_same_rows_under_other_dates_are_another_table(tmp_path: Path) -> None:
    """A static source has no time in its rows, and still its dates count."""
    for name, day in (("a", DAY), ("b", NEXT)):
        write_partition(str(tmp_path / name), day, [batch(1)], ABOUT)
    assert (
        describe_table(str(tmp_path / "a"), ABOUT).fingerprint != describe_table(str(tmp_path / "b"), ABOUT).fingerprint
    )


def test_a_table_knows_whether_its_manifest_is_out_of_date(tmp_path: Path) -> None:
    """After a partition more, and after one that was replaced; another version's partition makes no difference."""
    write_partition(str(tmp_path), DAY, [batch(1)], ABOUT)
    table = describe_table(str(tmp_path), ABOUT)
    assert is_described(table)
    write_partition(str(tmp_path), NEXT, [batch(2)], ABOUT)
    assert not is_described(table)
    table = describe_table(str(tmp_path), ABOUT)
    write_partition(str(tmp_path), DAY, [batch(1)], ABOUT)
    assert is_described(table)
    write_partition(str(tmp_path), DAY, [batch(7)], ABOUT)
    assert not is_described(table)


def test_times_of_two_units_are_read_in_the_finer_one(tmp_path: Path) -> None:
    """A producer that went from microseconds to nanoseconds has one table, not two."""
    write_partition(str(tmp_path), DAY, [batch(1)], ABOUT)
    write_partition(str(tmp_path), NEXT, [batch(2, unit="ns")], ABOUT)
    batches = list(read_partitions([part(tmp_path), part(tmp_path, NEXT)], ["n", "at"]))
    assert {each.schema.field("at").type for each in batches} == {pa.timestamp("ns", "UTC")}
    assert [each.schema.names for each in batches] == [["n", "at"]] * 2
    [alone] = read_partitions([part(tmp_path)], ["at"])
    assert alone.schema.field("at").type == pa.timestamp("us", "UTC")
