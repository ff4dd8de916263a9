"""Opening an MLMD store on SQLite, and calling it: bounded waiting, errors that name the file."""

from __future__ import annotations

import os
import random
import secrets
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores.mlmd.library import MetadataStore, pb, status

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

SCHEME = "mlmd+sqlite://"
PATIENCE = 30.0  # seconds that a call waits for other writers
CLASHES = 100
_READ_ONLY = pb.SqliteMetadataSourceConfig.READONLY
_READ_WRITE = pb.SqliteMetadataSourceConfig.READWRITE
_CREATE = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
_PASSED_ON = (status.AlreadyExistsError, status.NotFoundError)


class Store:
    """An open MLMD store; a call on it waits for other writers, up to PATIENCE, and then raises StorageError."""

    def __init__(self, path: Path, raw: MetadataStore) -> None:
        self.path, self.raw = path, raw

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Return what the MetadataStore's ``method`` returns; AlreadyExists and NotFound are passed on."""
        try:
            return _patiently(lambda: getattr(self.raw, method)(*args, **options), status.AbortedError)
        except _PASSED_ON:
            raise
        except status.AbortedError as exc:
            raise StorageError(f"{self.path} has been locked by another process for {PATIENCE:.0f} seconds") from exc
        except status.StatusError as exc:
            raise StorageError(f"{self.path} refused {method}: {exc.message.splitlines()[0]}") from exc

    def unmet(self, attempt: Callable[[], T]) -> T:
        """Return what ``attempt`` returns, tried again as long as another writer makes first what it makes.

        Each time means that the other got on; after CLASHES times raises StorageError.
        """
        for _ in range(CLASHES):
            try:
                return attempt()
            except status.AlreadyExistsError:  # noqa: PERF203 - it is what the loop is for
                continue
        raise StorageError(f"{self.path} is being changed by others: {CLASHES} attempts met their changes")


def path_of(uri: str) -> Path:
    """Return the file of ``mlmd+sqlite://relative.db`` or ``mlmd+sqlite:///absolute.db``."""
    if not uri.startswith(SCHEME) or uri == SCHEME:
        raise InvalidValue(f"'{uri}' names no file; it is written {SCHEME}relative.db or {SCHEME}/absolute.db")
    return Path(uri.removeprefix(SCHEME))


def connect(path: Path, *, create: bool) -> Store:
    """Return the store at ``path``; ``create`` opens it for writing, and makes it where no file is.

    Raises StorageError for what is no MLMD store, or is one of another schema version than the library's.
    """
    if not path.exists():
        if not create:
            raise StorageError(f"there is no metadata store at {path}")
        _create(path)
    _require_mlmd(path, empty=create)
    mode = _READ_WRITE if create else _READ_ONLY
    try:
        return Store(path, _patiently(lambda: _open(path, mode), RuntimeError, unless=_is_final))
    except RuntimeError as exc:
        raise StorageError(f"{path} cannot be opened: {str(exc).splitlines()[0]}") from exc


def _create(path: Path) -> None:
    # A store is made under another name and linked when it is whole: those who open it at once never meet half of it.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _open(draft, _CREATE)
        _link(draft, path)
    except (OSError, RuntimeError) as exc:
        raise StorageError(f"{path} cannot be made: {exc}") from exc
    finally:
        with suppress(OSError):
            draft.unlink()


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first
    except OSError:
        _patiently(lambda: _open(path, _CREATE), RuntimeError, unless=_is_final)  # a file system without links


def _open(path: Path, mode: int) -> MetadataStore:
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mode
    config.retry_options.max_num_retries = 1  # its own retries sleep for seconds; ours are in _patiently
    return MetadataStore(config)


def _require_mlmd(path: Path, *, empty: bool) -> None:
    # Not mode=ro: what a killed writer left half done is rolled back by the next one who opens the file.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError as exc:
        raise StorageError(f"{path} cannot be read: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise StorageError(f"{path} is no ML Metadata store: {exc}") from exc
    # Another process may be making its tables just now: some of them are enough, MLMD itself waits for the rest.
    if not tables & {"MLMDEnv", "Type", "Artifact"} and not (empty and not tables):
        found = ", ".join(sorted(tables)[:5]) or "no table"
        raise StorageError(f"{path} is no ML Metadata store; it holds {found}")


def _is_final(error: Exception) -> bool:
    return "library version" in str(error) or "unable to open" in str(error)


def _patiently(
    call: Callable[[], T], on: type[Exception], *, unless: Callable[[Exception], bool] = lambda _: False
) -> T:
    deadline, pause = time.monotonic() + PATIENCE, 0.01
    while True:
        try:
            return call()
        except on as exc:
            if unless(exc) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0, pause))  # noqa: S311 - so that waiting writers do not meet again
        pause = min(2 * pause, 1.0)
