"""Reading rows: one request for the keys of several tables, and the cells that its answers are put together from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from jukebox.stores.bigtable.connection import ReadRows, grpc
from jukebox.stores.bigtable.patience import Patience, is_passing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.stores.bigtable.connection import Connection

FAMILY, META = "f", "m"
# Bigtable refuses a ReadRows request of more than 512 KiB.
_KEYS_AT_ONCE, _BYTES_AT_ONCE = 1_000, 256 * 2**10
_STILL = 60.0  # seconds without a row after which a scan is given up
_WITHOUT_VALUES = {"strip_value_transformer": True}
# Nothing but that a row is there.
PLACES = {"chain": {"filters": [{"cells_per_row_limit_filter": 1}, _WITHOUT_VALUES]}}


class Cell(NamedTuple):
    """A cell of a row."""

    family: str
    qualifier: bytes
    stamp: int
    value: bytes


def columns_filter(columns: Sequence[bytes], *, stripped: bool = False) -> Any:
    """Return a filter that passes the newest cell of each qualifier of ``columns``, or but its place."""
    ranges = [
        {
            "column_range_filter": {
                "family_name": FAMILY,
                "start_qualifier_closed": of,
                "end_qualifier_open": of + b"\2",
            }
        }
        for of in columns
    ]
    some = ranges[0] if len(ranges) == 1 else {"interleave": {"filters": ranges}}
    chain = [some, {"cells_per_column_limit_filter": 1}]
    return {"chain": {"filters": [*chain, _WITHOUT_VALUES] if stripped else chain}}


def read(
    connection: Connection, asked: Sequence[tuple[Sequence[bytes], Any]], timeout: float
) -> dict[bytes, list[Cell]]:
    """Return the cells of the rows that are there, of keys with a filter each, all of them asked for at once.

    What breaks off is asked for again, but what has come, until ``timeout`` seconds have gone by. Raises gRPC's errors.
    """
    end = time.monotonic() + timeout
    found: dict[bytes, list[Cell]] = {}
    groups = [(some, filtered) for keys, filtered in asked for some in _cut(keys)]
    calls = [connection.call("ReadRows", _request(connection, *group), timeout) for group in groups]
    try:
        for group, call in zip(groups, calls, strict=True):
            _finish(connection, group, found, call, end)
    finally:
        for call in calls:
            call.cancel()
    return found


def _cut(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    if len(keys) <= _KEYS_AT_ONCE and sum(map(len, keys)) <= _BYTES_AT_ONCE:
        yield keys
        return
    start = taken = 0
    for place, key in enumerate(keys):
        if place > start and (place - start == _KEYS_AT_ONCE or taken + len(key) > _BYTES_AT_ONCE):
            yield keys[start:place]
            start, taken = place, 0
        taken += len(key)
    yield keys[start:]


def _finish(
    connection: Connection, group: tuple[Sequence[bytes], Any], found: dict[bytes, list[Cell]], call: Any, end: float
) -> None:
    patience, (keys, filtered) = Patience(end), group
    while True:
        try:
            for key, row in rows_of(call):
                found[key] = row  # noqa: PERF403 - what has come stays when the rest does not
        except grpc.RpcError as exc:  # noqa: PERF203 - an attempt
            if not is_passing(exc.code(), exc.details()) or not patience.waited():
                raise
            rest = [key for key in keys if key not in found]
            call = connection.call("ReadRows", _request(connection, rest, filtered), patience.left())
        else:
            return


def _request(connection: Connection, keys: Sequence[bytes], filtered: Any) -> Any:
    place = connection.place
    rows = {"row_keys": keys}
    return ReadRows(table_name=place.path, app_profile_id=place.app_profile, rows=rows, filter=filtered)


def scan(connection: Connection, starts: Sequence[bytes], filtered: Any) -> Iterator[tuple[bytes, list[Cell]]]:
    """Yield the rows whose keys begin with one of ``starts``, ascending, with their cells.

    What breaks off goes on after the row that came last. Raises gRPC's errors, when for a minute nothing has come.
    """
    place, ranges = connection.place, [(start, start[:-1] + bytes([start[-1] + 1])) for start in starts]
    patience = Patience(time.monotonic() + _STILL)
    while ranges:
        rows = {"row_ranges": [{"start_key_closed": start, "end_key_open": end} for start, end in ranges]}
        request = ReadRows(table_name=place.path, app_profile_id=place.app_profile, rows=rows, filter=filtered)
        call, last = connection.call("ReadRows", request, None), None
        try:
            for last, row in rows_of(call):
                yield last, row
        except grpc.RpcError as exc:
            if last is not None:
                patience = Patience(time.monotonic() + _STILL)
                ranges = [(max(start, last + b"\0"), end) for start, end in ranges if end > last]
            if not is_passing(exc.code(), exc.details()) or not patience.waited():
                raise
        else:
            return
        finally:
            call.cancel()


def rows_of(answers: Iterable[Any]) -> Iterator[tuple[bytes, list[Cell]]]:
    """Yield each row that answers hold, whole: Bigtable cuts rows and great values into chunks.

    The rules are those of ReadRowsResponse in Google's bigtable.proto.
    """
    key, family, qualifier, stamp = b"", "", b"", 0
    cells: list[Cell] = []
    parts: list[bytes] = []
    for answer in answers:
        for chunk in answer.chunks:
            if chunk.reset_row:
                cells, parts = [], []
                continue
            key = chunk.row_key or key
            if chunk.HasField("family_name"):
                family = chunk.family_name.value
            if chunk.HasField("qualifier"):
                qualifier = chunk.qualifier.value
            if not parts:
                stamp = chunk.timestamp_micros
            parts.append(chunk.value)
            if chunk.value_size > 0:
                continue
            cells.append(Cell(family, qualifier, stamp, parts[0] if len(parts) == 1 else b"".join(parts)))
            parts = []
            if chunk.commit_row:
                yield key, cells
                cells = []
