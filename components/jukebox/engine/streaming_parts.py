"""Partitions that grow: every append is a part of its own, and readers see each partition whole as of some append.

::

    table/date=2024-01-02/
        manifest.json                   names the generation that counts; written last
        generation-5f3a…/               all parts as of one append: files of the former one by hard link, and a new one
            part-000000000.parquet
            part-000000001.parquet
            _messages-000000001.parquet the ids of the messages that the part's rows were
        generation-09bc…/               a former one, for those who still read it; taken away after an hour

A message that a part tells of is never appended again: a redelivered event makes no second row.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.fingerprints import Fingerprint
from jukebox.core.summary import merge, summarize
from jukebox.engine.generations import (
    Part,
    ids_of,
    linked,
    merged,
    new_generation,
    parts_of,
    sweep,
    sync,
    told,
    write_part,
)
from jukebox.errors import InvalidType, InvalidValue, StorageError, reason
from jukebox.formats import parquet
from jukebox.storage import is_remote
from jukebox.tables import MANIFEST, Manifest, locked, partition_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

_DAYS_HELD = 16


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
        folder = self._folder(day)
        if _manifest(folder) is None:
            return set()
        with locked(folder):  # a batch load takes away what the manifest named before its own
            known = self._known(day, _manifest(folder))
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
        return _Known(data, fingerprint, set(ids_of(place, parts_of(manifest))))

    def _write(self, day: date, rows: pa.Table, ids: Sequence[str], before: Manifest | None) -> None:
        folder = self._folder(day)
        known = self._held.get(day) or _Known("", Fingerprint(self._schema))
        name = new_generation()
        parts = [] if before is None else linked(folder, before, name)
        part = Part(max((each.number for each in parts), default=0) + 1, 0, rows.num_rows)
        write_part(folder / name, part, rows.to_batches(), ids, rows.schema)
        parts = merged(folder / name, [*parts, part])
        sync(folder / name)
        # Taken in only when it is written, lest a failure leave the memory ahead of the disk.
        self._held.pop(day, None)
        known.fingerprint.update(rows)
        summary = merge(before.details["statistics"], summarize(rows)) if before and before.rows else summarize(rows)
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        about: dict[str, Any] = {"date": day.isoformat(), "data": name, "statistics": summary, "parts": told(parts)}
        replace(
            self._about,
            rows=sum(each.rows for each in parts),
            schema={column.name: str(column.type) for column in rows.schema},
            fingerprint=known.fingerprint.hexdigest(),
            inputs=tuple(dict.fromkeys([*(() if before is None else before.inputs), *self._about.inputs])),
            details={**self._about.details, **about, "delivered_at": now},
        ).write(folder)
        sync(folder, MANIFEST)
        known.ids.update(ids)
        known.data = name
        self._held[day] = known
        sweep(folder, name, None if before is None else str(before.details["data"]))


def _said(schema: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in schema.items())


def _manifest(folder: Path) -> Manifest | None:
    return Manifest.read(folder, "partition") if (folder / MANIFEST).exists() else None
