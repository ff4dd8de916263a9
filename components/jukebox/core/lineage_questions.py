"""What is asked of a lineage beyond up and down: training sets, paths between, differences, what nobody uses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jukebox.core.lineage import FEATURE, features_of, upstream
from jukebox.core.lineage_counts import Counts
from jukebox.core.lineage_nodes import Graph
from jukebox.core.uses import DEPLOYMENT, EXAMPLES, JOINS, ONLINE_LOAD, ONLINE_TABLE, is_active, served_by, uses_of
from jukebox.features.names import split_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jukebox.core.lineage_nodes import LineageSource, Node, NodeId


@dataclass(frozen=True)
class Difference:
    """The features of two models, by versioned name: those of the first alone, of the second alone, and of both."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    both: tuple[str, ...]


@dataclass(frozen=True)
class Usage:
    """How much a feature is used, all its versions together: training sets, models, of these deployed, online tables.

    ``life_cycle`` is that of its newest version, "" where the source does not tell.
    """

    feature: str
    training_sets: int
    models: int
    deployed: int
    online_tables: int
    life_cycle: str = ""

    @property
    def is_used(self) -> bool:
        """Whether a model has it; a training set that no model came of is no use."""
        return self.models > 0


def training_sets_of(source: LineageSource, feature: str) -> tuple[Node, ...]:
    """Return the training sets that hold a feature, of all its versions or of one, ``…@2``; raises UnknownFeature."""
    return uses_of(source, feature).training_sets


def between(source: LineageSource, first: str, last: str) -> Graph:
    """Return the runs and artifacts on every path from the artifact at one URI down to that at another.

    It is empty but for the ends where no path leads there. Raises NotRegistered.
    """
    starts, ends = source.nodes_at(first), source.nodes_at(last)
    return part_between(upstream(source, *ends), starts)


def part_between(graph: Graph, starts: Sequence[Node]) -> Graph:
    """Return the part of a walk up that lies downstream of ``starts``."""
    after: dict[tuple[str, NodeId], list[Node]] = defaultdict(list)
    for one, other in graph.edges:
        after[one.key].append(other)
    reached = {start.key: start for start in starts}
    frontier = list(starts)
    while frontier:
        fresh = {n.key: n for node in frontier for n in after[node.key] if n.key not in reached}
        reached |= fresh
        frontier = list(fresh.values())
    edges = tuple((one, other) for one, other in graph.edges if one.key in reached)
    met = {node.key: node for edge in edges for node in edge}
    return Graph(tuple(starts), tuple({**{s.key: s for s in starts}, **met}.values()), edges)


def difference(source: LineageSource, first: str, second: str) -> Difference:
    """Return how the features of the models at two URIs differ; another version differs. Raises NotRegistered."""
    ours, theirs = ({node.name: None for node in features_of(source, uri)} for uri in (first, second))
    return Difference(
        tuple(name for name in ours if name not in theirs),
        tuple(name for name in theirs if name not in ours),
        tuple(name for name in ours if name in theirs),
    )


def usage(source: LineageSource) -> tuple[Usage, ...]:
    """Return how much each feature is used, by name: all of them in one pass."""
    nodes = source.nodes_of({FEATURE})
    spelled = {node.id: split_version(versioned(node)) for node in nodes}
    counts = Counts(source.census(), {i: str(name) for i, (name, _) in spelled.items()})
    models, deployed = counts.of(counts.models()), counts.of(counts.positions(_deployed(source)))
    sets = counts.of(counts.made_by(JOINS, EXAMPLES))
    tables = counts.of(counts.made_by(ONLINE_LOAD, {ONLINE_TABLE}))
    newest = {str(spelled[n.id][0]): n for n in sorted(nodes, key=lambda node: spelled[node.id][1] or 0)}
    states = {name: dict(node.properties).get("life_cycle", "") for name, node in newest.items()}
    return tuple(
        Usage(name, sets[name], models[name], deployed[name], tables[name], states[name]) for name in sorted(models)
    )


def unused(source: LineageSource) -> tuple[Usage, ...]:
    """Return the features that no model has."""
    return tuple(each for each in usage(source) if not each.is_used)


def deployments(source: LineageSource) -> tuple[tuple[Node, tuple[Node, ...]], ...]:
    """Return the deployments that serve now, each with its models, oldest first."""
    active = [node for node in source.nodes_of({DEPLOYMENT}) if is_active(node)]
    return tuple((node, served_by(source, node)) for node in active)


def versioned(feature: Node) -> str:
    """Return a feature node's name with its version, whole where MLMD had to cut its own name short."""
    told = dict(feature.properties)
    return f"{told['name']}@{told['version']}" if {"name", "version"} <= told.keys() else feature.name


def _deployed(source: LineageSource) -> Iterable[NodeId]:
    return {model.id for _, models in deployments(source) for model in models}
