"""All of an MLMD store's graph at once, for questions about every feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jukebox.core.lineage_census import Census, taken, taken_sorted
from jukebox.stores.mlmd.kinds import EDGES, OUTPUTS
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.tables import reading

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from jukebox.core.lineage_census import Integers
    from jukebox.core.lineage_nodes import NodeId
    from jukebox.stores.mlmd.connection import Store

_BATCH = 2000  # executions in one query
_PAGE = 1_000_000  # events in one text
# These tables and columns have been the same in all schema versions from 6 to 10.
_ARTIFACTS = "SELECT a.id, t.name, a.state FROM Artifact AS a JOIN Type AS t ON t.id = a.type_id ORDER BY a.id"
_EXECUTIONS = (
    "SELECT x.id, t.name, x.last_known_state FROM Execution AS x JOIN Type AS t ON t.id = x.type_id ORDER BY x.id"
)
_EVENTS = (
    "SELECT group_concat(artifact_id, ' '), group_concat(execution_id, ' '),"  # noqa: S608 - numbers of an enumeration
    f" group_concat(type IN ({', '.join(map(str, sorted(OUTPUTS)))}), ' ') FROM Event"
    f" WHERE id >= ? AND id < ? AND type IN ({', '.join(map(str, sorted(EDGES)))})"
)


def census_of(store: Store) -> Census:
    """Return all of the store's graph; raises StorageError."""
    return _through_mlmd(store) if store.file is None else _of_file(store.file, store.where)


def _of_file(path: Path, where: str) -> Census:
    with reading(path, where) as database:
        artifacts = {i: (kind, _artifact(state)) for i, kind, state in database.execute(_ARTIFACTS)}
        executions = {i: (kind, _execution(state)) for i, kind, state in database.execute(_EXECUTIONS)}
        return taken_sorted(artifacts, executions, _read(database))


def _read(database: sqlite3.Connection) -> Integers:
    # As one text of numbers a million events are three times less work than as a million tuples.
    (last,) = database.execute("SELECT max(id) FROM Event").fetchone()
    pages = [database.execute(_EVENTS, (at, at + _PAGE)).fetchone() for at in range(0, (last or 0) + 1, _PAGE)]
    columns = [[np.fromstring(text, np.int64, sep=" ") for text in page] for page in pages if page[0] is not None]
    return np.concatenate([np.zeros((0, 3), np.int64), *(np.stack(each, axis=1) for each in columns)])


def _through_mlmd(store: Store) -> Census:
    artifacts = {a.id: (a.type, _artifact(a.state)) for a in store.call("get_artifacts")}
    executions = {x.id: (x.type, _execution(x.last_known_state)) for x in store.call("get_executions")}
    return taken(artifacts, executions, _events(store, list(executions)))


def _events(store: Store, executions: list[NodeId]) -> Iterator[tuple[NodeId, NodeId, bool]]:
    for first in range(0, len(executions), _BATCH):
        for event in store.call("get_events_by_execution_ids", executions[first : first + _BATCH]):
            if event.type in EDGES:
                yield event.artifact_id, event.execution_id, event.type in OUTPUTS


def _artifact(state: Any) -> str:
    return str(pb.Artifact.State.Name(state or 0))


def _execution(state: Any) -> str:
    return str(pb.Execution.State.Name(state or 0))
