"""What a stream appends to a partition while a batch load writes the same one: it stays, behind what was loaded.

A load takes the place of what was streamed before it began, for its source can tell of that; of what comes while it
runs no source can tell, and its messages are acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.engine.generations import (
    LOADED,
    Part,
    begun,
    carry,
    ids_of,
    is_streamed,
    new_generation,
    parts_of,
    rows_of,
    sync,
    told,
    write_part,
)
from jukebox.engine.replacing import replace_manifest
from jukebox.storage import place_of
from jukebox.tables import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from jukebox.storage import Place
    from jukebox.tables import Manifest


@dataclass(frozen=True)
class Late:
    """Rows in the order in which they were appended, and the ids of their messages."""

    rows: pa.Table
    ids: tuple[str, ...]


def streamed_ids(folder: Place) -> frozenset[str]:
    """Return the ids of the messages whose rows the partition in ``folder`` holds now."""
    if not (folder / MANIFEST).is_file():
        return frozenset()
    found: list[str] = []

    def look(now: Manifest | None) -> None:
        if now is not None:
            found[:] = ids_of(_data(now), parts_of(now))

    replace_manifest(folder, look, anew=True)
    return frozenset(found)


def appended_since(
    now: Manifest | None, before: Collection[str], features: Any, schema: pa.Schema | None
) -> Late | None:
    """Return what was appended to the partition whose manifest is ``now`` since it told of the messages ``before``.

    None where that is nothing, or rows of other ``features`` or columns than those of the load: then the stream is
    told of it by its next append.
    """
    if now is None or not is_streamed(now) or now.details["features"] != features:
        return None
    tables, ids = [], []
    for part in parts_of(now):
        some = ids_of(_data(now), [part])
        places = [at for at, id_ in enumerate(some) if id_ not in before]
        if places:
            tables.append(pa.Table.from_batches(rows_of(_data(now), [part])).take(pa.array(places)))
            ids += [some[at] for at in places]
    if not tables or (schema is not None and _columns(tables[0].schema) != _columns(schema)):
        return None
    return Late(pa.concat_tables(tables), tuple(ids))


def put_behind(folder: Place, loaded: str, rows: int, late: Late) -> dict[str, Any]:
    """Make a generation of the file ``loaded``, of so many rows, and late ones; return what the manifest says of it."""
    name = new_generation()
    now = begun(folder, name)
    parts = [Part(0, LOADED, rows)] if rows > 0 else []
    carry(folder / loaded, now, parts)
    parts.append(Part(1, 0, late.rows.num_rows))
    write_part(now, parts[-1], late.rows.to_batches(), late.ids, late.rows.schema)
    sync(now)
    return {"data": name, "parts": told(parts)}


def _columns(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in schema]


def _data(manifest: Manifest) -> Place:
    return place_of(manifest.uri) / str(manifest.details["data"])
