"""A graph held in memory, as files tell it: found by place, by feature name and by type."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from jukebox.core.lineage import FEATURE
from jukebox.core.lineage_census import Census, taken
from jukebox.core.lineage_places import place_of
from jukebox.errors import NotRegistered, UnknownFeature
from jukebox.features.names import split_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jukebox.core.lineage_nodes import Event, Node, NodeId


class Held:
    """The LineageSource protocol over nodes and events; ``where`` names the source in errors.

    A node that is added again replaces the former, and an event counts once.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._artifacts: dict[NodeId, Node] = {}
        self._executions: dict[NodeId, Node] = {}
        self._events: dict[Event, None] = {}
        self._of_artifact: defaultdict[NodeId, list[Event]] = defaultdict(list)
        self._of_execution: defaultdict[NodeId, list[Event]] = defaultdict(list)
        self._at: defaultdict[str, dict[NodeId, None]] = defaultdict(dict)

    def add(self, node: Node, *places: str) -> None:
        """Hold a node, found at its URI and at ``places``."""
        (self._artifacts if node.kind == "artifact" else self._executions)[node.id] = node
        for place in (node.uri, *places) if node.kind == "artifact" else ():
            self._at[place_of(place)][node.id] = None

    def tie(self, event: Event) -> None:
        """Hold an event."""
        if event not in self._events:
            self._events[event] = None
            self._of_artifact[event.artifact].append(event)
            self._of_execution[event.execution].append(event)

    def feature_nodes(self, name: str) -> Sequence[Node]:
        """Return the artifacts of a feature's versions, oldest first, or of ``name@version``; raises UnknownFeature."""
        parsed, version = split_version(name)
        known = [split_version(node.name) for node in self.nodes_of({FEATURE})]
        versions = sorted({v for each, v in known if each == parsed and v is not None})
        if not versions:
            raise UnknownFeature.named(str(parsed), {str(each) for each, _ in known})
        if version is not None and version not in versions:
            raise UnknownFeature.version(str(parsed), version, versions[-1])
        wanted = [f"{parsed}@{v}" for v in ([version] if version is not None else versions)]
        return [node for each in wanted for node in self.nodes_of({FEATURE}) if node.name == each]

    def nodes_at(self, uri: str) -> Sequence[Node]:
        """Return the artifacts at a URI, in whatever spelling, in the order that they came; raises NotRegistered."""
        found = self._at.get(place_of(uri), {})
        if not found:
            raise NotRegistered(f"no artifact at '{uri}' is recorded in {self.where}")
        return [self._artifacts[i] for i in found]

    def nodes_of(self, types: Iterable[str]) -> Sequence[Node]:
        """Return the artifacts of some types, in the order that they came."""
        wanted = frozenset(types)
        return [node for node in self._artifacts.values() if node.type in wanted]

    def census(self) -> Census:
        """Return all of the graph."""
        artifacts = {node.id: (node.type, node.state) for node in self._artifacts.values()}
        executions = {node.id: (node.type, node.state) for node in self._executions.values()}
        return taken(artifacts, executions, self._events)

    def events_of_artifacts(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of artifacts."""
        return [event for i in dict.fromkeys(ids) for event in self._of_artifact.get(i, ())]

    def events_of_executions(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of executions."""
        return [event for i in dict.fromkeys(ids) for event in self._of_execution.get(i, ())]

    def artifacts(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return artifacts by id; what is not there is left out."""
        return [self._artifacts[i] for i in dict.fromkeys(ids) if i in self._artifacts]

    def executions(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return executions by id; what is not there is left out."""
        return [self._executions[i] for i in dict.fromkeys(ids) if i in self._executions]
