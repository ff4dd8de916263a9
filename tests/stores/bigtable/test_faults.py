"""What a Bigtable load and read do when the server dies, stands still, or refuses some of the rows."""

from __future__ import annotations

import threading
import time
from typing import Any

import grpc
import pyarrow as pa
import pytest

from jukebox.errors import InvalidValue, JukeboxError, NotRegistered, StorageError, TimedOut
from jukebox.stores.bigtable import BigtableStore
from jukebox.stores.bigtable.connection import MutateRows
from jukebox.stores.bigtable.places import parsed
from tests.emulators import Emulator

START = 1_700_000_000_000
UNAVAILABLE, INVALID = 14, 3


def rows_of(count: int, at: int = START) -> pa.Table:
    """Rows of users 0 to count, all of one moment."""
    times = pa.array([at] * count, pa.timestamp("ms", "UTC"))
    return pa.table({"user": range(count), "at": times, "plays": [at] * count})


def write(store: BigtableStore, rows: pa.Table, **about: Any) -> Any:
    """Write rows to the table t."""
    return store.write("t", rows, keys=["user"], event_time="at", **about)


def plays(store: BigtableStore, count: int) -> list[Any]:
    """Return what is read of users 0 to count."""
    return [
        None if row is None else row.values["plays"] for row in store.read("t", [{"user": n} for n in range(count)])
    ]


class Refusing(grpc.UnaryStreamClientInterceptor):
    """Keeps rows from the server, and gives statuses of its own for them, as ``code`` says of (attempt, row key).

    None lets a row pass; -1 keeps it away without a status.
    """

    def __init__(self, code: Any) -> None:
        self.code, self.attempts = code, 0

    def intercept_unary_stream(self, continuation, details, request):
        """Send what may pass, and answer for all of it."""
        if not details.method.endswith("MutateRows"):
            return continuation(details, request)
        self.attempts += 1
        codes = [self.code(self.attempts, entry.row_key) for entry in request.entries]
        passing = [n for n, code in enumerate(codes) if code is None]
        rest = MutateRows(table_name=request.table_name, entries=[request.entries[n] for n in passing])
        call = continuation(details, rest) if passing else None
        return _Answers(call, passing, codes)


class _Answers:
    def __init__(self, call, passing, codes):
        self._call, self._passing, self._codes = call, passing, codes

    def __iter__(self):
        from google.cloud.bigtable_v2.types import MutateRowsResponse

        for answer in self._call or ():
            for entry in answer.entries:
                entry.index = self._passing[entry.index]
            yield answer
        refused = MutateRowsResponse.pb()()
        for index, code in enumerate(self._codes):
            if code is not None and code >= 0:
                entry = refused.entries.add(index=index)
                entry.status.code, entry.status.message = code, f"refused with {code}"
        yield refused

    def cancel(self):
        """Cancel what was sent."""


def refusing(uri: str, code: Any, **about: Any) -> tuple[BigtableStore, Refusing]:
    """Return a store whose channel refuses rows."""
    between = Refusing(code)
    return BigtableStore(parsed(uri), interceptors=[between], **about), between


@pytest.mark.parametrize("code", [UNAVAILABLE, -1])
def test_rows_that_fail_for_a_while_are_tried_again_one_by_one(bigtable: str, code: int) -> None:
    """A third of the rows is refused, or not answered for, at the first two attempts: in the end all are there."""
    store, between = refusing(bigtable, lambda attempt, key: code if attempt < 3 and key[-1] % 3 == 0 else None)
    assert write(store, rows_of(5_000)).written == 5_000
    assert plays(store, 5_000) == [START] * 5_000
    assert between.attempts >= 4


def test_rows_that_are_refused_are_counted_and_the_rest_is_there(bigtable: str) -> None:
    """The error tells how many, the first keys and what the server said; a later load completes it."""
    store, _ = refusing(bigtable, lambda _, key: INVALID if key[-1] == 7 else None)
    with pytest.raises(
        StorageError, match=r"^4 of 1,000 rows .*first are user \d+, user \d+, user \d+: 4 times refused"
    ):
        write(store, rows_of(1_000))
    lost = [n for n in range(1_000) if n % 256 == 7]
    assert [n for n, found in enumerate(plays(store, 1_000)) if found is None] == lost
    write(BigtableStore(parsed(bigtable)), rows_of(1_000))
    assert None not in plays(store, 1_000)


def test_a_load_gives_up_when_its_patience_ends(bigtable: str) -> None:
    """Rows that nobody takes are counted and named, and the last thing that the server said."""
    store, between = refusing(bigtable, lambda *_: UNAVAILABLE, patience=0.5)
    with pytest.raises(StorageError, match=r"10 of 10 rows .* refused with 14"):
        write(store, rows_of(10))
    assert between.attempts > 2


def test_a_load_goes_on_after_the_server_stood_still(mortal: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that were under way end when it goes on, and no row is missing."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    store = BigtableStore(parsed("bigtable://p/i/t"))
    write(store, rows_of(1))
    mortal.freeze()
    timer = threading.Timer(1.0, mortal.thaw)
    timer.start()
    write(store, rows_of(20_000, START + 1))
    timer.join()
    assert set(plays(store, 20_000)) == {START + 1}


def test_a_load_whose_server_dies_is_an_error_and_a_rerun_converges(
    mortal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle and started again, empty: the load says what is not there, and the same load makes it."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    store = BigtableStore(parsed("bigtable://p/i/t"), patience=20)
    died = threading.Event()

    def die(done: int, _: int) -> None:
        if not died.is_set() and done > 4_000:
            died.set()
            mortal.kill()
            mortal.start()

    with pytest.raises(JukeboxError, match=r"bigtable://p/i/t"):
        write(store, rows_of(40_000), progress=die)
    assert died.is_set()
    write(store, rows_of(40_000))
    assert set(plays(store, 40_000)) == {START}


def test_reads_go_on_with_the_same_store_after_the_server_was_gone(
    mortal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is away a read fails within its time; when it is back, and loaded, the next read has the rows."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    store = BigtableStore(parsed("bigtable://p/i/t"), timeout=10)
    write(store, rows_of(3))
    assert plays(store, 3) == [START] * 3
    mortal.kill()
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"cannot be used|did not answer"):
        store.read("t", [{"user": 1}], timeout=0.5)
    assert time.monotonic() - start < 5
    mortal.start()
    with pytest.raises(NotRegistered, match=r"is not there"):
        store.read("t", [{"user": 1}])
    write(store, rows_of(3))
    assert plays(store, 3) == [START] * 3


def test_a_read_has_the_time_that_it_is_given(mortal: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stands still is TimedOut, for readers who know the layout and for those who do not."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", mortal.host)
    store = BigtableStore(parsed("bigtable://p/i/t"))
    write(store, rows_of(3))
    mortal.freeze()
    for reader in (store, BigtableStore(parsed("bigtable://p/i/t"))):
        start = time.monotonic()
        with pytest.raises(TimedOut, match="did not answer in time"):
            reader.read("t", [{"user": 1}], timeout=0.3)
        assert time.monotonic() - start < 5
    mortal.thaw()
    assert plays(store, 3) == [START] * 3


def test_a_place_that_does_not_answer_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", "localhost:1")
    with pytest.raises(StorageError, match=r"bigtable://p/i/t"):
        BigtableStore(parsed("bigtable://p/i/t"), timeout=0.5).read("t", [{"user": 1}])


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("bigtable://", "is no Bigtable table"),
        ("bigtable://p", "is no Bigtable table"),
        ("bigtable://p/i/t/x", "is no Bigtable table"),
        ("bigtable://p/i/", "'' is no name of a Bigtable table"),
        ("bigtable://p/i x/t", "is no Bigtable table"),
        ("bigtable://[p/i/t", "is no Bigtable table: Invalid IPv6 URL"),
        ("bigtable://p/i/a b", "'a b' is no name of a Bigtable table"),
        ("bigtable://p/i/å", "is no name of a Bigtable table"),
        (f"bigtable://p/i/{'a' * 51}", "at most 50 letters"),
        ("bigtable://p/i/t?max_age=0s", "max_age=0s; rows are kept for at least a second"),
        ("bigtable://p/i/t?max_age=999ms", "at least a second"),
        ("bigtable://p/i/t?colour=red", "colour=red"),
        ("bigtable://p/i/t?versions=0", "versions=0"),
        ("bigtable://p/i/t?cells=rows", "cells=rows"),
        ("bigtable://p/i/t?max_age=old", "old"),
    ],
)
def test_a_uri_that_says_nothing_sensible_is_refused(uri: str, said: str) -> None:
    """The message shows how it is written."""
    with pytest.raises(InvalidValue, match=said.replace("?", r"\?")):
        parsed(uri)


def test_a_project_may_be_of_a_domain() -> None:
    """And a table is called jukebox where the URI names none."""
    assert parsed("bigtable://example.com:project/instance").path == (
        "projects/example.com:project/instances/instance/tables/jukebox"
    )
