"""Partitions in a bucket grow as those on one machine do, where no lock keeps their writers apart."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox import storage
from jukebox.engine import feature_tables, generations, replacing, streaming_parts
from jukebox.engine.feature_tables import write_partition
from jukebox.errors import CorruptData, MissingDependency, StorageError, TimedOut
from jukebox.formats import parquet
from jukebox.storage import conditional, place_of
from jukebox.tables import partition_folder, partitions
from tests.engine.appending import first, growing
from tests.engine.test_streaming_parts import ABOUT, DAY, SCHEMA, held, rows


@pytest.fixture
def root(gs_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table in a bucket of its own."""
    monkeypatch.setattr(replacing, "_LONGEST_WAIT", 0.2)
    return f"{gs_bucket}/tables/plays"


def below(root: str) -> set[str]:
    """Return what lies in the partition's folder, without marks of what was left."""
    folder: Any = partition_folder(root, DAY)
    names = {file.relative_to(folder).parts[0] for file in folder.files_below()}
    return {name for name in names if not name.startswith(".")}


def test_appends_keep_their_order_and_lie_in_few_files(root: str) -> None:
    """Twenty appends leave a handful of parts, and another process goes on behind them."""
    table = growing(root)
    assert table.recorded(DAY, ["m1"]) == set()
    assert [table.append(DAY, rows(number), [f"m{number}"]) for number in range(20)] == [True] + [False] * 19
    other = growing(root)
    assert other.recorded(DAY, ["m3", "m20"]) == {"m3"}
    other.append(DAY, rows(3, 20, 20), ["m3", "m20", "m20"])
    table.append(DAY, rows(20, 21), ["m20", "m21"])
    assert held(root) == list(range(22))
    (part,) = partitions(root).values()
    assert len(part.details["parts"]) < 10


def test_processes_at_once_lose_and_double_nothing_though_some_are_killed(root: str) -> None:
    """Five append messages that overlap; one dies before its third manifest is there, one right after."""
    script = str(Path(__file__).with_name("appending.py"))
    spans = [(0, 12, "never"), (6, 18, "never"), (12, 24, "before"), (18, 30, "after"), (24, 36, "never")]
    running = [subprocess.Popen([sys.executable, script, root, *map(str, span)]) for span in spans]
    assert [process.wait() for process in running] == [0, 0, -signal.SIGKILL, -signal.SIGKILL, 0]
    for start, stop, moment in spans:
        if moment != "never":
            table = growing(root)
            for number in range(start, stop):
                table.append(DAY, rows(number), [f"m{number}"])
    assert sorted(held(root)) == list(range(36))


def test_who_comes_second_begins_again_and_leaves_nothing_behind(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times another one is first: with its own messages, with the same ones, and of a date that is new."""
    first(root, 1, monkeypatch)
    assert not growing(root).append(DAY, rows(0), ["m0"])
    assert held(root) == [1, 0]
    table = growing(root)
    first(root, 2, monkeypatch)
    table.append(DAY, rows(2), ["m2"])
    assert held(root) == [1, 0, 2]
    first(root, 3, monkeypatch, times=5)
    table.append(DAY, rows(8), ["m8"])
    assert held(root) == [1, 0, 2, 3, 4, 5, 6, 7, 8]
    assert len(below(root)) == 1 + 9  # the manifest, and a generation an append


def test_a_load_that_takes_longer_than_appends_come_apart_is_let_through(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It claims a turn; the stream waits for it, and loses nothing."""
    ending, table, sent = threading.Event(), growing(root), [0]
    table.append(DAY, rows(0), ["m0"])

    def stream() -> None:
        while not ending.is_set():
            sent.append(len(sent))
            table.append(DAY, rows(sent[-1]), [f"m{sent[-1]}"])

    def slow(*given: Any) -> Any:
        time.sleep(0.5)
        return late(*given)

    late = feature_tables.appended_since
    monkeypatch.setattr(feature_tables, "appended_since", slow)
    running = threading.Thread(target=stream)
    running.start()
    try:
        write_partition(root, DAY, rows(-1).to_batches(), ABOUT)
    finally:
        ending.set()
        running.join()
    found = held(root)
    assert found[0] == -1
    assert found[1:] == sent[-len(found) + 1 :]


def test_a_claim_of_the_dead_is_waited_for_no_longer_than_it_lasts(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes with the next append."""
    table = growing(root)
    table.append(DAY, rows(0), ["m0"])
    (part,) = partitions(root).values()
    replace(part, details={**part.details, "claim": ["the dead", time.time() + 1.0]}).write(part.uri)
    table.append(DAY, rows(1), ["m1"])
    (part,) = partitions(root).values()
    assert held(root) == [0, 1]
    assert "claim" not in part.details
    replace(part, details={**part.details, "claim": ["the living", time.time() + 60.0]}).write(part.uri)
    monkeypatch.setattr(replacing, "_TRIES", 4)
    with pytest.raises(StorageError, match="4 times another process was first"):
        table.append(DAY, rows(2), ["m2"])


def test_who_is_never_first_gives_up_with_one_error(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others wrote is there, nothing of its own is."""
    monkeypatch.setattr(replacing, "_TRIES", 3)
    first(root, 1, monkeypatch, times=3)
    with pytest.raises(StorageError, match=r"manifest.json cannot be written: 3 times another process was first"):
        growing(root).append(DAY, rows(0), ["m0"])
    assert held(root) == [1, 2, 3]
    assert len(below(root)) == 1 + 3


@pytest.mark.parametrize("written", [True, False])
def test_a_manifest_whose_writing_was_not_answered_counts_once(
    root: str, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """Whether it is there or not, and of a date that is new."""
    real, silent = conditional.write_if, iter([True, False] * 3)

    def write(*args: Any) -> bool:
        if not next(silent):
            return real(*args)
        if written:
            real(*args)
            next(silent)
        raise TimedOut("the network is gone")

    monkeypatch.setattr(conditional, "write_if", write)
    table = growing(root)
    assert [table.append(DAY, rows(number), [f"m{number}"]) for number in range(3)] == [True, False, False]
    assert held(root) == [0, 1, 2]


def test_a_store_that_never_answers_is_told(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the tries are used up."""

    def write(*_: Any) -> bool:
        raise TimedOut("the network is gone")

    monkeypatch.setattr(replacing, "_TRIES", 2)
    monkeypatch.setattr(conditional, "write_if", write)
    with pytest.raises(TimedOut, match="the network is gone"):
        growing(root).append(DAY, rows(0), ["m0"])
    assert partitions(root) == {}


def test_only_what_others_appended_is_read_of_a_partition(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And all of it after a load, which may hold anything."""
    table, other, read = growing(root), growing(root), []
    real = parquet.read

    def watched(path: Any, **about: Any) -> Any:
        for batch in real(path, **about):
            read.extend(batch["n"].to_pylist() if "n" in batch.schema.names else [])
            yield batch

    for number in range(5):
        table.append(DAY, rows(number), [f"m{number}"])
    other.append(DAY, rows(5), ["m5"])
    with monkeypatch.context() as patched:
        patched.setattr(streaming_parts.parquet, "read", watched)
        table.append(DAY, rows(6), ["m6"])
        assert read == [5]
    write_partition(root, DAY, rows(7, 8, 9, 10, 11, 12, 13, 14).to_batches(), ABOUT)
    table.append(DAY, rows(0), ["m0"])
    assert held(root) == [7, 8, 9, 10, 11, 12, 13, 14, 0]


def test_an_offline_load_keeps_what_is_appended_while_it_reads(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And right before its manifest is written; the ids are told of, and what was there before it began is gone."""
    table = growing(root)
    table.append(DAY, rows(1), ["m1"])

    def source() -> Iterator[pa.RecordBatch]:
        yield from rows(10).to_batches()
        table.append(DAY, rows(2), ["m2"])
        first(root, 3, monkeypatch)

    write_partition(root, DAY, source(), ABOUT)
    assert held(root) == [10, 2, 3]
    assert table.recorded(DAY, ["m1", "m2", "m3"]) == {"m2", "m3"}
    table.append(DAY, rows(2, 4), ["m2", "m4"])
    assert held(root) == [10, 2, 3, 4]


def test_a_load_that_took_the_file_away_that_an_append_was_to_copy_is_appended_to(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The append begins again of what the load has put in its place."""
    write_partition(root, DAY, rows(1).to_batches(), ABOUT)
    real, loads = streaming_parts.grown, iter([2])

    def late(*given: Any) -> Any:
        for number in loads:
            write_partition(root, DAY, rows(number).to_batches(), ABOUT)
        return real(*given)

    monkeypatch.setattr(streaming_parts, "grown", late)
    growing(root).append(DAY, rows(3), ["m3"])
    assert held(root) == [2, 3]


def test_what_nobody_reads_any_more_is_taken_away(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Former generations and what a kill left, an hour after they were left; the last one stays for who reads it."""
    table, folder = growing(root), partition_folder(root, DAY)
    parquet.write(folder / "part-killed.parquet", rows(9).to_batches(), schema=SCHEMA)
    parquet.write(folder / "generation-killed" / "part-000000001.parquet", rows(9).to_batches(), schema=SCHEMA)
    for number in range(3):
        table.append(DAY, rows(number), [f"m{number}"])
    assert len(below(root)) == 1 + 2 + 3
    monkeypatch.setattr(generations, "_FORMER_SECONDS", 0)
    (before,) = partitions(root).values()
    growing(root).append(DAY, rows(3), ["m3"])
    (now,) = partitions(root).values()
    assert below(root) == {"manifest.json", before.details["data"], now.details["data"]}
    found = pa.Table.from_batches(parquet.read(place_of(before.uri) / before.details["data"]))
    assert found["n"].to_pylist() == [0, 1, 2]


def test_without_the_client_library_a_load_writes_what_no_stream_has_written(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is refused where it would write over a stream's rows, as a stream is."""
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "google.cloud.storage", None)
        patched.delitem(sys.modules, "jukebox.storage.conditional")
        patched.delattr(storage, "conditional")
        write_partition(root, DAY, rows(1).to_batches(), ABOUT)
        with pytest.raises(MissingDependency, match=r"google-cloud-storage is not installed; .*jukebox\[pubsub\]"):
            growing(root)
    growing(root).append(DAY, rows(2), ["m2"])
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "google.cloud.storage", None)
        patched.delitem(sys.modules, "jukebox.storage.conditional")
        patched.delattr(storage, "conditional")
        with pytest.raises(MissingDependency, match="google-cloud-storage is not installed"):
            write_partition(root, DAY, rows(3).to_batches(), ABOUT)
    assert held(root) == [1, 2]


def test_a_partition_that_is_broken_is_told_and_nothing_is_written(root: str) -> None:
    """A manifest that is none, and one whose rows are not there."""
    table, folder = growing(root), partition_folder(root, DAY)
    table.append(DAY, rows(0), ["m0"])
    (part,) = partitions(root).values()
    parquet.write(folder / part.details["data"] / "part-000000001.parquet", rows().to_batches(), schema=SCHEMA)
    with pytest.raises(CorruptData, match="has 0 rows, and its manifest tells of 1"):
        growing(root).append(DAY, rows(1), ["m1"])
    assert conditional.write_if(
        folder / "manifest.json", b"{", conditional.read_generation(folder / "manifest.json")[1]
    )
    with pytest.raises(CorruptData, match=r"manifest\.json is no manifest"):
        growing(root).append(DAY, rows(1), ["m1"])
    write_partition(root, DAY, rows(5).to_batches(), ABOUT)
    assert held(root) == [5]
