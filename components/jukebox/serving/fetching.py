"""The online stores of a reader: opened once, and asked for all the rows of a lookup in one round."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from jukebox.errors import InvalidType, MissingColumn, SourceChanged
from jukebox.serving.rounds import Rounds
from jukebox.serving.threads import Threads
from jukebox.stores import open_online

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jukebox.core.layouts import Row
    from jukebox.serving.lookups import Lookup, TableRead
    from jukebox.stores import OnlineStore


T = TypeVar("T")
_THREADS = 64  # questions that are under way at once, those asked a second time too


class Stores:
    """Online stores by URI; ``only``, a store or its URI, stands for all of them."""

    def __init__(self, only: OnlineStore | str | None, hedge_after: float | None) -> None:
        self._only = open_online(only) if isinstance(only, str) else only
        self._ours = isinstance(only, str)
        self._opened: dict[str, OnlineStore] = {}
        self._lock = threading.Lock()
        self._threads = Threads(_THREADS, "jukebox-reader")
        self._rounds = Rounds(self._threads, hedge_after)

    @property
    def hedged(self) -> int:
        """How many questions were asked a second time."""
        return self._rounds.hedged

    def open(self, uri: str) -> OnlineStore:
        """Return the store at a URI, with the connections that it has."""
        if self._only is not None:
            return self._only
        found = self._opened.get(uri)
        if found is None:
            with self._lock:
                found = self._opened.setdefault(uri, open_online(uri))
        return found

    def rows(
        self, lookup: Lookup, entities: Sequence[Mapping[str, Any]], timeout: float | None
    ) -> list[Sequence[Row | None]]:
        """Return the rows of each group of a lookup, one for each entity.

        Raises SourceChanged where a table is no longer laid out as it was looked up, TimedOut, and the stores' errors.
        """
        by_store: dict[str, list[TableRead]] = {}
        for read in lookup.tables:
            by_store.setdefault(read.store, []).append(read)
        calls = [partial(self._read, store, reads, entities) for store, reads in by_store.items()]
        answers = dict(zip(by_store, self._rounds.all(calls, timeout), strict=True))
        place, count = dict.fromkeys(by_store, 0), len(entities)
        groups = []
        for read in lookup.tables:
            rows = answers[read.store][place[read.store]]
            place[read.store] += 1
            groups += [rows[i * count : (i + 1) * count] for i in range(len(read.ways))]
        return groups

    def within(self, seconds: float | None, call: Callable[[], T]) -> T:
        """Return what a call to whoever knows no deadline returns; raises TimedOut after ``seconds``."""
        return call() if seconds is None else self._threads.within(seconds, call)

    def check(self) -> None:
        """Ask each store that was opened for its tables; raises its errors."""
        for store in [*self._opened.values()] if self._only is None else [self._only]:
            store.tables()

    def close(self) -> None:
        """Let go of threads and of the connections that were opened here; the next call opens them again."""
        self._threads.close()
        for store in self._opened.values():
            store.close()
        if self._ours and self._only is not None:
            self._only.close()

    def _read(
        self, uri: str, reads: Sequence[TableRead], entities: Sequence[Mapping[str, Any]], timeout: float | None
    ) -> Sequence[Sequence[Row | None]]:
        store = self.open(uri)
        # Tables that are read in the same ways get the very same list, so that a store may work on it once.
        keys = {ways: [key for way in ways for key in way.rows(entities)] for ways in {r.ways for r in reads}}
        asked = [(read.table, keys[read.ways]) for read in reads]
        try:
            rows = store.read_tables(asked, timeout=timeout)
        except (MissingColumn, InvalidType):
            # The keys may be right, and the table another one than it was.
            _require_unchanged(store, reads)
            raise
        _require_unchanged(store, reads)
        return rows


def _require_unchanged(store: OnlineStore, reads: Sequence[TableRead]) -> None:
    for read in reads:
        now = store.layout(read.table)
        if now is not read.layout and now != read.layout:
            raise SourceChanged(f"online table '{read.table}' has other columns than it had", [read.table])
