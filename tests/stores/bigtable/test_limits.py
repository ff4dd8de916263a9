"""What Bigtable takes in one request, which its emulator does not hold to: every request keeps within it."""

from __future__ import annotations

from typing import Any

import grpc
import pyarrow as pa
import pytest

from jukebox.errors import InvalidValue
from jukebox.stores.bigtable import BigtableStore, cells, writing
from jukebox.stores.bigtable.places import parsed

MUTATIONS, REQUEST = 100_000, 512 * 2**10  # of a MutateRows request, and bytes of a ReadRows request
START = 1_700_000_000_000


class Listening(grpc.UnaryStreamClientInterceptor):
    """Keeps the requests of a method."""

    def __init__(self, method: str) -> None:
        self.method, self.heard = method, []

    def intercept_unary_stream(self, continuation, details, request):
        """Pass the call on."""
        if details.method.endswith(self.method):
            self.heard.append(type(request).FromString(request.SerializeToString()))
        return continuation(details, request)


def heard(uri: str, method: str) -> tuple[BigtableStore, list[Any]]:
    """Return a store, and the requests that it sends."""
    ear = Listening(method)
    return BigtableStore(parsed(uri), interceptors=[ear]), ear.heard


def mutations(requests: list[Any]) -> list[int]:
    """Return how many mutations each request has."""
    return [sum(len(entry.mutations) for entry in request.entries) for request in requests]


def wide(rows: int, features: int) -> pa.Table:
    """Rows of so many features."""
    at = pa.array([START] * rows, pa.timestamp("ms", "UTC"))
    return pa.table({"user": range(rows), "at": at, **{f"f{n}": range(rows) for n in range(features)}})


def test_no_request_has_more_mutations_than_bigtable_takes(bigtable: str) -> None:
    """A cell a feature: 2,000 rows of 60 features are 122,000 mutations, to write as to take away."""
    store, requests = heard(f"{bigtable}?cells=columns", "MutateRows")
    store.write("t", wide(2_000, 60), keys=["user"], event_time="at")
    assert (sum(mutations(requests)), len(requests)) == (2_000 * 61, 2)
    assert max(mutations(requests)) <= MUTATIONS
    assert [row.values["f59"] for row in store.read("t", [{"user": 0}, {"user": 1_999}])] == [0, 1_999]
    requests.clear()
    store.drop("t")
    assert sum(mutations(requests)) == 2_000 * 60
    assert max(mutations(requests)) <= MUTATIONS
    assert list(store.keys("user")) == []


def test_what_a_row_beats_counts_too(bigtable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows of each key within a millisecond stand, and go with the entries that write the sixth."""
    store, requests = heard(bigtable, "MutateRows")

    def write(micros: int) -> None:
        at = pa.array([START * 1_000 + micros] * 50, pa.timestamp("us", "UTC"))
        rows = pa.table({"user": range(50), "at": at, "plays": [micros] * 50})
        store.write("t", rows, keys=["user"], event_time="at")

    monkeypatch.setattr(writing.Writing, "_standing", lambda *_: {})
    for micros in range(1, 6):
        write(micros)
    monkeypatch.undo()
    monkeypatch.setattr(writing, "MUTATIONS_AT_ONCE", 60)
    requests.clear()
    write(6)
    assert sum(mutations(requests)) == 50 * 6
    assert max(mutations(requests)) <= 60
    assert {row.values["plays"] for row in store.read("t", [{"user": user} for user in range(50)])} == {6}


def test_many_people_are_forgotten_in_requests_that_bigtable_takes(bigtable: str) -> None:
    """A hundred thousand and one, of whom one is there."""
    store, requests = heard(bigtable, "MutateRows")
    store.write("t", wide(2, 1), keys=["user"], event_time="at")
    requests.clear()
    store.forget("user", [(user,) for user in range(1, MUTATIONS + 2)])
    assert sum(mutations(requests)) == MUTATIONS + 1
    assert max(len(request.entries) for request in requests) <= 4_000
    assert list(store.keys("user")) == [(0,)]


def test_long_keys_are_asked_for_in_requests_that_bigtable_takes(bigtable: str) -> None:
    """A thousand keys of 3 KB are 3 MB, in one read."""
    store, requests = heard(bigtable, "ReadRows")
    users = [f"{n:04}{'x' * 3_000}" for n in range(1_000)]
    at = pa.array([START] * len(users), pa.timestamp("ms", "UTC"))
    store.write("t", pa.table({"user": users, "at": at, "plays": range(1_000)}), keys=["user"], event_time="at")
    requests.clear()
    found = store.read("t", [{"user": user} for user in users])
    assert [row.values["plays"] for row in found if row is not None] == list(range(1_000))
    assert max(request.ByteSize() for request in requests) < REQUEST
    assert sum(len(request.rows.row_keys) for request in requests) == len(users)


@pytest.mark.parametrize("sizes", [[], [1], [9] * 5, [1] * 25, [11, 1, 30, 2], [10]])
def test_cut_keys_are_all_there_in_their_order(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """In runs of ten keys and ten bytes, or of one key."""
    monkeypatch.setattr(cells, "_KEYS_AT_ONCE", 10)
    monkeypatch.setattr(cells, "_BYTES_AT_ONCE", 10)
    keys = [bytes([number]) * size for number, size in enumerate(sizes)]
    runs = [list(run) for run in cells._cut(keys)]
    assert [key for run in runs for key in run] == keys
    assert all(len(run) == 1 or (len(run) <= 10 and sum(map(len, run)) <= 10) for run in runs if run)
    assert [] not in runs or keys == []


def test_a_row_that_no_cell_takes_is_refused_before_anything_is_written(
    bigtable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Great lists, and bools that are small in Arrow, among rows that would do."""
    monkeypatch.setattr(writing, "LARGEST_CELL", 1_000)
    store = BigtableStore(parsed(bigtable))
    for number, large in enumerate(([0.5] * 126, [True] * 1_001)):
        at = pa.array([START] * 3, pa.timestamp("ms", "UTC"))
        rows = pa.table({"user": range(3), "at": at, "value": [large[:1], large, None]})
        with pytest.raises(InvalidValue, match=r"a row of 1,0\d\d bytes is larger than Bigtable's 1,000 a cell"):
            store.write("t", rows, keys=["user"], event_time="at")
        assert store.versions("t").held == ()
        store.write(f"fits {number}", rows.filter(pa.array([True, False, True])), keys=["user"], event_time="at")


def test_fifty_megabytes_in_one_value_come_back(bigtable: str) -> None:
    """A list of 6.5 million numbers: the value lies in chunks on its way back."""
    store = BigtableStore(parsed(bigtable), timeout=120)
    numbers = pa.array(range(6_553_600), pa.float64())
    lists = pa.ListArray.from_arrays(pa.array([0, len(numbers)], pa.int32()), numbers)
    rows = pa.table({"user": [1], "at": pa.array([START], pa.timestamp("ms", "UTC")), "value": lists})
    store.write("t", rows, keys=["user"], event_time="at")
    [row] = store.read("t", [{"user": 1}])
    assert row is not None
    assert pa.array(row.values["value"]).equals(numbers)
