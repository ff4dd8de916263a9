"""Partitions that grow: every append is a part of its own, and readers see each partition whole as of some append.

::

    table/date=2024-01-02/
        manifest.json                   names the generation that counts; written last
        generation-5f3a…/               all parts as of one append: files of the former one by hard link, and a new one
            part-000000000.parquet
            part-000000001.parquet
            _messages-000000001.parquet the ids of the messages that the part's rows were
        generation-09bc…/               a former one, for those who still read it; taken away after an hour

A message that a part tells of is never appended again: a redelivered event makes no second row. Eight parts of one
level are written as one of the next, so that a partition of n appends has some 7 log8(n) parts.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.fingerprints import Fingerprint
from jukebox.core.summary import merge, summarize
from jukebox.errors import InvalidType, InvalidValue, StorageError, reason
from jukebox.formats import parquet
from jukebox.storage import is_remote
from jukebox.tables import MANIFEST, Manifest, locked, partition_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date

_GENERATION = "generation-"
_FORMER_SECONDS = 3600.0
_FAN_IN = 8
_LOADED = 99  # the level of what a batch load wrote: it is never written again
_DAYS_HELD = 16
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
        """The file of its messages' ids; what a batch load wrote has none."""
        return f"_messages-{self.number:09d}.parquet"


@dataclass
class _Known:
    """What is held in memory of a partition, as of the generation ``data``."""

    data: str
    fingerprint: Fingerprint
    ids: set[str] = field(default_factory=set)


class GrowingTable:
    """The feature table at ``root``, whose partitions rows are appended to; several processes may do so at once.

    ``about`` is what every partition's manifest says. Raises InvalidType where a partition that is there holds other
    columns, and InvalidValue where it holds other features or ``root`` is not on this machine.
    """

    def __init__(self, root: str, about: Manifest, schema: pa.Schema) -> None:
        if is_remote(root):
            # An append is hard links and a lock, and an object store has neither.
            raise InvalidValue(f"{root} is not on this machine; a stream appends to a feature table in a local folder")
        self.root, self._about, self._schema = root, about, schema
        self._held: OrderedDict[date, _Known] = OrderedDict()

    def recorded(self, day: date, ids: Collection[str]) -> set[str]:
        """Return which of ``ids`` the partition of ``day`` tells of."""
        known = self._known(day, _manifest(self._folder(day)))
        return set() if known is None else known.ids.intersection(ids)

    def append(self, day: date, rows: pa.Table, ids: Sequence[str]) -> bool:
        """Make the partition of ``day`` hold ``rows``, those whose messages it tells of aside; return if it is new.

        ``ids`` has one id a row. When it returns the disk has them. After an error or a kill the partition is as it
        was. Raises StorageError, InvalidType, InvalidValue.
        """
        folder = self._folder(day)
        with locked(folder):
            before = _manifest(folder)
            known = self._known(day, before)
            told = set() if known is None else known.ids
            firsts = {id_: at for at, id_ in reversed(list(enumerate(ids)))}
            places = sorted(at for id_, at in firsts.items() if id_ not in told)
            if not places:
                return False
            try:
                self._write(day, rows.take(pa.array(places)), [ids[at] for at in places], before)
            except OSError as exc:
                if isinstance(exc, StorageError):
                    raise
                raise StorageError(f"{folder} cannot be written: {reason(exc)}") from exc
        return before is None

    def _folder(self, day: date) -> Path:
        return Path(str(partition_folder(self.root, day)))

    def _known(self, day: date, manifest: Manifest | None) -> _Known | None:
        if manifest is None:
            self._held.pop(day, None)
            return None
        known = self._held.get(day)
        if known is None or known.data != manifest.details["data"]:
            self._check(manifest)
            known = self._held[day] = self._read(manifest)
        self._held.move_to_end(day)
        while len(self._held) > _DAYS_HELD:
            self._held.popitem(last=False)
        return known

    def _check(self, manifest: Manifest) -> None:
        ours, theirs = self._about.details["features"], manifest.details["features"]
        if ours != theirs:
            raise InvalidValue(f"{manifest.uri} holds {', '.join(theirs)}, and the stream has {', '.join(ours)}")
        columns = {column.name: str(column.type) for column in self._schema}
        if manifest.rows and list(manifest.schema.items()) != list(columns.items()):
            raise InvalidType(f"{manifest.uri} holds {_said(manifest.schema)}; the stream has {_said(columns)}")

    def _read(self, manifest: Manifest) -> _Known:
        data, fingerprint = str(manifest.details["data"]), Fingerprint(self._schema)
        place = Path(manifest.uri) / data
        for batch in parquet.read(place) if manifest.rows else ():
            fingerprint.update(batch)
        ids: set[str] = set()
        for path in sorted(place.glob("_messages-*.parquet")):
            for batch in parquet.read(path):
                ids.update(batch.column(0).to_pylist())
        return _Known(data, fingerprint, ids)

    def _write(self, day: date, rows: pa.Table, ids: Sequence[str], before: Manifest | None) -> None:
        folder = self._folder(day)
        known = self._held.get(day) or _Known("", Fingerprint(self._schema))
        name = f"{_GENERATION}{uuid.uuid4().hex[:16]}"
        parts = [] if before is None else _linked(folder, before, name)
        part = Part(max((each.number for each in parts), default=0) + 1, 0, rows.num_rows)
        _write_part(folder / name, part, rows.to_batches(), ids, rows.schema)
        parts = _merged(folder / name, [*parts, part])
        _sync(folder / name)
        # Taken in only when it is written, lest a failure leave the memory ahead of the disk.
        self._held.pop(day, None)
        known.fingerprint.update(rows)
        summary = merge(before.details["statistics"], summarize(rows)) if before and before.rows else summarize(rows)
        told = [[each.number, each.level, each.rows] for each in parts]
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        about: dict[str, Any] = {"date": day.isoformat(), "data": name, "statistics": summary, "parts": told}
        replace(
            self._about,
            rows=sum(each.rows for each in parts),
            schema={column.name: str(column.type) for column in rows.schema},
            fingerprint=known.fingerprint.hexdigest(),
            inputs=tuple(dict.fromkeys([*(() if before is None else before.inputs), *self._about.inputs])),
            details={**self._about.details, **about, "delivered_at": now},
        ).write(folder)
        _sync(folder, MANIFEST)
        known.ids.update(ids)
        known.data = name
        self._held[day] = known
        _sweep(folder, name, None if before is None else str(before.details["data"]))


def _said(schema: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in schema.items())


def _manifest(folder: Path) -> Manifest | None:
    return Manifest.read(folder, "partition") if (folder / MANIFEST).exists() else None


def _linked(folder: Path, before: Manifest, name: str) -> list[Part]:
    """Make a generation that holds what ``before`` names, and return its parts."""
    former, now = folder / str(before.details["data"]), folder / name
    now.mkdir(parents=True)
    if before.rows == 0:
        return []
    if former.is_file():
        part = Part(0, _LOADED, before.rows)
        _link(former, now / part.data)
        return [part]
    parts = [Part(*each) for each in before.details["parts"]]
    for part in parts:
        _link(former / part.data, now / part.data)
        if part.level != _LOADED:
            _link(former / part.messages, now / part.messages)
    return parts


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except PermissionError:
        shutil.copyfile(source, target)  # some file systems have no hard links


def _write_part(
    folder: Path, part: Part, rows: Iterable[pa.RecordBatch], ids: Iterable[str], schema: pa.Schema
) -> None:
    parquet.write(folder / part.data, rows, schema=schema)
    told = pa.RecordBatch.from_arrays([pa.array(ids, pa.string())], schema=_IDS)
    parquet.write(folder / part.messages, [told], schema=_IDS)
    for name in (part.data, part.messages):
        _sync(folder, name)


def _merged(folder: Path, parts: Sequence[Part]) -> list[Part]:
    """Write the last parts as one where there are as many of one level as one is made of; return what there is."""
    kept = list(parts)
    while len(kept) >= _FAN_IN and len({part.level for part in kept[-_FAN_IN:]}) == 1:
        few = kept[-_FAN_IN:]
        whole = Part(few[0].number, few[0].level + 1, sum(part.rows for part in few))
        schema = parquet.schema(folder / few[0].data)
        # All are read before the first one's place is taken: they are small but for a few.
        ids = [id_ for part in few for batch in parquet.read(folder / part.messages) for id_ in batch[0].to_pylist()]
        _write_part(folder, whole, _rows(folder, few), ids, schema)
        for part in few[1:]:
            for name in (part.data, part.messages):
                (folder / name).unlink()
        kept[-_FAN_IN:] = [whole]
    return kept


def _rows(folder: Path, parts: Sequence[Part]) -> Iterator[pa.RecordBatch]:
    for part in parts:
        yield from parquet.read(folder / part.data)


def _sync(folder: Path, name: str | None = None) -> None:
    """Have the disk hold a folder's names, and what the file ``name`` in it holds."""
    for path in [folder] if name is None else [folder / name, folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(folder: Path, current: str, former: str | None) -> None:
    """Take away what no manifest has named for an hour: former generations, and what a kill left."""
    now = time.time()
    with suppress(OSError):
        if former is not None:
            os.utime(folder / former)
        for path in folder.iterdir():
            old = now - path.stat().st_mtime > _FORMER_SECONDS
            if old and path.name.startswith(_GENERATION) and path.name != current:
                shutil.rmtree(path, ignore_errors=True)
            elif old and path.name.startswith(("part-", ".")) and path.is_file() and not path.name.endswith(".lock"):
                path.unlink()
