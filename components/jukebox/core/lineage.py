"""A graph of artifacts and the executions between them, and the walk that finds what came of what.

An execution *names features* when feature artifacts are among its inputs: a load names what it loads, a join what it
joins. It then passes on these features and no others, though the tables that it reads and writes hold more. So a walk
down from a feature enters a naming execution only where that feature is named, and a walk up from a model takes
the features that the first naming execution on each path names. The two agree: a feature is upstream of a model
exactly where the model is downstream of the feature.

A walk goes one way only, never back through a shared artifact. Runs that did not come to an end are left out, and so
are runs that only reuse what another run made. A verdict on a model is shown and not walked through: it carries no
data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.core.lineage_memory import Memory
from jukebox.core.lineage_nodes import Event, Graph, LineageSource, Neighbours, Node, NodeId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

__all__ = [
    "FEATURE",
    "MODELS",
    "VERDICTS",
    "Event",
    "Graph",
    "LineageSource",
    "Neighbours",
    "Node",
    "NodeId",
    "downstream",
    "features_of",
    "models_of",
    "upstream",
]

FEATURE = "jukebox.Feature"
MODELS = frozenset({"Model", "PushedModel", "system.Model", "jukebox.Model"})
VERDICTS = frozenset({"ModelBlessing", "ModelEvaluation", "InfraBlessing"})


def upstream(source: Neighbours, *starts: Node) -> Graph:
    """Return what the artifacts ``starts`` were made of, and the runs that made it."""
    return _walk_up(source, starts)


def downstream(source: Neighbours, *starts: Node, closed: Collection[str] = VERDICTS) -> Graph:
    """Return what was made of the artifacts ``starts``, and the runs that made it; not through ``closed`` types."""
    memory, trail = Memory(source, starts), _Trail(starts, closed)
    features = {start.id for start in starts if start.type == FEATURE}
    frontier = trail.fresh((start.id, start.id in features) for start in starts)
    while frontier:
        walked = [(a, limited) for a, limited in frontier if trail.passes(memory.artifact(a))]
        users = memory.consumers([a for a, _ in walked])
        used = [(Event(a, run, output=False), limited) for a, limited in walked for run in users[a]]
        # Whoever reads one of the features names it; what else a run reads is asked for only where that counts.
        doubtful = dict.fromkeys(e.execution for e, limited in used if limited and e.artifact not in features)
        inputs = memory.inputs(list(doubtful))
        refused = {run for run in doubtful if not _admits(inputs[run], features)}
        entered = [(e, limited) for e, limited in used if not limited or e.execution not in refused]
        outputs = memory.outputs(list(dict.fromkeys(e.execution for e, _ in entered)))
        frontier = trail.fresh(
            s for e, limited in entered for s in _down(trail, e, outputs[e.execution], limited=limited)
        )
    return trail.graph(memory)


def models_of(source: LineageSource, feature: str) -> tuple[Node, ...]:
    """Return the models that a feature went into, of all its versions or of one, ``…@2``; raises UnknownFeature."""
    return downstream(source, *source.feature_nodes(feature)).artifacts(MODELS)


def features_of(source: LineageSource, model_uri: str) -> tuple[Node, ...]:
    """Return the features that went into the model at a URI, by name; raises NotRegistered."""
    return features_above(source, source.nodes_at(model_uri))


def features_above(source: Neighbours, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the features that went into any of the artifacts, by name."""
    found = _walk_up(source, nodes, until_named=True).artifacts({FEATURE})
    return tuple(sorted(found, key=lambda node: node.name))


def _walk_up(source: Neighbours, starts: Sequence[Node], *, until_named: bool = False) -> Graph:
    """Walk up; ``until_named`` ends each path where a run names its features, for beyond it there are none."""
    memory, trail = Memory(source, starts), _Trail(starts)
    frontier = trail.fresh((start.id, False) for start in starts)
    while frontier:
        walked = [(a, named) for a, named in frontier if trail.passes(memory.artifact(a))]
        makers = memory.producers([a for a, _ in walked])
        inputs = memory.inputs([run for runs in makers.values() for run in runs])
        made = [(Event(a, run, output=True), named) for a, named in walked for run in makers[a]]
        steps = trail.fresh(s for e, named in made for s in _up(trail, e, inputs[e.execution], named=named))
        frontier = [(a, named) for a, named in steps if not (named and until_named)]
    return trail.graph(memory)


def _up(trail: _Trail, event: Event, inputs: Sequence[Node], *, named: bool) -> Iterator[tuple[NodeId, bool]]:
    trail.follow(event)
    names_features = any(node.type == FEATURE for node in inputs)
    for node in inputs:
        if not (named and node.type == FEATURE):
            trail.follow(Event(node.id, event.execution, output=False))
            yield node.id, named or names_features


def _down(trail: _Trail, event: Event, outputs: Sequence[Node], *, limited: bool) -> Iterator[tuple[NodeId, bool]]:
    trail.follow(event)
    for node in outputs:
        trail.follow(Event(node.id, event.execution, output=True))
        yield node.id, limited


def _admits(inputs: Sequence[Node], features: set[NodeId]) -> bool:
    named = {node.id for node in inputs if node.type == FEATURE}
    return not named or not named.isdisjoint(features)


class _Trail:
    """The events that a walk followed, and the artifacts that it came to, each with or without a limit."""

    def __init__(self, starts: Sequence[Node], closed: Collection[str] = VERDICTS) -> None:
        self._starts, self._closed = tuple(starts), closed
        self._begun = {start.id for start in starts}
        self._events: dict[Event, None] = {}
        self._seen: set[tuple[NodeId, bool]] = set()

    def passes(self, node: Node) -> bool:
        """Whether the walk goes on from an artifact."""
        return node.type not in self._closed or node.id in self._begun

    def follow(self, event: Event) -> None:
        """Keep an event as one that the walk went along."""
        self._events[event] = None

    def fresh(self, steps: Iterable[tuple[NodeId, bool]]) -> list[tuple[NodeId, bool]]:
        """Return the steps that lead further: not been there, nor been there without the limit."""
        found: list[tuple[NodeId, bool]] = []
        for step in steps:
            if step not in self._seen and (step[0], False) not in self._seen:
                self._seen.add(step)
                found.append(step)
        return found

    def graph(self, memory: Memory) -> Graph:
        """Return what was met, in order."""
        met = [(memory.artifact(artifact), memory.execution(run), output) for artifact, run, output in self._events]
        edges = tuple((run, artifact) if output else (artifact, run) for artifact, run, output in met)
        nodes = {start.key: start for start in self._starts}
        for artifact, run, _ in met:
            nodes[artifact.key] = artifact
            nodes[run.key] = run
        return Graph(self._starts, tuple(nodes.values()), edges)
