"""Opening an MLMD store on SQLite: made whole where no file is, refused where it is another, never migrated."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores.mlmd.connection import Store
from jukebox.stores.mlmd.library import MetadataStore, pb
from jukebox.stores.mlmd.patience import patience, patiently

SCHEME = "mlmd+sqlite"
_READ_ONLY = pb.SqliteMetadataSourceConfig.READONLY
_READ_WRITE = pb.SqliteMetadataSourceConfig.READWRITE
_CREATE = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE


def path_of(uri: str) -> Path:
    """Return the file of ``mlmd+sqlite://relative.db`` or ``mlmd+sqlite:///absolute.db``."""
    path = uri.removeprefix(f"{SCHEME}://")
    if path in ("", uri):
        raise InvalidValue(f"'{uri}' names no file; it is written {SCHEME}://relative.db or {SCHEME}:///absolute.db")
    return Path(path)


def open_file(path: Path, *, create: bool) -> Store:
    """Return the store at ``path``; ``create`` opens it for writing, and makes it where no file is.

    A store of an older schema version is refused for writing; for reading, a copy of it is migrated, which goes away
    with the Store. Raises StorageError for that, for a newer one, and for what is no MLMD store.
    """
    if not path.exists():
        if not create:
            raise StorageError(f"there is no metadata store at {path}")
        _create(path)
    _require_mlmd(path, empty=create)
    try:
        return Store(str(path), lambda: _patient(path, _READ_WRITE if create else _READ_ONLY), path)
    except RuntimeError as exc:
        if not _is_older(exc):
            raise StorageError(f"{path} cannot be opened: {str(exc).splitlines()[0]}") from exc
        if not create:
            return _migrated(path)
        told = f"{path} cannot be opened: {str(exc).split('. ', 1)[0]}"
        raise StorageError(f"{told}; `jukebox metadata upgrade {path} --out NEW` makes an upgraded copy") from exc


def upgrade(path: Path, out: Path) -> None:
    """Leave a copy of the store ``path`` at ``out``, of the schema version that the library writes; ``path`` stays.

    Raises StorageError where ``path`` is no MLMD store or of a newer version, and where ``out`` is there already.
    """
    if not path.exists():
        raise StorageError(f"there is no metadata store at {path}")
    if out.exists():
        raise StorageError(f"{out} is there already; an upgraded copy is a new file")
    _require_mlmd(path, empty=False)
    draft = _draft(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _migrate(path, draft)
        os.link(draft, out)  # unlike a renaming it replaces no file that came meanwhile
    except (OSError, RuntimeError, sqlite3.Error) as exc:
        raise StorageError(f"{path} cannot be upgraded to {out}: {exc}") from exc
    finally:
        with suppress(OSError):
            draft.unlink()


def _migrated(path: Path) -> Store:
    """Return a Store that reads a migrated copy, whose folder lives as long as it does."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="jukebox-")
        copy = Path(folder.name) / path.name
        _migrate(path, copy)
        return Store(str(path), lambda: _patient(Path(folder.name) / copy.name, _READ_ONLY), copy)
    except (OSError, RuntimeError, sqlite3.Error) as exc:
        raise StorageError(f"{path} is of an older schema version, and no copy can be migrated: {exc}") from exc


def _migrate(path: Path, copy: Path) -> None:
    with closing(_database(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    MetadataStore(_config(copy, _READ_WRITE), enable_upgrade_migration=True)


def _create(path: Path) -> None:
    # A store is made under another name and linked when it is whole: those who open it at once never meet half of it.
    draft = _draft(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        MetadataStore(_config(draft, _CREATE))
        _link(draft, path)
    except (OSError, RuntimeError) as exc:
        raise StorageError(f"{path} cannot be made: {exc}") from exc
    finally:
        with suppress(OSError):
            draft.unlink()


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first
    except OSError:
        _patient(path, _CREATE)  # a file system without links


def _patient(path: Path, mode: int) -> MetadataStore:
    return patiently(lambda: MetadataStore(_config(path, mode)), _may_pass)


def _config(path: Path, mode: int) -> pb.ConnectionConfig:
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mode
    config.retry_options.max_num_retries = 1  # its own retries sleep for seconds; ours are in Store
    return config


def _database(path: Path) -> sqlite3.Connection:
    # Not mode=ro: what a killed writer left half done is rolled back by the next one who opens the file.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience())


def _require_mlmd(path: Path, *, empty: bool) -> None:
    try:
        with closing(_database(path)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError as exc:
        raise StorageError(f"{path} cannot be read: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise StorageError(f"{path} is no ML Metadata store: {exc}") from exc
    # Another process may be making its tables just now: some of them are enough, MLMD itself waits for the rest.
    if not tables & {"MLMDEnv", "Type", "Artifact"} and not (empty and not tables):
        found = ", ".join(sorted(tables)[:5]) or "no table"
        raise StorageError(f"{path} is no ML Metadata store; it holds {found}")


def _is_older(error: Exception) -> bool:
    return "is older than library version" in str(error)


def _may_pass(error: Exception) -> bool:
    said = str(error)
    return isinstance(error, RuntimeError) and "library version" not in said and "unable to open" not in said
