"""Partitions that grow: whole at every moment, each message once, in few files."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.core.fingerprints import fingerprint_of
from jukebox.engine.feature_tables import write_partition
from jukebox.engine.streaming_parts import GrowingTable
from jukebox.errors import InvalidType, InvalidValue
from jukebox.formats import parquet
from jukebox.storage import place_of
from jukebox.tables import Manifest, partitions

DAY = date(2024, 1, 1)
SCHEMA = pa.schema([("user", pa.string()), ("at", pa.timestamp("us", "UTC")), ("n", pa.int64())])
ABOUT = Manifest(
    kind="partition",
    keys=("user",),
    event_time="at",
    details={"endpoint": "plays", "static": False, "features": {"/entity/user/component/plays/name/n@1": "n"}},
)


def rows(*numbers: int) -> pa.Table:
    """Return rows of the numbers."""
    at = [datetime(2024, 1, 1, tzinfo=timezone.utc)] * len(numbers)
    return pa.table([[f"u{n}" for n in numbers], at, list(numbers)], schema=SCHEMA)


def held(root: str | Path) -> list[int]:
    """Return the numbers that the partition holds, whose manifest must be right about them."""
    (part,) = partitions(root).values()
    found = pa.Table.from_batches(parquet.read(place_of(part.uri) / part.details["data"]), SCHEMA)
    assert part.rows == found.num_rows
    assert part.fingerprint == fingerprint_of(found, SCHEMA)
    assert part.details["statistics"]["n"]["rows"] == found.num_rows
    numbers: list[int] = found["n"].to_pylist()
    return numbers


def test_appends_keep_their_order_and_lie_in_few_files(tmp_path: Path) -> None:
    """Forty appends leave a handful of parts, and the manifest tells what they hold."""
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    for number in range(40):
        table.append(DAY, rows(number), [f"m{number}"])
    assert held(tmp_path) == list(range(40))
    (part,) = partitions(tmp_path).values()
    assert len(part.details["parts"]) < 15


def test_a_message_makes_one_row_whoever_appends_it_and_however_often(tmp_path: Path) -> None:
    """Within one append, in a later one, and by a process that starts anew and reads what is there."""
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    table.append(DAY, rows(1, 1, 2), ["a", "a", "b"])
    table.append(DAY, rows(2, 3), ["b", "c"])
    again = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    assert again.recorded(DAY, ["a", "c", "d"]) == {"a", "c"}
    again.append(DAY, rows(1, 2, 3, 4), ["a", "b", "c", "d"])
    table.append(DAY, rows(4, 5), ["d", "e"])
    assert held(tmp_path) == [1, 2, 3, 4, 5]


def _appending(root: str, start: int, stop: int) -> None:
    table = GrowingTable(root, ABOUT, SCHEMA)
    for number in range(start, stop):
        table.append(DAY, rows(number), [f"m{number}"])


def test_processes_that_append_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """Two write overlapping messages at the same time."""
    context = multiprocessing.get_context("fork")
    spans = [(0, 12), (6, 18)]
    running = [context.Process(target=_appending, args=(str(tmp_path), *span)) for span in spans]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert sorted(held(tmp_path)) == list(range(18))


def test_a_stream_goes_on_where_a_batch_load_ended_and_a_load_takes_the_place_of_what_was_streamed(
    tmp_path: Path,
) -> None:
    """A partition of a load grows; the next load of the date replaces it whole."""
    write_partition(str(tmp_path), DAY, rows(1, 2).to_batches(), ABOUT)
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    for number in range(3, 12):
        table.append(DAY, rows(number), [f"m{number}"])
    assert held(tmp_path) == list(range(1, 12))
    write_partition(str(tmp_path), DAY, rows(7).to_batches(), ABOUT)
    assert held(tmp_path) == [7]
    table.append(DAY, rows(8), ["m8"])
    assert held(tmp_path) == [7, 8]


def test_an_offline_load_keeps_what_is_appended_while_it_reads(tmp_path: Path) -> None:
    """What was there before it began is replaced, what comes while its source is read stays, message ids and all."""
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    table.append(DAY, rows(1), ["m1"])

    def source() -> Iterator[pa.RecordBatch]:
        yield from rows(10).to_batches()
        for number in range(2, 12):
            table.append(DAY, rows(number), [f"m{number}"])
        yield from rows(11).to_batches()

    write_partition(str(tmp_path), DAY, source(), ABOUT)
    assert held(tmp_path) == [10, 11, *range(2, 12)]
    assert table.recorded(DAY, ["m1", "m2", "m11"]) == {"m2", "m11"}
    table.append(DAY, rows(2, 12), ["m2", "m12"])
    assert held(tmp_path) == [10, 11, *range(2, 13)]


def test_an_empty_offline_load_keeps_it_too(tmp_path: Path) -> None:
    """A partition of no batch rows and streamed ones."""
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    table.append(DAY, rows(1), ["m1"])

    def source() -> Iterator[pa.RecordBatch]:
        table.append(DAY, rows(2), ["m2"])
        yield from ()

    write_partition(str(tmp_path), DAY, source(), replace(ABOUT, schema=dict.fromkeys(SCHEMA.names, "null")))
    assert held(tmp_path) == [2]


def test_a_reader_of_before_finds_what_it_began_to_read(tmp_path: Path) -> None:
    """What a manifest named is there after later appends too."""
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    table.append(DAY, rows(1), ["a"])
    (before,) = partitions(tmp_path).values()
    for number in range(2, 12):
        table.append(DAY, rows(number), [f"m{number}"])
    found = pa.Table.from_batches(parquet.read(Path(before.uri) / before.details["data"]))
    assert found["n"].to_pylist() == [1]


def test_what_nobody_reads_any_more_is_taken_away(tmp_path: Path) -> None:
    """Former generations and what a kill left, an hour later; the last generation stays for who reads it."""
    table, folder = GrowingTable(str(tmp_path), ABOUT, SCHEMA), tmp_path / "date=2024-01-01"
    parquet.write(folder / "part-killed.parquet", rows(9).to_batches(), schema=SCHEMA)
    parquet.write(folder / "generation-killed" / "part-000000001.parquet", rows(9).to_batches(), schema=SCHEMA)
    for number in range(3):
        table.append(DAY, rows(number), [f"m{number}"])
    assert len(list(folder.iterdir())) == 1 + 2 + 3
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    (before,) = partitions(tmp_path).values()
    GrowingTable(str(tmp_path), ABOUT, SCHEMA).append(DAY, rows(3), ["m3"])
    (now,) = partitions(tmp_path).values()
    assert {path.name for path in folder.iterdir()} == {"manifest.json", before.details["data"], now.details["data"]}
    assert held(tmp_path) == [0, 1, 2, 3]


def test_to_append_nothing_writes_nothing(tmp_path: Path) -> None:
    """Not even a partition."""
    assert not GrowingTable(str(tmp_path), ABOUT, SCHEMA).append(DAY, rows(), [])
    assert partitions(tmp_path) == {}


def test_a_failure_in_the_midst_leaves_the_partition_as_it_was(tmp_path: Path, monkeypatch: Any) -> None:
    """The same append again completes it."""
    table = GrowingTable(str(tmp_path), ABOUT, SCHEMA)
    table.append(DAY, rows(1), ["a"])
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            table.append(DAY, rows(2), ["b"])
    assert held(tmp_path) == [1]
    table.append(DAY, rows(2), ["b"])
    assert held(tmp_path) == [1, 2]


def test_a_table_on_a_store_that_cannot_settle_who_was_first_is_refused() -> None:
    """There a manifest cannot be replaced only where it is still the same, not by what Jukebox has for it."""
    with pytest.raises(InvalidValue, match=r"s3://bucket/table takes no appends; .* in a local folder or at gs://"):
        GrowingTable("s3://bucket/table", ABOUT, SCHEMA)


def test_a_partition_of_other_features_or_columns_is_refused(tmp_path: Path) -> None:
    """Nothing is written into it."""
    other = rows(1).set_column(2, "n", pa.array([1.5]))
    write_partition(str(tmp_path), DAY, other.to_batches(), ABOUT)
    with pytest.raises(InvalidType, match="n double; the stream has user string"):
        GrowingTable(str(tmp_path), ABOUT, SCHEMA).append(DAY, rows(2), ["a"])
    features = {"/entity/user/component/x/name/n@1": "n"}
    about = Manifest(kind="partition", details={**ABOUT.details, "features": features})
    with pytest.raises(InvalidValue, match="the stream has /entity/user/component/x/name/n@1"):
        GrowingTable(str(tmp_path), about, SCHEMA).append(DAY, rows(2), ["a"])
