"""The events of a SQLite file that holds an MLMD store, read past MLMD: half the work, for it makes no messages.

Their table has been the same in all schema versions from 6 to 10.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from jukebox.core.lineage_nodes import Event
from jukebox.errors import StorageError
from jukebox.stores.mlmd.kinds import EDGES, OUTPUTS
from jukebox.stores.mlmd.patience import patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jukebox.core.lineage_nodes import NodeId

_BATCH = 2000  # ids in one query
_TYPES = f"type IN ({', '.join(map(str, sorted(EDGES)))})"
_OUTPUT = f"type IN ({', '.join(map(str, sorted(OUTPUTS)))})"


@contextmanager
def reading(path: Path, where: str) -> Iterator[sqlite3.Connection]:
    """Yield the database as of one moment; SQLite's errors become StorageError, which names ``where``."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=patience())) as database:
            database.execute("BEGIN")
            yield database
    except sqlite3.Error as exc:
        raise StorageError(f"{where} cannot be read: {exc}") from exc


def events(path: Path, where: str, column: str, ids: Sequence[NodeId]) -> list[Event]:
    """Return the events whose ``column``, ``artifact_id`` or ``execution_id``, is among ``ids``, oldest first in each.

    Raises StorageError.
    """
    found: list[Event] = []
    with reading(path, where) as database:
        for first in range(0, len(ids), _BATCH):
            wanted = ", ".join(str(int(i)) for i in ids[first : first + _BATCH])
            rows = database.execute(
                f"SELECT artifact_id, execution_id, {_OUTPUT} FROM Event"  # noqa: S608 - numbers, and our own names
                f" WHERE {column} IN ({wanted}) AND {_TYPES} ORDER BY id"
            )
            found += [Event(artifact, run, output == 1) for artifact, run, output in rows]
    return found
