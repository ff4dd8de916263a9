"""A lineage that remembers its answers: many walks through one neighbourhood ask the store for it once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jukebox.core.lineage_census import Census
    from jukebox.core.lineage_nodes import Event, LineageSource, Node, NodeId

    T = TypeVar("T")


class Remembered:
    """The LineageSource protocol over another, as it was when each thing was first asked for."""

    def __init__(self, source: LineageSource) -> None:
        self._source = source
        self._of_artifact: dict[NodeId, list[Event]] = {}
        self._of_execution: dict[NodeId, list[Event]] = {}
        self._artifacts: dict[NodeId, list[Node]] = {}
        self._executions: dict[NodeId, list[Node]] = {}

    def feature_nodes(self, name: str) -> Sequence[Node]:
        """Return the artifacts of a feature's versions; raises UnknownFeature."""
        return self._source.feature_nodes(name)

    def nodes_at(self, uri: str) -> Sequence[Node]:
        """Return the artifacts at a URI; raises NotRegistered."""
        return self._source.nodes_at(uri)

    def nodes_of(self, types: Iterable[str]) -> Sequence[Node]:
        """Return the artifacts of some types."""
        return self._source.nodes_of(types)

    def census(self) -> Census:
        """Return all of the graph."""
        return self._source.census()

    def events_of_artifacts(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of artifacts."""
        return _asked(self._of_artifact, ids, self._source.events_of_artifacts, lambda event: event.artifact)

    def events_of_executions(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of executions."""
        return _asked(self._of_execution, ids, self._source.events_of_executions, lambda event: event.execution)

    def artifacts(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return artifacts by id; what is not there is left out."""
        return _asked(self._artifacts, ids, self._source.artifacts, lambda node: node.id)

    def executions(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return executions by id; what is not there is left out."""
        return _asked(self._executions, ids, self._source.executions, lambda node: node.id)


def _asked(
    known: dict[NodeId, list[T]],
    ids: Sequence[NodeId],
    ask: Callable[[Sequence[NodeId]], Sequence[T]],
    of: Callable[[T], NodeId],
) -> list[T]:
    new = [each for each in dict.fromkeys(ids) if each not in known]
    answers: defaultdict[NodeId, list[T]] = defaultdict(list)
    for answer in ask(new) if new else ():
        answers[of(answer)].append(answer)
    known.update((each, answers[each]) for each in new)
    return [answer for each in dict.fromkeys(ids) for answer in known[each]]
