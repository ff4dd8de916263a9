"""Graphs in memory for the lineage tests, and the plainest walk over them that keeps to the rule of named features."""

from __future__ import annotations

from dataclasses import dataclass, field

from jukebox.core.lineage import FEATURE, VERDICTS, Event, Node
from jukebox.core.lineage_census import taken


@dataclass
class Drawn:
    """A graph drawn by hand: a LineageSource whose artifacts and runs are called by letters."""

    nodes: dict[tuple[str, str], Node] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    questions: int = 0

    def artifact(self, name: str, kind: str = "Data", state: str = "LIVE") -> Drawn:
        """Add an artifact; ``/…@1`` is a feature."""
        kind = FEATURE if name.startswith("/") else kind
        self.nodes["artifact", name] = Node("artifact", name, kind, name=name, uri=name, state=state)
        return self

    def run(self, name: str, inputs: str, outputs: str, state: str = "COMPLETE") -> Drawn:
        """Add a run between artifacts, called by words; those that are not there yet are added."""
        self.nodes["execution", name] = Node("execution", name, name.rstrip("0123456789"), state=state)
        for words, output in ((inputs, False), (outputs, True)):
            for word in words.split():
                if ("artifact", word) not in self.nodes:
                    self.artifact(word, "Model" if word.startswith("model") else "Data")
                self.events.append(Event(word, name, output))
        return self

    def node(self, name: str) -> Node:
        """Return an artifact."""
        return self.nodes["artifact", name]

    def feature_nodes(self, name: str) -> list[Node]:
        """Return a feature's versions."""
        return [node for (_, word), node in self.nodes.items() if word.partition("@")[0] == name or word == name]

    def nodes_at(self, uri: str) -> list[Node]:
        """Return the artifact of that name."""
        return [self.nodes["artifact", uri]]

    def nodes_of(self, types):
        """Return the artifacts of some types."""
        return [node for (kind, _), node in self.nodes.items() if kind == "artifact" and node.type in set(types)]

    def census(self):
        """Return all of the graph."""
        told = {kind: {} for kind in ("artifact", "execution")}
        for (kind, name), node in self.nodes.items():
            told[kind][name] = (node.type, node.state)
        return taken(told["artifact"], told["execution"], self.events)

    def events_of_artifacts(self, ids):
        """Return the events of artifacts."""
        self.questions += 1
        wanted = set(ids)
        return [event for event in self.events if event.artifact in wanted]

    def events_of_executions(self, ids):
        """Return the events of executions."""
        self.questions += 1
        wanted = set(ids)
        return [event for event in self.events if event.execution in wanted]

    def artifacts(self, ids):
        """Return artifacts."""
        self.questions += 1
        return [self.nodes["artifact", i] for i in ids if ("artifact", i) in self.nodes]

    def executions(self, ids):
        """Return executions."""
        self.questions += 1
        return [self.nodes["execution", i] for i in ids if ("execution", i) in self.nodes]


def plainly_downstream(graph: Drawn, start: str) -> set[str]:
    """Return the artifacts downstream of one one at a time, each rule asked of the whole graph."""
    of_feature = graph.node(start).type == FEATURE
    reached, todo = {start}, [start]
    while todo:
        artifact = todo.pop()
        if artifact != start and graph.node(artifact).type in VERDICTS:
            continue
        for used in graph.events:
            if used.artifact != artifact or used.output or not counts(graph, used.execution):
                continue
            named = {i for i in ends(graph, used.execution, output=False) if graph.node(i).type == FEATURE}
            if of_feature and named and start not in named:
                continue
            fresh = ends(graph, used.execution, output=True) - reached
            reached |= fresh
            todo += fresh
    return reached - {start}


def plain_features(graph: Drawn, end: str) -> set[str]:
    """Return the features named first on each path up from an artifact, and the feature artifacts on the way."""
    found: set[str] = set()
    seen, todo = set(), [(end, False)]
    while todo:
        artifact, named = todo.pop()
        if (artifact, named) in seen:
            continue
        seen.add((artifact, named))
        if artifact != end and graph.node(artifact).type in VERDICTS:
            continue
        for made in graph.events:
            if made.artifact != artifact or not made.output or not counts(graph, made.execution):
                continue
            inputs = ends(graph, made.execution, output=False)
            features = {i for i in inputs if graph.node(i).type == FEATURE}
            found |= set() if named else features
            todo += [(i, named or bool(features)) for i in inputs if i not in features or not named]
    return found


def ends(graph: Drawn, run: str, *, output: bool) -> set[str]:
    """Return what a run read or wrote and came to be."""
    found = {event.artifact for event in graph.events if event.execution == run and event.output is output}
    return {i for i in found if graph.node(i).state not in {"PENDING", "ABANDONED"}}


def counts(graph: Drawn, run: str) -> bool:
    """Whether a run is over, and made something that no other made."""
    state = graph.nodes["execution", run].state
    if state != "CACHED":
        return state in {"COMPLETE", "UNKNOWN"}
    wrote = {event.artifact for event in graph.events if event.execution == run and event.output}
    makers = {i: {e.execution for e in graph.events if e.artifact == i and e.output} for i in wrote}
    return any(
        all(graph.nodes["execution", maker].state not in {"COMPLETE", "UNKNOWN"} for maker in makers[i]) for i in wrote
    )
