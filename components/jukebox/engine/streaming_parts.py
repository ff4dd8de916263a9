"""Partitions that grow: every append is a part of its own, and readers see each partition whole as of some append.

::

    table/date=2024-01-02/
        manifest.json                   names the generation that counts; written last
        generation-5f3a…/               all parts as of one append: those of the former one, and a new one
            part-000000000.parquet
            part-000000001.parquet
            _messages-000000001.parquet the ids of the messages that the part's rows were
        generation-09bc…/               a former one, for those who still read it; taken away after an hour

A message that a part tells of is never appended again: a redelivered event makes no second row. Parts of the former
generation are hard links on this machine, and at gs:// copies that the store makes itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.core.fingerprints import Fingerprint
from jukebox.core.summary import merge, summarize
from jukebox.engine.generations import (
    file_of,
    grown,
    held_parts,
    ids_of,
    leave,
    new_generation,
    parts_from,
    sweep,
    sync,
    told,
)
from jukebox.engine.replacing import must_take_appends, replace_manifest
from jukebox.errors import CorruptData, InvalidType, InvalidValue
from jukebox.formats import parquet
from jukebox.storage import place_of
from jukebox.tables import MANIFEST, Manifest, partition_folder, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

_DAYS_HELD = 16
# To look for what lies there for nobody is a list of all that lies there.
_SWEEP_SECONDS = 600.0


@dataclass(frozen=True)
class _Known:
    """What is held in memory of a partition, as of the generation ``data``.

    ``began`` names the first generation, or the file of a load, behind which rows have only been appended since.
    """

    data: str
    began: str
    rows: int
    fingerprint: Fingerprint
    ids: set[str] = field(default_factory=set)


class GrowingTable:
    """The feature table at ``root``, whose partitions rows are appended to; several processes may do so at once.

    ``about`` is what every partition's manifest says. Raises InvalidType where a partition that is there holds other
    columns, and InvalidValue where it holds other features or ``root`` is neither on this machine nor at gs://.
    """

    def __init__(self, root: str, about: Manifest, schema: pa.Schema) -> None:
        must_take_appends(root)
        self.root, self._about, self._schema = root, about, schema
        self._held: OrderedDict[date, _Known] = OrderedDict()
        self._swept: dict[date, float] = {}

    def recorded(self, day: date, ids: Collection[str]) -> set[str]:
        """Return which of ``ids`` the partition of ``day`` tells of."""
        folder = partition_folder(self.root, day)
        if not (folder / MANIFEST).is_file():
            return set()
        found: set[str] = set()

        def look(now: Manifest | None) -> None:
            found.update(self._known(day, now).ids.intersection(ids))

        replace_manifest(folder, look)
        return found

    def append(self, day: date, rows: pa.Table, ids: Sequence[str]) -> bool:
        """Make the partition of ``day`` hold ``rows``, those whose messages it tells of aside; return if it is new.

        ``ids`` has one id a row. When it returns the disk has them. After an error or a kill the partition is as it
        was. Raises StorageError, InvalidType, InvalidValue.
        """
        folder = partition_folder(self.root, day)
        made: list[_Grown] = []

        def grow(now: Manifest | None) -> Manifest | None:
            known = self._known(day, now)
            firsts = {id_: at for at, id_ in reversed(list(enumerate(ids)))}
            places = sorted(at for id_, at in firsts.items() if id_ not in known.ids)
            if not places:
                return None
            made[:] = [self._grown(day, now, known, rows.take(pa.array(places)), [ids[at] for at in places])]
            return made[0].manifest

        with writing(folder):
            written = replace_manifest(folder, grow)
            if written is not None:
                sync(folder, MANIFEST)
        if written is not None:
            self._hold(day, made[0])
        # What was made and is not written now is there already: its first writing was not answered.
        return bool(made) and made[0].before is None

    def _known(self, day: date, manifest: Manifest | None) -> _Known:
        """Return what is known of a partition, of which only what was not known is read; hold it."""
        if manifest is None:
            self._held.pop(day, None)
            return _Known("", "", 0, Fingerprint(self._schema))
        known = self._held.get(day)
        if known is None or known.data != manifest.details["data"]:
            self._check(manifest)
            known = self._held[day] = self._read(manifest, known)
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

    def _read(self, manifest: Manifest, known: _Known | None) -> _Known:
        data = str(manifest.details["data"])
        began = str(manifest.details.get("began", data))
        if known is None or known.began != began:
            known = _Known("", began, 0, Fingerprint(self._schema))
        place, fingerprint, rows = place_of(manifest.uri) / data, known.fingerprint.copy(), known.rows
        parts = parts_from(held_parts(manifest), rows)
        for part, before in parts:
            for batch in parquet.read(file_of(place, part), rows=(before, part.rows)):
                fingerprint.update(batch)
                rows += batch.num_rows
        if rows != manifest.rows:
            raise CorruptData(f"{place} has {rows:,} rows, and its manifest tells of {manifest.rows:,}")
        known.ids.update(ids_of(place, [part for part, _ in parts]))
        return _Known(data, began, rows, fingerprint, known.ids)

    def _grown(self, day: date, before: Manifest | None, known: _Known, rows: pa.Table, ids: Sequence[str]) -> _Grown:
        name = new_generation()
        parts = grown(partition_folder(self.root, day), before, name, rows, ids)
        fingerprint = known.fingerprint.copy()
        fingerprint.update(rows)
        known = _Known(name, known.began or name, known.rows + rows.num_rows, fingerprint, known.ids)
        summary = merge(before.details["statistics"], summarize(rows)) if before and before.rows else summarize(rows)
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        where = {"data": name, "began": known.began, "parts": told(parts)}
        details = {**self._about.details, "date": day.isoformat(), **where, "statistics": summary, "delivered_at": now}
        manifest = replace(
            self._about,
            rows=known.rows,
            schema={column.name: str(column.type) for column in rows.schema},
            fingerprint=fingerprint.hexdigest(),
            inputs=tuple(dict.fromkeys([*(() if before is None else before.inputs), *self._about.inputs])),
            details=details,
        )
        return _Grown(before, manifest, known, tuple(ids))

    def _hold(self, day: date, made: _Grown) -> None:
        """Hold what an append has made, and take away what lies there for nobody."""
        made.known.ids.update(made.ids)
        self._held[day] = made.known
        folder = partition_folder(self.root, day)
        if made.before is not None:
            leave(folder, str(made.before.details["data"]))
        now = time.monotonic()
        if now - self._swept.get(day, -_SWEEP_SECONDS) >= _SWEEP_SECONDS:
            self._swept[day] = now
            sweep(folder, made.known.data)


@dataclass(frozen=True)
class _Grown:
    """What an append makes of a partition: its next manifest, and what is known of it once that is in place."""

    before: Manifest | None
    manifest: Manifest
    known: _Known
    ids: tuple[str, ...]


def _said(schema: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in schema.items())
