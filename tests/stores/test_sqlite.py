"""The embedded online store: the public suite, and what only a file does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn, NameClash, StorageError
from jukebox.stores import open_online
from jukebox.stores.sqlite import SqliteStore
from jukebox.testing import OnlineStoreSuite, moments


class TestSuite(OnlineStoreSuite):
    """Everything that any online store must do."""

    def store(self, tmp_path: Path) -> SqliteStore:
        """A store whose file is not there yet."""
        return SqliteStore(tmp_path / "deep" / "online.db")


def rows_of(first: int, last: int, at: int = 0) -> pa.Table:
    """Rows of users first to last."""
    users = range(first, last)
    return pa.table({"user": users, "at": moments(*[at] * len(users)), "plays": users})


def write(store: SqliteStore, rows: pa.Table, table: str = "t") -> int:
    """Write the rows and return how many changed the store."""
    return store.write(table, rows, keys=["user"], event_time="at").written


def test_a_store_opens_by_uri(tmp_path: Path) -> None:
    """sqlite://<path> is a file, and what one store wrote another reads."""
    write(SqliteStore(tmp_path / "a b%20#.db"), rows_of(0, 3))
    assert open_online(f"sqlite://{tmp_path}/a b%20#.db").read("t", [{"user": 2}])[0] is not None
    with pytest.raises(InvalidValue, match="names no file"):
        open_online("sqlite://")


def test_reading_makes_no_file(tmp_path: Path) -> None:
    """A store that is not there is an error, and still not there afterwards."""
    with pytest.raises(StorageError, match=r"no online store at .*online\.db"):
        SqliteStore(tmp_path / "online.db").read("t", [{"user": 1}])
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    """Text, another program's database and a later format are named, and left as they are."""
    text, other, later = (tmp_path / name for name in ("text.db", "other.db", "later.db"))
    text.write_text("not a database at all, but long enough to be looked at\n" * 50)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    write(SqliteStore(later), rows_of(0, 1))
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 9")
    for path, words in ((text, "no online store"), (other, "another program"), (later, "another version")):
        before = path.read_bytes()
        for call in (lambda store: store.read("t", [{"user": 1}]), lambda store: write(store, rows_of(0, 1))):
            with pytest.raises(CorruptData, match=f"{path.name}.*{words}"):
                call(SqliteStore(path))
        assert path.read_bytes() == before


def test_a_damaged_file_is_corrupt_data(tmp_path: Path) -> None:
    """Pages overwritten with noise are an error that names the file."""
    store = SqliteStore(tmp_path / "online.db")
    write(store, rows_of(0, 5_000))
    store.close()
    with (tmp_path / "online.db").open("r+b") as stream:
        stream.seek(4096)
        stream.write(os.urandom(200_000))
    with pytest.raises(CorruptData, match=r"online\.db"):
        SqliteStore(tmp_path / "online.db").read("t", [{"user": user} for user in range(5_000)])


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """A file where a folder should be, and a folder where the file should be, are named."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "online.db", tmp_path):
        with pytest.raises(StorageError, match=str(place)):
            write(SqliteStore(place), rows_of(0, 1))


def test_a_full_disk_is_a_storage_error_and_a_rerun_completes(tmp_path: Path) -> None:
    """What was written before the disk was full is whole transactions; with room again the same write converges."""
    store = SqliteStore(tmp_path / "online.db")
    write(store, rows_of(0, 10))
    with store._connected(create=False) as connection:  # a file that may not grow is a full disk
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 120}")
    with pytest.raises(StorageError, match="full"):
        write(store, rows_of(0, 50_000, at=1))
    there = [row for row in store.read("t", [{"user": user} for user in range(50_000)]) if row is not None]
    assert len(there) in range(10, 50_000)
    store.close()
    write(store, rows_of(0, 50_000, at=1))
    assert write(store, rows_of(0, 50_000, at=1)) == 0


def test_a_writer_waits_for_another_one_and_not_for_ever(tmp_path: Path) -> None:
    """Within its patience a second writer waits; beyond it there is one clear error. Readers do not wait."""
    path = tmp_path / "online.db"
    write(SqliteStore(path), rows_of(0, 1))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    hasty = SqliteStore(path, patience=0.1)
    with pytest.raises(StorageError, match=r"locked by another process for 0\.1 s"):
        write(hasty, rows_of(0, 1, at=1))
    assert hasty.read("t", [{"user": 0}])[0] is not None
    timer = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    timer.start()
    assert write(SqliteStore(path, patience=20), rows_of(0, 1, at=1)) == 1
    timer.join()


def _load(path: Path, day: int) -> None:
    write(SqliteStore(path), rows_of(0, 2_000, at=day))


def test_processes_that_make_the_file_at_once_all_succeed(tmp_path: Path) -> None:
    """Four first writers of one file leave the newest row of each key."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_load, args=(tmp_path / "online.db", day)) for day in (1, 4, 3, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = SqliteStore(tmp_path / "online.db").read("t", [{"user": user} for user in range(2_000)])
    assert len({None if row is None else row.event_time for row in found}) == 1
    assert write(SqliteStore(tmp_path / "online.db"), rows_of(0, 2_000, at=3)) == 0


def test_a_forked_process_opens_its_own_connection(tmp_path: Path) -> None:
    """A store that was used before a fork works on both sides of it."""
    store = SqliteStore(tmp_path / "online.db")
    write(store, rows_of(0, 10))
    worker = multiprocessing.get_context("fork").Process(target=write, args=(store, rows_of(10, 20)))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert store.read("t", [{"user": 15}])[0] is not None


LOAD = """
import sys
from tests.stores.test_sqlite import SqliteStore, rows_of, write
print("started", flush=True)
write(SqliteStore(sys.argv[1]), rows_of(0, 400_000))
"""


def test_a_killed_load_leaves_whole_transactions_and_a_rerun_completes(tmp_path: Path) -> None:
    """After SIGKILL the store opens, holds whole batches, and the same load again makes it complete."""
    path = tmp_path / "online.db"
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", LOAD, str(path)], stdout=subprocess.PIPE, cwd=root) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        end = time.monotonic() + 60
        while time.monotonic() < end and _count(path) == 0:
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
    left = _count(path)
    assert left > 0
    assert left % 10_000 == 0
    assert write(SqliteStore(path), rows_of(0, 400_000)) == 400_000 - left
    assert _count(path) == 400_000


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    with sqlite3.connect(path) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM cells").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def test_units_may_differ_between_loads_where_nothing_is_lost(tmp_path: Path) -> None:
    """A load in seconds meets a table in microseconds; one in nanoseconds only if it fits."""
    store = SqliteStore(tmp_path / "online.db")
    write(store, rows_of(0, 2))
    seconds = rows_of(0, 2, at=1).to_pydict()
    whole = pa.array([time.replace(microsecond=0) for time in seconds["at"]], pa.timestamp("s", "UTC"))
    assert write(store, pa.table({**seconds, "user": pa.array([0, 1], pa.int8()), "at": whole})) == 2
    fine = pa.array([1, 2], pa.timestamp("ns", "UTC"))
    with pytest.raises(InvalidValue, match="'at'"):
        write(store, pa.table({**seconds, "at": fine}))
    with pytest.raises(InvalidType, match="'at'"):
        write(store, pa.table({**seconds, "at": fine.cast(pa.timestamp("ns"))}))


def test_roles_that_clash_are_refused(tmp_path: Path) -> None:
    """Missing columns, one column twice, naive beside zoned times and other keys are errors that name them."""
    store, rows = SqliteStore(tmp_path / "online.db"), rows_of(0, 2)
    write(store, rows)
    naive = rows.append_column("made", pa.array([0, 0], pa.timestamp("us")))
    with pytest.raises(InvalidType, match="'at' is zoned and 'made' is naive"):
        store.write("new", naive, keys=["user"], event_time="at", created_time="made")
    with pytest.raises(MissingColumn, match=r"'usr'.*user, at, plays"):
        store.write("new", rows, keys=["usr"], event_time="at")
    with pytest.raises(NameClash, match="at"):
        store.write("new", rows, keys=["user", "at"], event_time="at")
    with pytest.raises(InvalidType, match="'plays' is int64; a time"):
        store.write("new", rows, keys=["user"], event_time="plays")
    with pytest.raises(InvalidType, match=r"keys user .* keys plays"):
        store.write("t", rows, keys=["plays"], event_time="at")
    assert store.tables() == ["t"]


def test_a_table_says_what_it_holds(tmp_path: Path) -> None:
    """Keys, times and values come with their names."""
    store = SqliteStore(tmp_path / "online.db")
    write(store, rows_of(0, 1))
    layout = store.layout("t")
    assert (layout.key_names, layout.time_names, layout.value_names) == (("user",), ("at",), ("plays",))
    assert layout.zoned
