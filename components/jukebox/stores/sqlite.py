"""The embedded online store: one SQLite file, laid out as a wide-column table is, (table, row key) to packed cell.

::

    tables  id, name, version, served, layout   the columns of a table's version, fixed by its first write
    cells   table_id, key, event, created, cell

``key`` is ``core.rowkeys``, ``cell`` is ``core.cells``; ``event`` and ``created`` repeat the cell's times so that SQL
can compare them, as integers in the unit of the table's column, the least integer where there is none.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import rowkeys
from jukebox.core.asof_times import LOWEST
from jukebox.core.layouts import Layout, Row, layout_from_bytes, layout_of
from jukebox.core.newest import newest_rows, ranks
from jukebox.errors import CorruptData, InvalidValue, NotRegistered
from jukebox.stores import Versions, Written, require_ascending
from jukebox.stores.sqlite_file import opened, transaction, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

    from jukebox.stores import Loaded

_ROWS_AT_ONCE, _KEYS_AT_ONCE = 10_000, 900  # SQLite before 3.32 takes 999 parameters

_INCOMING = """CREATE TEMP TABLE IF NOT EXISTS incoming (
    key BLOB PRIMARY KEY, event INTEGER, created INTEGER, cell BLOB) WITHOUT ROWID"""
_COUNT_OLDER = """SELECT count(*) FROM incoming AS i JOIN cells AS c ON c.table_id = ? AND c.key = i.key
    WHERE (c.event, c.created) > (i.event, i.created)"""
_UPSERT = """INSERT INTO cells SELECT ?, key, event, created, cell FROM incoming WHERE true
    ON CONFLICT (table_id, key) DO UPDATE
    SET event = excluded.event, created = excluded.created, cell = excluded.cell
    WHERE (excluded.event, excluded.created) > (cells.event, cells.created)
    OR ((excluded.event, excluded.created) = (cells.event, cells.created) AND excluded.cell <> cells.cell)"""


def open_online(uri: str) -> SqliteStore:
    """Return the store at ``sqlite://<path>``; its file is made by the first write."""
    path = uri.removeprefix("sqlite://")
    if path == "":
        raise InvalidValue(f"'{uri}' names no file; an online store is sqlite://<path>")
    return SqliteStore(path)


class SqliteStore:
    """An OnlineStore in a file, for any number of threads and processes of one machine.

    A writer waits up to ``patience`` seconds for another one, then raises StorageError; readers wait for nobody.
    """

    def __init__(self, path: str | Path, *, patience: float = 30.0) -> None:
        self._path, self._patience = Path(path), patience
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0

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
        """Make the store hold the newest row of each key, in transactions of 10,000 rows; see ``OnlineStore``."""
        given = layout_of(rows.schema, keys=keys, event_time=event_time, created_time=created_time, entity=entity)
        best = newest_rows(given, given.fitted(rows))
        done = older = rows.num_rows - best.num_rows
        written = 0
        with self._connected(create=True) as connection:
            number, layout = _declared(connection, table, given, version)
            for batch in layout.fitted(best).combine_chunks().to_batches(max_chunksize=_ROWS_AT_ONCE):
                changed, beaten = _stored(connection, number, layout, batch)
                written, older, done = written + changed, older + beaten, done + len(batch)
                if progress is not None:
                    progress(done, rows.num_rows)
        return Written(rows.num_rows, written, older)

    def read(
        self, table: str, entities: Sequence[Mapping[str, Any]], *, timeout: float | None = None
    ) -> list[Row | None]:
        """Return the row of each entity, None where there is none, as all stood at one moment; see ``OnlineStore``."""
        return self.read_tables([(table, entities)], timeout=timeout)[0]

    def read_tables(
        self,
        asked: Sequence[tuple[str, Sequence[Mapping[str, Any]]]],
        *,
        timeout: float | None = None,  # noqa: ARG002 - nobody is waited for
    ) -> list[list[Row | None]]:
        """Return for each table and its entities what ``read`` returns, all of it as it stood at one moment."""
        with self._connected(create=False) as connection, transaction(connection, "BEGIN"):
            return [self._rows(connection, table, entities) for table, entities in asked]

    def layout(self, table: str) -> Layout:
        """Return a table's columns, keys, times and types; raises NotRegistered for a table that is not there."""
        with self._connected(create=False) as connection:
            return self._known(connection, table)[1]

    def tables(self) -> list[str]:
        """Return the names of the tables, in order."""
        with self._connected(create=False) as connection:
            return _table_names(connection)

    def versions(self, table: str) -> Versions:
        """Return the versions of a table; of one that is not there none are held."""
        if not self._path.exists():
            return Versions(None, ())
        with self._connected(create=False) as connection:
            return _versions(connection, table)

    def serve(self, table: str, version: int) -> None:
        """Make a table's version the one that is served; raises NotRegistered where it is not there."""
        with self._connected(create=False) as connection, transaction(connection):
            if version not in _versions(connection, table).held:
                raise NotRegistered(f"online table '{table}' in {self._path} has no version {version}")
            connection.execute("UPDATE tables SET served = (version = ?) WHERE name = ?", (version, table))

    def drop(self, table: str, version: int | None = None) -> None:
        """Take away a version of a table that is not served, or the table, whole; see ``OnlineStore``."""
        if not self._path.exists():
            return
        with self._connected(create=False) as connection, transaction(connection):
            if version is not None and version == _versions(connection, table).current:
                raise InvalidValue(f"version {version} of online table '{table}' is the one that is served")
            which = "name = ? AND version = coalesce(?, version)"
            numbers = f"SELECT id FROM tables WHERE {which}"  # noqa: S608 - the condition is ours
            connection.execute(f"DELETE FROM cells WHERE table_id IN ({numbers})", (table, version))  # noqa: S608
            connection.execute(f"DELETE FROM tables WHERE {which}", (table, version))  # noqa: S608

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _rows(
        self, connection: sqlite3.Connection, table: str, entities: Sequence[Mapping[str, Any]]
    ) -> list[Row | None]:
        number, layout = self._known(connection, table)
        keys = [layout.row_key(entity) for entity in entities]
        wanted = list({key for key in keys if key is not None})
        cells: dict[bytes, bytes] = {}
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            some = wanted[start : start + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, cell FROM cells WHERE table_id = ? AND key IN ({marks})"  # noqa: S608 - marks alone
            cells.update(connection.execute(query, (number, *some)))
        return [layout.row(cells[key]) if key in cells else None for key in keys]

    def _known(self, connection: sqlite3.Connection, table: str) -> tuple[int, Layout]:
        found = _find(connection, table, None)
        if found is None:
            names = ", ".join(_table_names(connection)) or "none"
            raise NotRegistered(f"online table '{table}' is not in {self._path}; there is {names}")
        return found

    @contextmanager
    def _connected(self, *, create: bool) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path, self._patience):
            # A connection that a fork has copied may not be used.
            if self._connection is None or self._process != os.getpid():
                self._connection, self._process = opened(self._path, self._patience, create=create), os.getpid()
            yield self._connection


def _declared(connection: sqlite3.Connection, table: str, layout: Layout, version: int | None) -> tuple[int, Layout]:
    with transaction(connection):
        there = _versions(connection, table)
        number = version or there.current or 1
        require_ascending(there, table, version)
        statement = """INSERT INTO tables (name, version, served, layout) VALUES (?, ?, ?, ?)
            ON CONFLICT (name, version) DO UPDATE SET served = served OR excluded.served"""
        connection.execute(statement, (table, number, version is None, layout.to_bytes()))
        found = _find(connection, table, number)
    if found is None:
        raise CorruptData(f"online table '{table}' is gone")
    found[1].require_roles(layout, table)
    return found


def _find(connection: sqlite3.Connection, table: str, version: int | None) -> tuple[int, Layout] | None:
    which = "SELECT id, layout FROM tables WHERE name = ? AND CASE WHEN ? IS NULL THEN served ELSE version = ? END"
    found = connection.execute(which, (table, version, version)).fetchone()
    return None if found is None else (found[0], layout_from_bytes(found[1]))


def _versions(connection: sqlite3.Connection, table: str) -> Versions:
    query = "SELECT version, served FROM tables WHERE name = ? ORDER BY version"
    found = connection.execute(query, (table,)).fetchall()
    return Versions(next((version for version, served in found if served), None), tuple(each for each, _ in found))


def _table_names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM tables WHERE served ORDER BY name")]


def _stored(connection: sqlite3.Connection, table: int, layout: Layout, batch: pa.RecordBatch) -> tuple[int, int]:
    """Store one batch, no key twice, whole or not at all; return how many rows changed, and how many were older."""
    rows = pa.Table.from_batches([batch])
    keys = rowkeys.encode(rows, layout.key_names).to_pylist()
    columns = [*_ranks(layout, rows), layout.cells(batch).to_pylist()]
    with transaction(connection):
        connection.execute(_INCOMING)
        connection.execute("DELETE FROM incoming")
        connection.executemany("INSERT INTO incoming VALUES (?, ?, ?, ?)", zip(keys, *columns, strict=True))
        [older] = connection.execute(_COUNT_OLDER, (table,)).fetchone()
        return connection.execute(_UPSERT, (table,)).rowcount, older


def _ranks(layout: Layout, rows: pa.Table) -> list[list[int]]:
    lowest = [LOWEST] * rows.num_rows
    numbers = [ranks(rows[name]).tolist() for name in layout.time_names]
    return [numbers.pop(0) if layout.timed else lowest, numbers.pop() if layout.created else lowest]
