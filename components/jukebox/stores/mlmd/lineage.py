"""The lineage of an MLMD store: artifacts, executions and events, read in batches by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.core.lineage_nodes import Event, Node
from jukebox.core.lineage_places import spellings
from jukebox.errors import NotRegistered
from jukebox.features.names import split_version
from jukebox.stores import place
from jukebox.stores.mlmd import tables
from jukebox.stores.mlmd.kinds import EDGES, OUTPUTS
from jukebox.stores.mlmd.library import pb, status
from jukebox.stores.mlmd.versions import versions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.core.lineage_census import Census
    from jukebox.core.lineage_nodes import LineageSource, NodeId
    from jukebox.stores.mlmd.connection import Store

_BATCH = 2000  # ids in one query
_PUSHED_TO = "pushed_destination"
_KFP = "system.ContainerExecution"
_BY_TYPE = "get_artifacts_by_type"


def lineage_of(store: Store) -> LineageSource:
    """Return the lineage of a store; in one that Kubeflow Pipelines writes, artifacts at one place are one.

    There a run leaves an artifact of KFP's at a ``gs://`` URI, and the component in it, which saw a mounted path, one
    of its own.
    """
    own = MlmdLineage(store)
    try:
        store.call("get_execution_type", _KFP)
    except status.NotFoundError:
        return own
    from jukebox.core.lineage_merged import Merged

    return Merged(own)


class MlmdLineage:
    """The LineageSource protocol on an MLMD store, whoever wrote it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def feature_nodes(self, name: str) -> Sequence[Node]:
        """Return the artifacts of a feature's versions, oldest first, or of ``name@version``; raises UnknownFeature."""
        return [_artifact(artifact) for artifact in versions_of(self._store, *split_version(name))]

    def nodes_at(self, uri: str) -> Sequence[Node]:
        """Return the artifacts at a URI, oldest first, in whatever spelling of it, or at the absolute path.

        The place that a Pusher copied a model to stands for its PushedModel. Raises NotRegistered.
        """
        spelled = list(dict.fromkeys([*spellings(uri), place(uri)]))
        found = [artifact for each in spelled for artifact in self._store.call("get_artifacts_by_uri", each)]
        if found:
            return [_artifact(artifact) for artifact in sorted(found, key=lambda artifact: artifact.id)]
        pushed = self._store.call(_BY_TYPE, "PushedModel")
        nodes = [_artifact(a) for a in pushed if a.custom_properties[_PUSHED_TO].string_value in spelled]
        if not nodes:
            raise NotRegistered(f"no artifact at '{uri}' is recorded in {self._store.where}")
        return nodes

    def nodes_of(self, types: Iterable[str]) -> Sequence[Node]:
        """Return the artifacts of some types, oldest first; a type that the store does not know has none."""
        found = [artifact for kind in dict.fromkeys(types) for artifact in self._store.call(_BY_TYPE, kind)]
        return [_artifact(artifact) for artifact in sorted(found, key=lambda artifact: artifact.id)]

    def census(self) -> Census:
        """Return all of the graph; a SQLite file is read by itself, five times as fast as through MLMD."""
        from jukebox.stores.mlmd.census import census_of  # with NumPy, which the other questions do without

        return census_of(self._store)

    def events_of_artifacts(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of artifacts."""
        return self._events("artifact", ids)

    def events_of_executions(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of executions."""
        return self._events("execution", ids)

    def artifacts(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return artifacts by id; what is not there is left out."""
        return [_artifact(artifact) for artifact in self._batches("get_artifacts_by_id", ids)]

    def executions(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return executions by id; what is not there is left out."""
        return [_execution(execution) for execution in self._batches("get_executions_by_id", ids)]

    def _events(self, node: str, ids: Sequence[NodeId]) -> list[Event]:
        if self._store.file is not None:
            return tables.events(self._store.file, self._store.where, f"{node}_id", ids)
        found = self._batches(f"get_events_by_{node}_ids", ids)
        return [Event(e.artifact_id, e.execution_id, e.type in OUTPUTS) for e in found if e.type in EDGES]

    def _batches(self, method: str, ids: Sequence[NodeId]) -> Iterator[Any]:
        for first in range(0, len(ids), _BATCH):
            yield from self._store.call(method, ids[first : first + _BATCH])


def _artifact(artifact: pb.Artifact) -> Node:
    return Node(
        kind="artifact",
        id=artifact.id,
        type=artifact.type,
        name=artifact.name,
        uri=artifact.uri,
        state=pb.Artifact.State.Name(artifact.state),
        properties=_properties(artifact),
        at=artifact.last_update_time_since_epoch or None,
    )


def _execution(execution: pb.Execution) -> Node:
    return Node(
        kind="execution",
        id=execution.id,
        type=execution.type,
        name=execution.name,
        state=pb.Execution.State.Name(execution.last_known_state),
        properties=_properties(execution),
        at=execution.last_update_time_since_epoch or None,
    )


def _properties(node: Any) -> tuple[tuple[str, str], ...]:
    values = [*node.properties.items(), *node.custom_properties.items()]
    texts = ((key, str(getattr(value, value.WhichOneof("value") or "string_value"))) for key, value in values)
    return tuple(sorted(texts))
