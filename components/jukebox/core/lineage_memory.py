"""What a walk has read of a graph: nothing is asked for twice, and what does not count is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from jukebox.core.lineage_nodes import Event, Neighbours, Node, NodeId

    T = TypeVar("T")

OVER = frozenset({"COMPLETE", "UNKNOWN", ""})  # a writer that keeps no states leaves them unknown
REUSED = "CACHED"
UNBORN = frozenset({"PENDING", "ABANDONED"})


class Memory:
    """A graph, read in batches and kept: only executions that came to an end, only artifacts that came to be."""

    def __init__(self, source: Neighbours, known: Iterable[Node] = ()) -> None:
        self._source = source
        self._artifacts: dict[NodeId, Node] = {node.id: node for node in known}
        self._executions: dict[NodeId, Node] = {}
        self._of_artifact: dict[NodeId, list[Event]] = {}
        self._of_execution: dict[NodeId, list[Event]] = {}

    def artifact(self, artifact: NodeId) -> Node:
        """Return an artifact that was met."""
        return self._artifacts[artifact]

    def execution(self, execution: NodeId) -> Node:
        """Return an execution that was met."""
        return self._executions[execution]

    def producers(self, artifacts: Sequence[NodeId]) -> Mapping[NodeId, Sequence[NodeId]]:
        """Return the executions that wrote each artifact."""
        return self._runs(artifacts, output=True)

    def consumers(self, artifacts: Sequence[NodeId]) -> Mapping[NodeId, Sequence[NodeId]]:
        """Return the executions that read each artifact."""
        return self._runs(artifacts, output=False)

    def inputs(self, executions: Sequence[NodeId]) -> Mapping[NodeId, Sequence[Node]]:
        """Return the artifacts that each execution read."""
        return self._ends(executions, output=False)

    def outputs(self, executions: Sequence[NodeId]) -> Mapping[NodeId, Sequence[Node]]:
        """Return the artifacts that each execution wrote."""
        return self._ends(executions, output=True)

    def _runs(self, artifacts: Sequence[NodeId], *, output: bool) -> dict[NodeId, list[NodeId]]:
        self._load_events_of_artifacts(artifacts)
        runs = {a: [e.execution for e in self._of_artifact[a] if e.output is output] for a in artifacts}
        counting = self._counting({run for each in runs.values() for run in each})
        return {artifact: [run for run in dict.fromkeys(each) if run in counting] for artifact, each in runs.items()}

    def _ends(self, executions: Sequence[NodeId], *, output: bool) -> dict[NodeId, list[Node]]:
        self._load_events_of_executions(executions)
        ids = {x: [e.artifact for e in self._of_execution[x] if e.output is output] for x in executions}
        every = list(dict.fromkeys(artifact for each in ids.values() for artifact in each))
        _load(self._artifacts, every, self._source.artifacts)
        known = self._artifacts
        return {
            x: [known[a] for a in dict.fromkeys(each) if a in known and known[a].state not in UNBORN]
            for x, each in ids.items()
        }

    def _counting(self, executions: Collection[NodeId]) -> set[NodeId]:
        """Return the executions that made something: those that are over, and a cached one whose maker is not here."""
        _load(self._executions, executions, self._source.executions)
        state = {x: self._executions[x].state for x in executions if x in self._executions}
        cached = [x for x in state if state[x] == REUSED]
        return {x for x in state if state[x] in OVER} | set(self._orphaned(cached))

    def _orphaned(self, cached: Sequence[NodeId]) -> list[NodeId]:
        self._load_events_of_executions(cached)
        results = {x: [e.artifact for e in self._of_execution[x] if e.output] for x in cached}
        every = list(dict.fromkeys(artifact for each in results.values() for artifact in each))
        self._load_events_of_artifacts(every)
        makers = {a: [e.execution for e in self._of_artifact[a] if e.output] for a in every}
        _load(self._executions, {maker for each in makers.values() for maker in each}, self._source.executions)
        known = self._executions
        made = {a for a in every if any(known[m].state in OVER for m in makers[a] if m in known)}
        return [x for x in cached if not made.issuperset(results[x])]

    def _load_events_of_artifacts(self, ids: Iterable[NodeId]) -> None:
        missing = [i for i in dict.fromkeys(ids) if i not in self._of_artifact]
        self._of_artifact.update((i, []) for i in missing)
        for event in self._source.events_of_artifacts(missing) if missing else ():
            self._of_artifact[event.artifact].append(event)

    def _load_events_of_executions(self, ids: Iterable[NodeId]) -> None:
        missing = [i for i in dict.fromkeys(ids) if i not in self._of_execution]
        self._of_execution.update((i, []) for i in missing)
        for event in self._source.events_of_executions(missing) if missing else ():
            self._of_execution[event.execution].append(event)


def _load(known: dict[NodeId, Node], ids: Iterable[NodeId], ask: Callable[[Sequence[NodeId]], Iterable[Node]]) -> None:
    missing = [i for i in dict.fromkeys(ids) if i not in known]
    if missing:
        known.update((node.id, node) for node in ask(missing))
