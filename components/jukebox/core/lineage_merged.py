"""Several lineages as one: artifacts at one place are one artifact, whoever recorded them.

A run on Kubeflow Pipelines leaves its artifacts in KFP's own store, the components' registry has the features that the
run named, and the manifests have the partitions: together they lead from a partition to a model.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from jukebox.core.lineage_census import Census, taken
from jukebox.core.lineage_nodes import Event
from jukebox.core.lineage_places import place_of
from jukebox.errors import NotRegistered, UnknownFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jukebox.core.lineage_nodes import LineageSource, Node, NodeId

    _Ask: TypeAlias = Callable[[Sequence[NodeId]], Sequence[Event]]
    _Own: TypeAlias = tuple[int, NodeId]  # a source by its position, and an id there

VAGUE = ("", "system.Artifact", "system.Dataset", "jukebox.DataSet", "Dataset")  # any other type says more


class Merged:
    """The LineageSource protocol over several, of which the first counts where they tell otherwise.

    What lay at a place in former times and what lies there now are one artifact here too.
    """

    def __init__(self, *sources: LineageSource) -> None:
        self._sources = sources
        self._nodes: dict[NodeId, Node] = {}
        self._members: defaultdict[NodeId, dict[_Own, None]] = defaultdict(dict)
        self._merged: dict[_Own, NodeId] = {}
        self._runs: dict[NodeId, _Own] = {}
        self._looked: set[NodeId] = set()

    def feature_nodes(self, name: str) -> Sequence[Node]:
        """Return the artifacts of a feature's versions, of whatever source knows it; raises UnknownFeature."""
        return self._found(lambda source: source.feature_nodes(name))

    def nodes_at(self, uri: str) -> Sequence[Node]:
        """Return the artifacts at a URI; raises NotRegistered."""
        return self._found(lambda source: source.nodes_at(uri))

    def nodes_of(self, types: Iterable[str]) -> Sequence[Node]:
        """Return the artifacts of some types, source by source."""
        wanted = frozenset(types)
        every = [self._take(at, node) for at, source in enumerate(self._sources) for node in source.nodes_of(wanted)]
        return self.artifacts(every)

    def census(self) -> Census:
        """Return all of the graph; the texts are read too, for it is they that tell which artifacts are one."""
        artifacts: dict[NodeId, tuple[str, str]] = {}
        executions: dict[NodeId, tuple[str, str]] = {}
        events: list[Event] = []
        for at, source in enumerate(self._sources):
            census = source.census()
            own, runs = list(census.artifacts), list(census.executions)
            self._load(at, own)
            executions |= {self._run((at, run)): told for run, told in census.executions.items()}
            artifacts |= {n.id: (n.type, n.state) for n in self.artifacts([self._merged[at, i] for i in own])}
            told = census.events.tolist()
            events += [Event(self._merged[at, own[a]], self._run((at, runs[x])), bool(o)) for a, x, o in told]
        return taken(artifacts, executions, dict.fromkeys(events))

    def events_of_artifacts(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of artifacts, at whatever source."""
        self._look(ids)
        own = [member for i in dict.fromkeys(ids) for member in self._members.get(i, ())]
        return self._events(own, lambda source: source.events_of_artifacts)

    def events_of_executions(self, ids: Sequence[NodeId]) -> Sequence[Event]:
        """Return the events of executions."""
        own = [self._runs[i] for i in dict.fromkeys(ids) if i in self._runs]
        return self._events(own, lambda source: source.events_of_executions)

    def artifacts(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return artifacts by id; what is not there is left out."""
        return [self._nodes[i] for i in dict.fromkeys(ids) if i in self._nodes]

    def executions(self, ids: Sequence[NodeId]) -> Sequence[Node]:
        """Return executions by id; what is not there is left out."""
        split = _split(self._runs[i] for i in dict.fromkeys(ids) if i in self._runs)
        return [
            replace(node, id=self._run((at, node.id)))
            for at, own in split.items()
            for node in self._sources[at].executions(own)
        ]

    def _found(self, ask: Callable[[LineageSource], Sequence[Node]]) -> Sequence[Node]:
        found: list[NodeId] = []
        error: LookupError | None = None
        for at, source in enumerate(self._sources):
            try:
                found += [self._take(at, node) for node in ask(source)]
            except (NotRegistered, UnknownFeature) as exc:  # noqa: PERF203 - one round for each source
                error = error or exc
        if error is not None and not found:
            raise error
        return self.artifacts(found)

    def _events(self, own: Iterable[_Own], ask: Callable[[LineageSource], _Ask]) -> list[Event]:
        found: list[Event] = []
        for at, ids in _split(own).items():
            events = ask(self._sources[at])(ids)
            self._load(at, [event.artifact for event in events])
            there = (event for event in events if (at, event.artifact) in self._merged)
            found += [Event(self._merged[at, a], self._run((at, run)), output) for a, run, output in there]
        return list(dict.fromkeys(found))

    def _load(self, at: int, ids: Iterable[NodeId]) -> None:
        new = [i for i in dict.fromkeys(ids) if (at, i) not in self._merged]
        for node in self._sources[at].artifacts(new) if new else ():
            self._take(at, node)

    def _take(self, at: int, node: Node) -> NodeId:
        """Hold an artifact of a source; return the id that it has here."""
        own = (at, node.id)
        if own not in self._merged:
            merged = place_of(node.uri) or f"{at}:{node.id}"
            self._merged[own] = merged
            self._members[merged][own] = None
            there = self._nodes.get(merged)
            chosen = node if there is None or (there.type in VAGUE and node.type not in VAGUE) else there
            self._nodes[merged] = replace(chosen, id=merged)
        return self._merged[own]

    def _look(self, ids: Iterable[NodeId]) -> None:
        """Find what the sources hold at the places of artifacts that were met at one of them."""
        for i in dict.fromkeys(ids):
            if i in self._looked or i not in self._nodes:
                continue
            self._looked.add(i)
            for at, source in enumerate(self._sources) if self._nodes[i].uri else ():
                with suppress(NotRegistered):
                    for node in source.nodes_at(self._nodes[i].uri):
                        self._take(at, node)

    def _run(self, own: _Own) -> NodeId:
        merged = f"{own[0]}:{own[1]}"
        self._runs[merged] = own
        return merged


def _split(own: Iterable[_Own]) -> dict[int, list[NodeId]]:
    found: defaultdict[int, list[NodeId]] = defaultdict(list)
    for at, i in own:
        found[at].append(i)
    return found
