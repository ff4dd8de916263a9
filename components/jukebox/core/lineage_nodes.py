"""What lineage is made of: artifacts and executions, the events between them, and the graph that a walk met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jukebox.core.lineage_census import Census

NodeId: TypeAlias = int | str


@dataclass(frozen=True)
class Node:
    """An ``artifact`` or an ``execution``, by ``kind``; ``state`` is MLMD's word, such as ``LIVE`` or ``COMPLETE``.

    ``at`` is when it was last written, in milliseconds since 1970, None where nobody knows.
    """

    kind: str
    id: NodeId
    type: str
    name: str = ""
    uri: str = ""
    state: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    at: int | None = None

    @property
    def key(self) -> tuple[str, NodeId]:
        """The kind and the id: what tells a node from every other."""
        return self.kind, self.id


class Event(NamedTuple):  # not a dataclass: a walk makes them by the hundred thousand
    """An execution read an artifact, or wrote it where ``output`` is true."""

    artifact: NodeId
    execution: NodeId
    output: bool


class Neighbours(Protocol):
    """A graph that is read in batches; what is asked for and not there is left out."""

    def events_of_artifacts(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of artifacts."""

    def events_of_executions(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of executions."""

    def artifacts(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return artifacts by id."""

    def executions(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return executions by id."""


class LineageSource(Neighbours, Protocol):
    """A graph whose artifacts are also found by feature name, by URI and by type, and that is counted as a whole."""

    def feature_nodes(self, name: str) -> Sequence[Node]:
        """Return the artifacts of a feature's versions, oldest first, or of the one in ``name@version``.

        Raises UnknownFeature.
        """

    def nodes_at(self, uri: str) -> Sequence[Node]:
        """Return the artifacts at a URI, oldest first; raises NotRegistered."""

    def nodes_of(self, types: Iterable[str]) -> Sequence[Node]:
        """Return the artifacts of some types, oldest first; a type that nothing has is none."""

    def census(self) -> Census:
        """Return all of the graph."""


@dataclass(frozen=True)
class Graph:
    """What a walk met: its nodes in the order of their discovery, and its edges, in the direction of the data."""

    starts: tuple[Node, ...]
    nodes: tuple[Node, ...]
    edges: tuple[tuple[Node, Node], ...]

    def artifacts(self, types: Iterable[str]) -> tuple[Node, ...]:
        """Return the artifacts of some types, in the order of their discovery."""
        wanted = frozenset(types)
        return tuple(node for node in self.nodes if node.kind == "artifact" and node.type in wanted)


def together(graphs: Iterable[Graph]) -> Graph:
    """Return several graphs as one: each node and each edge once."""
    every = list(graphs)
    nodes = {node.key: node for graph in every for node in graph.nodes}
    starts = {node.key: node for graph in every for node in graph.starts}
    edges = dict.fromkeys((one.key, other.key) for graph in every for one, other in graph.edges)
    return Graph(tuple(starts.values()), tuple(nodes.values()), tuple((nodes[a], nodes[b]) for a, b in edges))
