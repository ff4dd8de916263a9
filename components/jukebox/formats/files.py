"""Finding the files of a source, and replacing a file in one step."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.errors import CorruptData, JukeboxError, NoPartition, StorageError

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
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises inside into CorruptData, or StorageError where the system refused."""
    try:
        yield
    except JukeboxError:
        raise
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise StorageError(f"{path} cannot be read: {reason(exc)}") from exc
        raise CorruptData(f"{path} is not whole {what}: {reason(exc)}") from exc


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside ``path`` that becomes ``path`` at the end, or is removed on any error.

    Missing folders are made. Raises StorageError where the system refuses.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise StorageError(f"{target} cannot be written: it is there already and not a regular file")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as exc:
        if isinstance(exc, JukeboxError):
            raise
        raise StorageError(f"{target} cannot be written: {reason(exc)}") from exc
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def reason(exc: BaseException) -> str:
    """Return the first line of an error without its number and full stop."""
    if isinstance(exc, OSError) and exc.strerror is not None and exc.filename is not None:
        return exc.strerror
    lines = str(exc).splitlines()
    return lines[0].strip().rstrip(".") if lines else type(exc).__name__
