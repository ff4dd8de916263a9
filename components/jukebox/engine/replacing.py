"""A partition's manifest is replaced while others replace it too, and nobody's change is lost to another's.

On one file system they take turns by a lock. At gs:// nobody waits: a manifest is written only where the one that it
was made of is still there, and else made again of the one that took its place. Who comes second several times claims
the next turn in the manifest itself, and the others let it go first.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
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
# Turns before the next one is claimed, and for how long: only by courtesy, what is written is settled by generations.
_PATIENCE, _CLAIM_SECONDS = 3, 30.0
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


class _CameSecondError(Exception):
    """Another process has replaced the manifest, or is to be the next one to do so."""


def _replace_unchanged(folder: Remote, change: Change, *, anew: bool) -> Manifest | None:
    me, unsure = uuid.uuid4().hex, None
    for turn in _turns():
        try:
            return _replace_first(folder, change, me, claims=turn >= _PATIENCE, anew=anew)
        except _CameSecondError:  # noqa: PERF203 - an attempt
            continue
        except TimedOut as exc:
            unsure = exc
    if unsure is not None:
        raise unsure
    raise StorageError(f"{folder / MANIFEST} cannot be written: {_TRIES} times another process was first")


def _replace_first(folder: Remote, change: Change, me: str, *, claims: bool, anew: bool) -> Manifest | None:
    from jukebox.storage.conditional import read_generation, write_if

    place = folder / MANIFEST
    body, generation = read_generation(place)
    now = _parsed(body, folder, anew=anew)
    if now is not None and (_is_claimed(now, me) or (claims and _claim(place, now, me, generation))):
        raise _CameSecondError
    try:
        after = change(now)
    except JukeboxError as exc:
        # What a manifest names may be gone when another one has taken its place.
        if read_generation(place)[1] == generation:
            raise
        raise _CameSecondError from exc
    if after is None:
        return None
    whole = after.put(folder)
    # When it is not known whether it was written, it may be there, so that what it names must stay.
    if not write_if(place, whole.text().encode(), generation):
        discard(folder, whole)
        raise _CameSecondError
    return whole


def _is_claimed(now: Manifest, me: str) -> bool:
    """Whether another one has asked for the next turn; the dead are waited for no longer than their claim lasts."""
    who, until = now.details.get("claim", ("", 0.0))
    return bool(who != me and time.time() < until)


def _claim(place: Remote, now: Manifest, me: str, generation: int) -> bool:
    """Ask for the next turn, unless this one has it; else who needs longer than the others would never come first."""
    from jukebox.storage.conditional import write_if

    if now.details.get("claim", ("", 0.0))[0] == me:
        return False
    asked = replace(now, details={**now.details, "claim": [me, time.time() + _CLAIM_SECONDS]})
    write_if(place, asked.text().encode(), generation)
    return True


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
