"""Which partitions make up an online table that is replaced while a stream appends to them."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from jukebox.engine.catalog import Partition
from jukebox.engine.generations import is_streamed
from jukebox.storage import is_remote
from jukebox.tables import locked, partitions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from jukebox.tables import Manifest


def partitions_beside_streams(parts: Sequence[Partition], others: Sequence[Partition] | None) -> tuple[Partition, ...]:
    """Return the partitions of a replacement as they are now, with those that only a stream knows of.

    ``others`` are those of dates that were not asked for, None where all were: then every date of these features
    that lies beside is one of them. Else it is what a stream has appended to later dates: it is served now, and would
    be no longer. Raises StorageError and CorruptData.
    """
    last = parts[-1].day
    features = parts[-1].manifest.details["features"]
    asked = {part.day: part.table for part in parts}
    known = {part.day: part.table for part in others or ()}
    found: dict[date, Partition] = {}
    for root in sorted({*asked.values(), *known.values()}):
        for day, manifest in _as_they_stand(root).items():
            here = asked.get(day, known.get(day, root)) == root
            wanted = others is None or (day > last and is_streamed(manifest))
            if here and (day in asked or (wanted and manifest.details["features"] == features)):
                found[day] = Partition(day, manifest)
    return tuple(part for _, part in sorted(found.items()))


def _as_they_stand(root: str) -> dict[date, Manifest]:
    # Whoever may not write there cannot wait for the append that is under way.
    waits: Any = locked(root) if not is_remote(root) and os.access(root, os.W_OK) else nullcontext()
    with waits:
        return partitions(root)
