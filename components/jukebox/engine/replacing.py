"""A partition's manifest is replaced while others replace it too, and nobody's change is lost to another's.

On one file system they take turns by a lock. At gs:// nobody waits: a manifest is written only where the one that it
was made of is still there, and else made again of the one that took its place.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from jukebox.engine.generations import discard, is_streamed
from jukebox.errors import CorruptData, InvalidValue, JukeboxError, MissingDependency, StorageError, TimedOut
from jukebox.storage import place_of
from jukebox.tables import MANIFEST, Manifest, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jukebox.storage import Place, Remote

# What a partition's next manifest is, of what it is now; None is none, and nothing to write.
Change: TypeAlias = Callable[[Manifest | None], Manifest | None]

_BROKEN = (CorruptData, InvalidValue)
_TRIES, _FIRST_WAIT, _LONGEST_WAIT = 24, 0.1, 5.0


def must_take_appends(root: str) -> None:
    """Raise InvalidValue where nothing can be appended to a feature table at ``root``, MissingDependency."""
    place = place_of(root)
    if isinstance(place, Path):
        return
    if place.scheme != "gs":
        raise InvalidValue(f"{root} takes no appends; a stream's table lies in a local folder or at gs://")
    from jukebox.storage import conditional  # noqa: F401 - that it is there


def replace_manifest(folder: Place, change: Change, *, anew: bool = False) -> Manifest | None:
    """Put what ``change`` makes of a partition's manifest in its place, and return it; None where nothing is to do.

    ``change`` may be called again, of another manifest: what it made first is taken away then, a generation for one.
    With ``anew`` a manifest that is broken counts as none. On other stores than a local one and gs:// nobody else
    may change the partition at the same time. Raises what ``change`` does, StorageError, and CorruptData.
    """
    if isinstance(folder, Path):
        with locked(folder):
            return _replace_alone(folder, change, anew=anew)
    if folder.scheme == "gs":
        try:
            return _replace_unchanged(folder, change, anew=anew)
        except MissingDependency:
            now = _read(folder, anew=anew)
            if now is not None and is_streamed(now):
                raise
    return _replace_alone(folder, change, anew=anew)


def _replace_alone(folder: Place, change: Change, *, anew: bool) -> Manifest | None:
    after = change(_read(folder, anew=anew))
    return None if after is None else after.write(folder)


def _read(folder: Place, *, anew: bool) -> Manifest | None:
    if not (folder / MANIFEST).is_file():
        return None
    with suppress(*_BROKEN if anew else ()):
        return Manifest.read(folder, "partition")
    return None


def _replace_unchanged(folder: Remote, change: Change, *, anew: bool) -> Manifest | None:
    from jukebox.storage.conditional import read_generation, write_if

    place, unsure = folder / MANIFEST, None
    for _ in _turns():
        body, generation = read_generation(place)
        try:
            after = change(_parsed(body, folder, anew=anew))
        except JukeboxError:
            # What a manifest names may be gone when another one has taken its place.
            if read_generation(place)[1] == generation:
                raise
            continue
        if after is None:
            return None
        whole = after.put(folder)
        try:
            if write_if(place, whole.text().encode(), generation):
                return whole
        except TimedOut as exc:
            unsure = exc  # it may be there, so that what it names must stay
        else:
            discard(folder, whole)
    if unsure is not None:
        raise unsure
    raise StorageError(f"{place} cannot be written: {_TRIES} times another process was first")


def _turns() -> Iterator[int]:
    yield 0
    for turn in range(1, _TRIES):
        # So that those who met do not meet again.
        time.sleep(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**turn)))  # noqa: S311
        yield turn


def _parsed(body: bytes, folder: Remote, *, anew: bool) -> Manifest | None:
    if not body:
        return None
    with suppress(*_BROKEN if anew else ()):
        return Manifest.parse(body, folder, "partition")
    return None
