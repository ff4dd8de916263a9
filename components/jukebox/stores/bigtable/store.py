"""The store itself: writes, reads, versions and removal, over what the modules beside it do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jukebox.core import coordinates, rowkeys
from jukebox.core.layouts import Layout, layout_of
from jukebox.core.newest import newest_rows
from jukebox.errors import InvalidValue, NotRegistered
from jukebox.stores import Written, require_ascending
from jukebox.stores.bigtable import catalog, cells, making, mutations, reading, removing
from jukebox.stores.bigtable.connection import Connection, translated
from jukebox.stores.bigtable.patience import left
from jukebox.stores.bigtable.writing import Writing, check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from jukebox.core.layouts import Row
    from jukebox.stores import Loaded, Versions
    from jukebox.stores.bigtable.places import Place


_DOUBTFUL_AFTER = 1.0


class BigtableStore:
    """An OnlineStore in a Bigtable table, for any number of threads, processes and machines.

    A write tries each row for ``patience`` seconds, a read has ``timeout`` of them unless it is given others. Which
    version of a table is served is known for ``fresh_for`` seconds, and then asked together with the next read; after
    one second already where a row is not there, for it may be gone with its version.
    """

    def __init__(
        self,
        place: Place,
        *,
        patience: float = 120.0,
        timeout: float = 20.0,
        fresh_for: float = 30.0,
        interceptors: Sequence[Any] = (),
    ) -> None:
        self.place, self._patience, self._timeout, self._fresh_for = place, patience, timeout, fresh_for
        self._connection = Connection(place, interceptors)
        self._known: dict[str, catalog.Known] = {}
        self._looked = float("-inf")

    def write(
        self,
        table: str,
        rows: pa.Table,
        *,
        keys: Sequence[str],
        event_time: str | None,
        created_time: str | None = None,
        entity: str | None = None,
        version: int | None = None,
        progress: Loaded | None = None,
    ) -> Written:
        """Make the store hold the newest row of each key; see ``OnlineStore``.

        A row is sent without a look at what stands there; but where it has a created time or an event time between
        milliseconds, what stands is asked for first: ``older`` counts the rows that were beaten already.
        """
        given = layout_of(rows.schema, keys=keys, event_time=event_time, created_time=created_time, entity=entity)
        best = newest_rows(given, given.fitted(rows))
        check(given, best)
        coordinates.column(table, 1)
        number, layout = self._declared(table, given, version)
        writing = Writing(self._connection, coordinates.column(table, number), layout, self._patience)
        done = rows.num_rows - best.num_rows
        older = done

        def settled(some: int) -> None:
            nonlocal done
            done += some
            if progress is not None:
                progress(done + writing.older, rows.num_rows)

        with translated(self.place):
            batches = writing.batches(layout.fitted(best))
            mutations.apply(self._connection, batches, best.num_rows, patience=self._patience, settled=settled)
        older += writing.older
        return Written(rows.num_rows, rows.num_rows - older, older)

    def read(
        self, table: str, entities: Sequence[Mapping[str, Any]], *, timeout: float | None = None
    ) -> list[Row | None]:
        """Return the row of each entity, None where there is none; see ``OnlineStore``."""
        return self.read_tables([(table, entities)], timeout=timeout)[0]

    def read_tables(
        self, asked: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], *, timeout: float | None = None
    ) -> list[list[Row | None]]:
        """Return for each table and its entities what ``read`` returns, in requests that are under way together."""
        seconds = self._timeout if timeout is None else timeout
        end = time.monotonic() + seconds
        while True:
            served = [self._served(table, end) for table, _ in asked]
            question = reading.Question(
                [
                    (coordinates.column(table, number), layout, entities)
                    for (table, entities), (number, layout) in zip(asked, served, strict=True)
                ]
            )
            requests = question.requests
            stale = time.monotonic() - self._looked > self._fresh_for
            if stale:
                requests.append(catalog.REQUEST)
            with translated(self.place):
                found = cells.read(self._connection, requests, left(end))
            if stale:
                self._learn(catalog.told(self.place, found.pop(catalog.KEY, [])))
                if [self._served(table, end) for table, _ in asked] != served:
                    continue
            answers = question.answers(found)
            if self._is_doubtful(answers):
                self._learn(catalog.read(self._connection, left(end)))
                if [self._served(table, end) for table, _ in asked] != served:
                    continue
            return answers

    def layout(self, table: str) -> Layout:
        """Return a table's columns, keys, times and types; raises NotRegistered for a table that is not there."""
        if time.monotonic() - self._looked > self._fresh_for:
            self._look()
        return self._served(table, time.monotonic() + self._timeout)[1]

    def tables(self) -> list[str]:
        """Return the names of the tables that are served, in order."""
        return [table for table, known in self._look().items() if known.current is not None]

    def versions(self, table: str) -> Versions:
        """Return the versions of a table; of one that is not there none are held."""
        return self._found(table).versions

    def serve(self, table: str, version: int) -> None:
        """Make a table's version the one that is served, in one moment; raises NotRegistered where it is not there.

        Other processes see it when their knowledge is no longer fresh; until then the former version is there.
        """
        catalog.serve(self._connection, table, version)
        self._look()

    def drop(self, table: str, version: int | None = None) -> None:
        """Take away a version of a table, or the table; see ``OnlineStore``. Broken off, it is done by another call."""
        held = self.versions(table)
        if version is not None and version == held.current:
            raise InvalidValue(f"version {version} of online table '{table}' is the one that is served")
        if version is None and held.current is not None:
            catalog.hide(self._connection, table)
        for number in held.held if version is None else {version} & set(held.held):
            layout = self._known[table].layouts[number]
            with translated(self.place):
                emptied = removing.emptied(self._connection, coordinates.column(table, number), layout.entity)
                mutations.apply(self._connection, emptied, patience=self._patience)
            catalog.forget(self._connection, table, number)
        if held.held:
            self._look()

    def keys(self, entity: str) -> Iterator[tuple[Any, ...]]:
        """Yield the keys of all rows of an entity, of whatever table, in the order of salt and key."""
        with translated(self.place):
            yield from reading.keys_of(self._connection, entity)

    def forget(self, entity: str, keys: Sequence[Sequence[Any]]) -> None:
        """Take away the whole rows of these keys of an entity, whatever table's features they hold."""
        rows = (coordinates.row_key(entity, rowkeys.encode_one(key)) for key in keys)
        with translated(self.place):
            mutations.apply(self._connection, removing.forgotten(self.place, rows), patience=self._patience)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def _is_doubtful(self, answers: Sequence[Sequence[Row | None]]) -> bool:
        """Return whether a row that is not there may have been in a version that was dropped since the last look."""
        old = time.monotonic() - self._looked > min(_DOUBTFUL_AFTER, self._fresh_for)
        return old and any(row is None for rows in answers for row in rows)

    def _found(self, table: str) -> catalog.Known:
        """Return what there is of a table by now, nothing where the Bigtable table is not there either."""
        try:
            return self._look().get(table, catalog.Known())
        except NotRegistered:
            return catalog.Known()

    def _look(self) -> dict[str, catalog.Known]:
        return self._learn(catalog.read(self._connection, self._timeout))

    def _learn(self, known: dict[str, catalog.Known]) -> dict[str, catalog.Known]:
        self._known, self._looked = known, time.monotonic()
        return known

    def _served(self, table: str, end: float) -> tuple[int, Layout]:
        known = self._known.get(table)
        if known is None or known.current is None:
            known = self._learn(catalog.read(self._connection, left(end))).get(table)
        if known is None or known.current is None:
            there = ", ".join(name for name, each in self._known.items() if each.current is not None) or "none"
            raise NotRegistered(f"online table '{table}' is not in {self.place}; there is {there}")
        return known.current, known.layouts[known.current]

    def _declared(self, table: str, given: Layout, version: int | None) -> tuple[int, Layout]:
        known = self._found(table)
        number = version or known.current or 1
        if number not in known.layouts:
            require_ascending(known.versions, table, version)
            making.make(self._connection, static=not given.timed)
            catalog.declare(self._connection, table, number, given, served=version is None)
            known = self._look()[table]
        if version is None and known.current is None:
            self.serve(table, number)
        known.layouts[number].require_roles(given, table)
        return number, known.layouts[number]
