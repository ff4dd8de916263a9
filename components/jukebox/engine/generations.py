"""The files of a partition that grows: generations, and the parts that each of them links.

Eight parts of one level are written as one of the next, so that a partition of n appends has some 7 log8(n) parts.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.formats import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from jukebox.tables import Manifest

LOADED = 99  # the level of what a batch load wrote: it is never written again
_GENERATION = "generation-"
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


def linked(folder: Path, before: Manifest, name: str) -> list[Part]:
    """Make a generation that holds what ``before`` names, and return its parts."""
    former, now = folder / str(before.details["data"]), folder / name
    now.mkdir(parents=True)
    if before.rows == 0:
        return []
    if former.is_file():
        part = Part(0, LOADED, before.rows)
        link(former, now / part.data)
        return [part]
    parts = parts_of(before)
    for part in parts:
        link(former / part.data, now / part.data)
        if part.level != LOADED:
            link(former / part.messages, now / part.messages)
    return parts


def link(source: Path, target: Path) -> None:
    """Make a file have another name; it is copied where there are no hard links."""
    try:
        os.link(source, target)
    except PermissionError:
        shutil.copyfile(source, target)


def write_part(folder: Path, part: Part, rows: Iterable[pa.RecordBatch], ids: Iterable[str], schema: pa.Schema) -> None:
    """Write a part into a generation's folder; when it returns the disk has it."""
    parquet.write(folder / part.data, rows, schema=schema)
    told = pa.RecordBatch.from_arrays([pa.array(ids, pa.string())], schema=_IDS)
    parquet.write(folder / part.messages, [told], schema=_IDS)
    for name in (part.data, part.messages):
        sync(folder, name)


def ids_of(folder: Path, parts: Iterable[Part]) -> list[str]:
    """Return the ids of the messages that the parts tell of, in their order."""
    told = [part for part in parts if part.level != LOADED]
    return [id_ for part in told for batch in parquet.read(folder / part.messages) for id_ in batch[0].to_pylist()]


def rows_of(folder: Path, parts: Iterable[Part]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the parts, in their order."""
    for part in parts:
        yield from parquet.read(folder / part.data)


def merged(folder: Path, parts: Sequence[Part]) -> list[Part]:
    """Write the last parts as one where there are as many of one level as one is made of; return what there is."""
    kept = list(parts)
    while len(kept) >= _FAN_IN and len({part.level for part in kept[-_FAN_IN:]}) == 1:
        few = kept[-_FAN_IN:]
        whole = Part(few[0].number, few[0].level + 1, sum(part.rows for part in few))
        schema = parquet.schema(folder / few[0].data)
        # All are read before the first one's place is taken: they are small but for a few.
        write_part(folder, whole, rows_of(folder, few), ids_of(folder, few), schema)
        for part in few[1:]:
            for name in (part.data, part.messages):
                (folder / name).unlink()
        kept[-_FAN_IN:] = [whole]
    return kept


def sync(folder: Path, name: str | None = None) -> None:
    """Have the disk hold a folder's names, and what the file ``name`` in it holds."""
    for path in [folder] if name is None else [folder / name, folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path, current: str, former: str | None) -> None:
    """Take away what no manifest has named for an hour: former generations, and what a kill left."""
    now = time.time()
    with suppress(OSError):
        if former is not None:
            os.utime(folder / former)
        for path in folder.iterdir():
            old = now - path.stat().st_mtime > _FORMER_SECONDS
            if old and path.name.startswith(_GENERATION) and path.name != current:
                shutil.rmtree(path, ignore_errors=True)
            elif (
                old and path.name.startswith(("part-", ".")) and path.is_file() and path.name not in {".lock", current}
            ):
                path.unlink()
