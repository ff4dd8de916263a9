"""Writing rows in bulk: several requests under way, every mutation's status looked at, what failed tried again.

Each row is one entry and so atomic. All mutations name their timestamps, so that one may be applied twice.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from jukebox.core.coordinates import entity_and_key
from jukebox.errors import JukeboxError, StorageError
from jukebox.stores.bigtable.connection import MutateRows, grpc
from jukebox.stores.bigtable.patience import Patience, is_passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jukebox.stores.bigtable.connection import Connection
    from jukebox.stores.bigtable.places import Place

ROWS_AT_ONCE, BYTES_AT_ONCE = 4_000, 4 * 2**20
MUTATIONS_AT_ONCE = 100_000  # more Bigtable takes in no request
UNDER_WAY = 4
LONGEST_CALL = 60.0  # seconds
_SHOWN = 3


def request_of(place: Place) -> Any:
    """Return a request that writes to a table, without entries yet."""
    return MutateRows(table_name=place.path, app_profile_id=place.app_profile)


@dataclass
class Batch:
    """A request's entries, and how patient it is: from its first sending on."""

    request: Any
    patience: Patience | None = None
    lost: str = ""

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return len(self.request.entries)


@dataclass
class Failures:
    """The rows that were given up, by what the server said, and the first of their keys."""

    counts: Counter[str] = field(default_factory=Counter)
    keys: list[bytes] = field(default_factory=list)

    def add(self, key: bytes, why: str) -> None:
        """Count a row."""
        self.counts[why] += 1
        if len(self.keys) < _SHOWN:
            self.keys.append(key)

    @property
    def total(self) -> int:
        """How many rows they are."""
        return sum(self.counts.values())

    def error(self, where: object, rows: int | None, there: str) -> StorageError:
        """Return what to raise of so many ``rows``, None where nobody has counted them; ``there`` are the others."""
        said = "; ".join(f"{number:,} times {why}" for why, number in self.counts.most_common(_SHOWN))
        shown = ", ".join(map(_named, self.keys))
        of = f"{self.total:,} rows" if rows is None else f"{self.total:,} of {rows:,} rows"
        return StorageError(
            f"{of} could not be written to {where}, the first are {shown}: {said}; "
            f"{there}, and the same load again completes it"
        )


class Bulk:
    """Batches on their way to one table; ``settled`` is told of every row that is done with."""

    def __init__(self, connection: Connection, *, patience: float, settled: Callable[[int], None]) -> None:
        self._connection, self._seconds, self._settled = connection, patience, settled
        self._under_way: deque[tuple[Any, Batch]] = deque()
        self._later: list[tuple[float, int, Batch]] = []
        self._numbers = count()
        self.failures, self.written = Failures(), 0

    def send(self, batches: Iterable[Batch]) -> None:
        """Write all batches; raises StorageError at once where the server takes none for so long as is patience.

        Rows that it refuses one by one are in ``failures``.
        """
        try:
            for batch in batches:
                self._start(batch)
                self._start_what_is_due()
            while self._under_way or self._later:
                if not self._under_way:
                    time.sleep(max(0.0, self._later[0][0] - time.monotonic()))
                    self._start_what_is_due()
                else:
                    self._settle()
        finally:
            for call, _ in self._under_way:
                call.cancel()

    def _start_what_is_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._start(heapq.heappop(self._later)[2])

    def _start(self, batch: Batch) -> None:
        while len(self._under_way) >= UNDER_WAY:
            self._settle()
        if batch.patience is None:
            batch.patience = Patience(time.monotonic() + self._seconds)
        timeout = min(batch.patience.left(), LONGEST_CALL)
        self._under_way.append((self._connection.call("MutateRows", batch.request, timeout), batch))

    def _settle(self) -> None:
        call, batch = self._under_way.popleft()
        waiting, refused = set(range(batch.rows)), {}
        given_up = self.failures.total
        try:
            for answer in call:
                for entry in answer.entries:
                    waiting.discard(entry.index)
                    if entry.status.code != 0:
                        refused[entry.index] = entry.status
        except grpc.RpcError as exc:
            if not is_passing(exc.code(), exc.details()):
                raise
            batch.lost = f"{exc.code().name}: {exc.details()}"
        again = list(waiting)
        for index, status in refused.items():
            if is_passing(status.code):
                again.append(index)
                batch.lost = status.message
            else:
                self.failures.add(batch.request.entries[index].row_key, status.message)
        done = batch.rows - len(again)
        self.written += done - (self.failures.total - given_up)
        self._settled(done)
        if again:
            self._again(batch, sorted(again))

    def _again(self, batch: Batch, indices: list[int]) -> None:
        entries = [batch.request.entries[index] for index in indices]
        when = None if batch.patience is None else batch.patience.next()
        if when is None:
            for entry in entries:
                self.failures.add(entry.row_key, batch.lost or "no answer came")
            raise _GaveUp
        request = request_of(self._connection.place)
        request.entries.extend(entries)
        later = Batch(request, batch.patience, batch.lost)
        heapq.heappush(self._later, (when, next(self._numbers), later))


class _GaveUp(Exception):
    """A batch has been tried for as long as is patience."""


def apply(
    connection: Connection,
    batches: Iterable[Batch],
    rows: int | None = None,
    *,
    patience: float,
    settled: Callable[[int], None] = lambda _: None,
) -> None:
    """Make the table hold all ``batches``, of so many ``rows`` if that is known; each is tried ``patience`` seconds.

    Raises StorageError that counts the rows which could not be written and shows the first keys, and gRPC's errors
    where a whole request was refused. Rows that are not tried any more are not among the failures: then the error
    tells how many are written.
    """
    bulk = Bulk(connection, patience=patience, settled=settled)
    try:
        bulk.send(batches)
    except _GaveUp as exc:
        there = f"{bulk.written:,} are there, the others were not tried any more"
        raise bulk.failures.error(connection.place, rows, there) from exc
    if bulk.failures.counts:
        raise bulk.failures.error(connection.place, rows, "the rest is there")


def _named(key: bytes) -> str:
    try:
        entity, values = entity_and_key(key)
    except JukeboxError:
        return repr(key)
    return f"{entity} {', '.join(map(str, values))}"
