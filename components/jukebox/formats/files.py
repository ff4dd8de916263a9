"""Finding the files of a source, and telling what is wrong with them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from jukebox.errors import CorruptData, InvalidValue, JukeboxError, NoPartition, StorageError, reason
from jukebox.storage import Remote, place_of
from jukebox.storage.remote import is_refusal, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.storage import Place, Where

MANIFEST = "manifest.json"


def source_files(path: Where) -> list[Place]:
    """Return the file ``path``, or a folder's files by name without ``_…``, ``.…`` and the manifest.

    Raises NoPartition where there is no file, InvalidValue where they lie in folders called ``key=value``, StorageError
    where the folder cannot be listed.
    """
    source = place_of(path)
    if source.is_file():
        return [source]
    found = [file for file in files_in(source) if is_data(file.name)]
    if found:
        return found
    below = [folder.name for folder in source.glob("*=*")]
    if below:
        raise InvalidValue(f"{source} is partitioned into '{min(below)}' and others; only Parquet is read so, name one")
    if not source.exists():
        raise NoPartition(f"{source} does not exist")
    raise NoPartition(f"{source} holds no data files")


def files_in(folder: Place) -> list[Place]:
    """Return the files of a folder by name, none where there is no such folder; raises StorageError."""
    if isinstance(folder, Remote):
        return list(folder.files_in())
    try:
        return [folder / name for name in sorted(entry.name for entry in os.scandir(folder) if entry.is_file())]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise StorageError(f"{folder} cannot be listed: {reason(exc)}") from exc


def is_data(name: str) -> bool:
    """Return whether a file of this name holds rows: those of other tools that do not start with ``_`` or ``.``."""
    return not name.startswith(("_", ".")) and name != MANIFEST


@contextlib.contextmanager
def reading(path: object, what: str) -> Iterator[None]:
    """Turn whatever a library raises inside into CorruptData, or StorageError where the system refused."""
    try:
        yield
    except JukeboxError:
        raise
    except Exception as exc:
        if isinstance(path, Remote) and is_refusal(exc):
            raise StorageError(f"{path} cannot be read: {said(exc)}") from exc
        if isinstance(exc, OSError) and exc.errno is not None:
            raise StorageError(f"{path} cannot be read: {reason(exc)}") from exc
        raise CorruptData(f"{path} is not whole {what}: {reason(exc)}") from exc
