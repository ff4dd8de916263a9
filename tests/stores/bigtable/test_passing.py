"""Failures that pass: connections that were reset, flips and look-ups that are not answered, scans that break off."""

from __future__ import annotations

from typing import Any

import grpc
import pyarrow as pa
import pytest

from jukebox.errors import StorageError
from jukebox.stores.bigtable import BigtableStore, mutations
from jukebox.stores.bigtable.places import parsed
from tests.stores.bigtable.test_faults import START, UNAVAILABLE, plays, refusing, rows_of, write
from tests.stores.bigtable.test_limits import Listening

RESET = (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2")
GONE = (grpc.StatusCode.UNAVAILABLE, "the connection is lost")
BROKEN = (grpc.StatusCode.INTERNAL, "a bug")


class Failing(grpc.UnaryStreamClientInterceptor, grpc.UnaryUnaryClientInterceptor):
    """Breaks calls of a method off after ``rows`` answers each, as often as ``times`` says."""

    def __init__(self, method: str, said: Any, *, times: int = 0, rows: int = 0) -> None:
        self.method, self.said, self.times, self.rows, self.calls = method, said, times, rows, 0

    def _is_due(self, details: Any) -> bool:
        if not details.method.endswith(f"/{self.method}"):
            return False
        self.calls += 1
        self.times -= 1
        return self.times >= 0

    def intercept_unary_stream(self, continuation, details, request):
        """Break a stream off."""
        call = continuation(details, request)
        return _Broken(call, self.rows, self.said) if self._is_due(details) else call

    def intercept_unary_unary(self, continuation, details, request):
        """Lose an answer: the server has done what it was asked for."""
        call = continuation(details, request)
        if not self._is_due(details):
            return call
        call.result()
        raise _Broken(call, 0, self.said)


class _Broken(grpc.RpcError):
    def __init__(self, call, rows, said):
        self._call, self._rows, self._said = call, rows, said

    def __iter__(self):
        for number, answer in enumerate(self._call):
            if number == self._rows:
                break
            yield answer
        raise self

    def code(self):
        """What gRPC calls it."""
        return self._said[0]

    def details(self):
        """What is told of it."""
        return self._said[1]

    def cancel(self):
        """Cancel the call."""
        self._call.cancel()


def failing(uri: str, method: str, said: Any, **about: Any) -> tuple[BigtableStore, Failing]:
    """Return a store whose calls of a method fail when ``times`` is set."""
    between = Failing(method, said)
    return BigtableStore(parsed(uri), interceptors=[between], **about), between


@pytest.mark.parametrize("said", [RESET, GONE])
@pytest.mark.parametrize("method", ["MutateRows", "ReadRows"])
def test_a_reset_connection_is_tried_again(bigtable: str, method: str, said: Any) -> None:
    """An internal error that tells of it is none of the server's."""
    store, between = failing(bigtable, method, said)
    write(store, rows_of(10))
    between.times = 2
    write(store, rows_of(3_000))
    assert plays(store, 3_000) == [rows_of(1)["plays"][0].as_py()] * 3_000
    assert between.times < 0


def test_a_read_that_is_broken_off_asks_again_for_what_has_not_come(bigtable: str) -> None:
    """The rows that came before the connection broke are not asked for twice, and the answer is whole."""
    ear, between = Listening("ReadRows"), Failing("ReadRows", GONE, rows=40)
    store = BigtableStore(parsed(bigtable), interceptors=[ear, between])
    write(store, rows_of(100))
    between.times = 1
    assert plays(store, 100) == [START] * 100
    assert [len(request.rows.row_keys) for request in ear.heard][-2:] == [100, 60]


@pytest.mark.parametrize("method", ["MutateRows", "ReadRows", "CheckAndMutateRow"])
def test_another_internal_error_is_told_at_once(bigtable: str, method: str) -> None:
    """It would come again."""
    store, between = failing(bigtable, method, BROKEN)
    write(store, rows_of(10))
    between.times = 1
    with pytest.raises(StorageError, match="cannot be used: INTERNAL: a bug"):
        write(store, rows_of(10), version=2)
    assert between.times == 0


@pytest.mark.parametrize("lost", [1, 2])
def test_a_flip_whose_answer_is_lost_is_done(bigtable: str, lost: int) -> None:
    """A load that took hours does not end in an error, nor does the table's making, hiding and forgetting."""
    store, between = failing(bigtable, "CheckAndMutateRow", GONE)
    between.times = lost
    write(store, rows_of(3))
    assert (store.versions("t").current, store.versions("t").held) == (1, (1,))
    write(store, rows_of(2), version=2)
    between.times = lost
    store.serve("t", 2)
    assert plays(store, 3)[2] is None
    between.times = lost
    store.drop("t")
    assert store.versions("t").held == ()
    assert between.times < 0


def test_what_stands_is_asked_for_as_patiently_as_rows_are_written(bigtable: str) -> None:
    """A load of rows between milliseconds has its patience for that too, and not a read's."""
    store, between = failing(bigtable, "ReadRows", GONE, timeout=0.2, patience=30)
    times = pa.array([1_700_000_000_000_001], pa.timestamp("us", "UTC"))
    write(store, pa.table({"user": [0], "at": times, "plays": [1]}))
    # The first tells of layouts, the others of what stands: their waits come to more than a read's time.
    original = store._look

    def looked() -> Any:
        found = original()
        between.times = 4
        return found

    store._look = looked  # type: ignore[method-assign]
    write(store, pa.table({"user": [0], "at": times, "plays": [2]}))
    store._look = original  # type: ignore[method-assign]
    between.times = 0
    assert plays(store, 1) == [2]


def test_a_scan_that_breaks_off_goes_on_where_it_was(bigtable: str) -> None:
    """Every key is listed once, however often, and all are taken away."""
    store, between = failing(bigtable, "ReadRows", GONE)
    write(store, rows_of(500))
    between.times, between.rows = 3, 100
    found = [user for (user,) in store.keys("user")]
    assert sorted(found) == list(range(500))
    assert between.calls >= 4
    between.times = 0
    store.versions("t")
    catalog, between.calls = 2, 0  # reads of layouts come before a scan, and one after
    between.times, between.rows = catalog + 1, 200
    store.drop("t")
    assert list(store.keys("user")) == []


def test_a_load_that_gives_up_tells_what_is_there(bigtable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five requests the second is never taken: its rows are counted, and so are those that came."""
    monkeypatch.setattr(mutations, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr("jukebox.stores.bigtable.writing.ROWS_AT_ONCE", 10)
    monkeypatch.setattr(mutations, "UNDER_WAY", 1)
    keys: list[bytes] = []

    def code(_: int, key: bytes) -> int | None:
        keys.append(key)
        return UNAVAILABLE if len(keys) > 10 else None

    store, _ = refusing(bigtable, code, patience=0.3)
    with pytest.raises(StorageError, match=r"^(\d+) of 50 rows .*; 10 are there, the others were not tried any more"):
        write(store, rows_of(50))
    assert sum(found is not None for found in plays(store, 50)) == 10


def test_rows_that_are_not_taken_away_are_counted(bigtable: str) -> None:
    """Nobody has counted the rows of a table that goes."""
    store, _ = refusing(bigtable, lambda attempt, _: 7 if attempt > 1 else None)
    write(store, rows_of(20))
    with pytest.raises(StorageError, match=r"^20 rows could not be written to .*refused with 7; the rest is there"):
        store.drop("t")
