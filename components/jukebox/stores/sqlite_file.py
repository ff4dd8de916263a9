"""The file of the embedded online store: opened, made by the first writer, and refused where it is something else."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jukebox.errors import CorruptData, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_APPLICATION, _VERSION = 0x4A4B4F4E, 2  # "JKON"

_SCHEMA = (
    """CREATE TABLE tables (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, served INTEGER NOT NULL,
        layout BLOB NOT NULL, UNIQUE (name, version))""",
    """CREATE TABLE cells (
        table_id INTEGER NOT NULL REFERENCES tables (id), key BLOB NOT NULL,
        event INTEGER NOT NULL, created INTEGER NOT NULL, cell BLOB NOT NULL,
        PRIMARY KEY (table_id, key)) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)


def opened(path: Path, patience: float, *, create: bool) -> sqlite3.Connection:
    """Return a connection to a store's file, made with ``create``; raises StorageError and CorruptData."""
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise StorageError(f"there is no online store at {path}; load features into it first")
    mode = "rwc" if create else "rw"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path, patience, create=create)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, patience: float, *, create: bool) -> None:
    if _is_empty(connection, path):
        if not create:
            raise StorageError(f"there is no online store in {path}; the file is empty")
        _make(connection, path, patience)
    connection.execute("PRAGMA synchronous = NORMAL")


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    [application], [version], [things] = (
        connection.execute(query).fetchone()
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if application == 0 and things == 0:
        return True
    if application != _APPLICATION:
        raise CorruptData(f"{path} is a database of another program, not an online store of Jukebox")
    if version != _VERSION:
        raise CorruptData(f"{path} was written by another version of Jukebox: its format is {version}, not {_VERSION}")
    return False


def _make(connection: sqlite3.Connection, path: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # SQLite does not wait for a lock when it changes the journal.
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
    with transaction(connection):
        if _is_empty(connection, path):
            for statement in _SCHEMA:
                connection.execute(statement)


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Commit what is done inside, or leave all as it was."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(path: Path, patience: float) -> Iterator[None]:
    """Turn what SQLite raises into StorageError and CorruptData that name the file."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        if "locked" in str(exc) or "busy" in str(exc):
            raise StorageError(f"online store {path} was locked by another process for {patience:g} s") from exc
        raise StorageError(f"online store {path} cannot be used: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise CorruptData(f"{path} is no online store: {exc}") from exc
    except (StorageError, CorruptData):
        raise
    except OSError as exc:
        raise StorageError(f"online store {path} cannot be used: {exc}") from exc
