"""What was made of many features, each for itself, in one walk: each artifact is come to once, with all that reach it.

The rule is that of ``lineage.downstream``. Which features reach an artifact is a set of bits, one a feature.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from jukebox.core.lineage import FEATURE, MODELS, VERDICTS
from jukebox.core.lineage_memory import Memory
from jukebox.core.uses import DEPLOYMENT, EXAMPLES, JOINS, ONLINE_TABLE, Uses, is_active

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jukebox.core.lineage_nodes import LineageSource, Node, NodeId


def uses_of_each(source: LineageSource, features: Sequence[str]) -> dict[str, Uses]:
    """Return by name what ``uses_of`` returns for each of the features, oldest first; raises UnknownFeature."""
    asked = list(dict.fromkeys(features))
    starts = {name: source.feature_nodes(name) for name in asked}
    tide = _Tide(source, starts)
    tide.rise()
    kinds = tide.kinds()
    found: list[dict[str, list[Node]]] = [{kind: [] for kind in kinds} for _ in asked]
    for kind, reached in kinds.items():
        for node, bits in sorted(reached, key=lambda pair: _age(pair[0])):
            for number in _numbers(bits):
                found[number][kind].append(node)
    told = ({kind: tuple(nodes) for kind, nodes in each.items()} for each in found)
    return {name: Uses(**each) for name, each in zip(asked, told, strict=True)}


class _Tide:
    """A walk down from many features: which of them reached each artifact, and which entered each run."""

    def __init__(self, source: LineageSource, starts: Mapping[str, Sequence[Node]]) -> None:
        self._memory = Memory(source, [node for nodes in starts.values() for node in nodes])
        self._own: dict[NodeId, int] = defaultdict(int)  # the features that an artifact is a version of
        for number, nodes in enumerate(starts.values()):
            for node in nodes:
                self._own[node.id] |= 1 << number
        self._reached: dict[NodeId, int] = defaultdict(int)
        self._made: dict[NodeId, int] = defaultdict(int)  # reached as what a run wrote
        self._entered: dict[NodeId, int] = defaultdict(int)
        self._named: dict[NodeId, int | None] = {}

    def rise(self) -> None:
        """Walk until no feature reaches an artifact that it had not reached."""
        frontier = dict(self._own)
        while frontier:
            for artifact, bits in frontier.items():
                self._reached[artifact] |= bits
            entered = self._enter({a: b for a, b in frontier.items() if self._passes(a)})
            for run, bits in entered.items():
                self._entered[run] |= bits
            frontier = self._leave(entered)

    def kinds(self) -> dict[str, list[tuple[Node, int]]]:
        """Return by kind of use the artifacts that features reached, with these features."""
        outputs = self._memory.outputs(list(self._entered))
        joins = [run for run in self._entered if self._memory.execution(run).type.startswith(JOINS)]
        sets: dict[NodeId, int] = defaultdict(int)
        for run in joins:
            for node in outputs[run]:
                if node.type in EXAMPLES:
                    sets[node.id] |= self._entered[run]
        serving = [x for x in self._entered if any(n.type == DEPLOYMENT and is_active(n) for n in outputs[x])]
        deployed: dict[NodeId, int] = defaultdict(int)
        for run, read in self._memory.inputs(serving).items():
            for node in read:
                if node.type in MODELS:
                    deployed[node.id] |= self._entered[run] & self._reached[node.id]
        met = [(self._memory.artifact(a), bits) for a, bits in self._made.items()]
        return {
            "training_sets": [(self._memory.artifact(a), bits) for a, bits in sets.items()],
            "models": [(node, bits) for node, bits in met if node.type in MODELS],
            "online_tables": [(node, bits) for node, bits in met if node.type == ONLINE_TABLE],
            "deployed": [(self._memory.artifact(a), bits) for a, bits in deployed.items()],
        }

    def _passes(self, artifact: NodeId) -> bool:
        return self._memory.artifact(artifact).type not in VERDICTS

    def _enter(self, frontier: Mapping[NodeId, int]) -> dict[NodeId, int]:
        """Return the runs that read artifacts of the frontier, with the features that enter by them."""
        sure: dict[NodeId, int] = defaultdict(int)
        doubtful: dict[NodeId, int] = defaultdict(int)
        for artifact, runs in self._memory.consumers(list(frontier)).items():
            # Whoever reads a feature names it; what else a run reads is asked for only where that counts.
            own = frontier[artifact] & self._own.get(artifact, 0)
            others = frontier[artifact] & ~own
            for run in runs:
                sure[run] |= own
                if others:
                    doubtful[run] |= others
        self._learn_names([run for run in doubtful if run not in self._named])
        for run, bits in doubtful.items():
            named = self._named[run]
            sure[run] |= bits if named is None else bits & named
        return {run: bits & ~self._entered[run] for run, bits in sure.items() if bits & ~self._entered[run]}

    def _learn_names(self, runs: Sequence[NodeId]) -> None:
        for run, read in self._memory.inputs(runs).items():
            features = [node for node in read if node.type == FEATURE]
            named = 0
            for node in features:
                named |= self._own.get(node.id, 0)
            self._named[run] = named if features else None

    def _leave(self, entered: Mapping[NodeId, int]) -> dict[NodeId, int]:
        """Return the artifacts that runs wrote, with the features that come to them anew."""
        fresh: dict[NodeId, int] = defaultdict(int)
        for run, nodes in self._memory.outputs(list(entered)).items():
            for node in nodes:
                self._made[node.id] |= entered[run]
                fresh[node.id] |= entered[run]
        return {a: bits & ~self._reached[a] for a, bits in fresh.items() if bits & ~self._reached[a]}


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _age(node: Node) -> tuple[int, str]:
    # Identifiers grow with time in MLMD, and are texts where manifests or several stores tell of a graph.
    return (node.id, "") if isinstance(node.id, int) else (0, node.id)
