"""A folder of files that appears whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.errors import JukeboxError, StorageError, reason
from jukebox.storage import Remote, place_of
from jukebox.tables import MANIFEST, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jukebox.storage import Place


def forget(files: Iterable[Place]) -> None:
    """Take files of an earlier run away, its manifest for one: nothing looks whole then until the new one is there.

    Raises StorageError for one that cannot be removed.
    """
    try:
        for file in files:
            file.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"{file} of an earlier run cannot be replaced: {reason(exc)}") from exc


@contextmanager
def folder_whole(out: str, kind: str) -> Iterator[Place]:
    """Yield an empty folder that is ``out`` at the end; after any error ``out`` is as it was before.

    What is replaced is an artifact of the same ``kind``, an empty folder or nothing. On an object store, which renames
    no folders, the files go to their place at once and are taken away after an error. Raises StorageError for an
    ``out`` that holds something else, or cannot be written.
    """
    place = place_of(out)
    _require_ours(place, kind)
    with _at_once(place) if isinstance(place, Remote) else _renamed(place) as folder:
        yield folder


def _require_ours(place: Place, kind: str) -> None:
    if place.is_file():
        raise StorageError(f"{place} cannot be written: it is there already and a file")
    if not place.is_dir() or next(iter(place.iterdir()), None) is None:
        return
    with suppress(StorageError):
        if Manifest.read(place).kind == kind:
            return
    raise StorageError(f"{place} holds other files already; name a folder that is empty or not there")


@contextmanager
def _renamed(out: Path) -> Iterator[Path]:
    # "out/." has no name of its own that another folder could be called after.
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    except OSError as exc:
        raise StorageError(f"{out} cannot be written: {reason(exc)}") from exc
    try:
        folder = scratch / "new"
        folder.mkdir()
        yield folder
        if out.exists():
            out.rename(scratch / "old")
        folder.rename(out)
    except JukeboxError as exc:
        begun = str(scratch / "new")
        if begun not in str(exc):
            raise
        # What is told of the folder that was begun is about the one that was asked for.
        raise type(exc)(str(exc).replace(begun, str(out))) from exc
    except OSError as exc:
        raise StorageError(f"{out} cannot be written: {reason(exc)}") from exc
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _at_once(out: Remote) -> Iterator[Remote]:
    _emptied(out)
    try:
        yield out
    except BaseException:
        _emptied(out)
        raise


def _emptied(out: Remote) -> None:
    # Without its manifest it is not whole; so that goes first.
    for file in sorted(out.files_below(), key=lambda each: each.name != MANIFEST):
        file.unlink(missing_ok=True)
