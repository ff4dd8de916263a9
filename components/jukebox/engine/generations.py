"""The files of a partition that grows: generations, and the parts that each of them links.

Eight parts of one level are written as one of the next, so that a partition of n appends has some 7 log8(n) parts.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.formats import parquet
from jukebox.storage import Remote, each, is_remote
from jukebox.tables import MANIFEST, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.storage import Place
    from jukebox.tables import Manifest

LOADED = 99  # the level of what a batch load wrote: it is never written again
_GENERATION = "generation-"
_SWEPT = (_GENERATION, "part-", ".")
_LEFT = ".left"
_FORMER_SECONDS = 3600.0
_FAN_IN = 8
_IDS = pa.schema([("message_id", pa.string())])


@dataclass(frozen=True)
class Part:
    """One file of a partition: its number, which orders them, and how often it was written together with others."""

    number: int
    level: int
    rows: int

    @property
    def data(self) -> str:
        """The file of its rows."""
        return f"part-{self.number:09d}.parquet"

    @property
    def messages(self) -> str:
        """The file of its messages' ids, one a row; what a batch load wrote has none."""
        return f"_messages-{self.number:09d}.parquet"


def parts_of(manifest: Manifest) -> list[Part]:
    """Return the parts of a partition; one that no stream has appended to has none."""
    return [Part(*each) for each in manifest.details.get("parts", ())]


def told(parts: Iterable[Part]) -> list[list[int]]:
    """Return what a manifest says of parts."""
    return [[part.number, part.level, part.rows] for part in parts]


def is_streamed(manifest: Manifest) -> bool:
    """Whether a partition holds rows that a stream has appended."""
    return any(part.level != LOADED for part in parts_of(manifest))


def new_generation() -> str:
    """Return a name that no generation has."""
    return f"{_GENERATION}{uuid.uuid4().hex[:16]}"


def grown(folder: Place, before: Manifest | None, name: str, rows: pa.Table, ids: Sequence[str]) -> list[Part]:
    """Make a generation that holds what ``before`` names and rows behind it, of messages ``ids``; return its parts.

    When it returns the disk has it.
    """
    parts = [] if before is None else held_parts(before)
    new = Part(max((part.number for part in parts), default=0) + 1, 0, rows.num_rows)
    *kept, last = merged([*parts, new])
    now = begun(folder, name)
    if before is not None:
        former = folder / str(before.details["data"])
        carry(former, now, kept)
        joined = parts[len(kept) :]
        batches = chain(rows_of(former, joined), rows.to_batches())
        ids = [*ids_of(former, joined), *ids]
    else:
        batches = iter(rows.to_batches())
    write_part(now, last, batches, ids, rows.schema)
    sync(now)
    return [*kept, last]


def held_parts(manifest: Manifest) -> list[Part]:
    """Return the parts of a partition; what a batch load wrote is one."""
    return parts_of(manifest) or ([Part(0, LOADED, manifest.rows)] if manifest.rows else [])


def parts_from(parts: Iterable[Part], row: int) -> list[tuple[Part, int]]:
    """Return the parts that hold rows from ``row`` on, counted from 0, and how many of each part's are before it."""
    found, start = [], 0
    for part in parts:
        if start + part.rows > row:
            found.append((part, max(0, row - start)))
        start += part.rows
    return found


def file_of(data: Place, part: Part) -> Place:
    """Return the file of a part's rows, in a generation or the file of a batch load."""
    return data / part.data if data.name.startswith(_GENERATION) else data


def begun(folder: Place, name: str) -> Place:
    """Make the folder of a generation, and return it."""
    now = folder / name
    if isinstance(now, Path):
        now.mkdir(parents=True)
    return now


def carry(former: Place, now: Place, parts: Sequence[Part]) -> None:
    """Have a generation hold parts of a former one, or the file of a batch load as its only part."""
    files = [(file_of(former, part), now / part.data) for part in parts]
    told = [(former / part.messages, now / part.messages) for part in parts if part.level != LOADED]
    deque(each(lambda pair: link(*pair), [*files, *told], remote=is_remote(now)), maxlen=0)


def link(source: Any, target: Any) -> None:
    """Make a file have another name on the same system; it is copied where there are no hard links."""
    if isinstance(source, Remote):
        source.copy(target)
        return
    try:
        os.link(source, target)
    except PermissionError:
        shutil.copyfile(source, target)


def write_part(
    folder: Place, part: Part, rows: Iterable[pa.RecordBatch], ids: Iterable[str], schema: pa.Schema
) -> None:
    """Write a part into a generation's folder; when it returns the disk has it."""
    parquet.write(folder / part.data, rows, schema=schema)
    told = pa.RecordBatch.from_arrays([pa.array(ids, pa.string())], schema=_IDS)
    parquet.write(folder / part.messages, [told], schema=_IDS)
    for name in (part.data, part.messages):
        sync(folder, name)


def ids_of(folder: Place, parts: Iterable[Part]) -> list[str]:
    """Return the ids of the messages that the parts tell of, in their order."""
    told = [part for part in parts if part.level != LOADED]
    return [id_ for part in told for batch in parquet.read(folder / part.messages) for id_ in batch[0].to_pylist()]


def rows_of(folder: Place, parts: Iterable[Part]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the parts, in their order."""
    for part in parts:
        yield from parquet.read(folder / part.data)


def merged(parts: Sequence[Part]) -> list[Part]:
    """Return parts with the last ones as one, where there are as many of one level as one is made of."""
    kept = list(parts)
    while len(kept) >= _FAN_IN and len({part.level for part in kept[-_FAN_IN:]}) == 1:
        few = kept[-_FAN_IN:]
        kept[-_FAN_IN:] = [Part(few[0].number, few[0].level + 1, sum(part.rows for part in few))]
    return kept


def sync(folder: Place, name: str | None = None) -> None:
    """Have the disk hold a folder's names, and what the file ``name`` in it holds; an object store has them already."""
    if isinstance(folder, Remote):
        return
    for path in [folder] if name is None else [folder / name, folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def discard(folder: Place, manifest: Manifest) -> None:
    """Take away the generation of a manifest that was not put in place."""
    name = str(manifest.details["data"])
    if name.startswith(_GENERATION):
        with suppress(OSError):
            _remove(folder / name)


def leave(folder: Place, former: str) -> None:
    """Note that what was named till now is a former generation from now on."""
    with suppress(OSError):
        if isinstance(folder, Path):
            os.utime(folder / former)
        else:
            write_text(folder / f".{former}{_LEFT}", "")


def sweep(folder: Place, current: str) -> None:
    """Take away what no manifest has named for an hour: former generations, and what a kill left.

    The manifest was written just now: the hour is one of the clock that tells when.
    """
    with suppress(OSError):
        ages = _ages(folder)
        now = ages.get(MANIFEST, 0.0)
        for name, written in ages.items():
            left = max(written, ages.get(f".{name}{_LEFT}", written))
            if now - left > _FORMER_SECONDS and name.startswith(_SWEPT) and name not in {".lock", current}:
                _remove(folder / name)


def _ages(folder: Place) -> dict[str, float]:
    """Return when what lies in a folder was written last, in seconds since 1970, by name."""
    if isinstance(folder, Path):
        return {path.name: path.stat().st_mtime for path in folder.iterdir()}
    ages: dict[str, float] = {}
    for file, written in folder.written_below().items():
        name = file.relative_to(folder).parts[0]
        ages[name] = max(written, ages.get(name, written))
    return ages


def _remove(place: Place) -> None:
    if place.is_file():
        place.unlink(missing_ok=True)
    elif isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.remove()
