"""Finding the files of a source, and telling what is wrong with them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.errors import CorruptData, JukeboxError, NoPartition, StorageError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "manifest.json"


def source_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the file ``path``, or a folder's files by name without ``_…``, ``.…`` and the manifest.

    Raises NoPartition where there is no file, StorageError where the folder cannot be listed.
    """
    source = Path(path)
    if source.is_file():
        return [source]
    if not source.exists():
        raise NoPartition(f"{source} does not exist")
    try:
        names = sorted(entry.name for entry in os.scandir(source) if entry.is_file())
    except OSError as exc:
        raise StorageError(f"{source} cannot be listed: {reason(exc)}") from exc
    found = [source / name for name in names if not name.startswith(("_", ".")) and name != MANIFEST]
    if not found:
        raise NoPartition(f"{source} holds no data files")
    return found


@contextlib.contextmanager
def reading(path: object, what: str) -> Iterator[None]:
    """Turn whatever a library raises inside into CorruptData, or StorageError where the system refused."""
    try:
        yield
    except JukeboxError:
        raise
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise StorageError(f"{path} cannot be read: {reason(exc)}") from exc
        raise CorruptData(f"{path} is not whole {what}: {reason(exc)}") from exc
