"""How many artifacts each feature went into, for all features at once: the rule of named features in arrays."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.lineage import FEATURE, MODELS, VERDICTS
from jukebox.core.lineage_memory import OVER, REUSED, UNBORN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from jukebox.core.lineage_census import Census, Integers
    from jukebox.core.lineage_nodes import NodeId


class Counts:
    """A census in order, which is asked how many artifacts each feature went into.

    ``groups`` tells by the id of a feature's artifact what it is counted under, such as the name that its versions
    share; those that it leaves out are not counted.
    """

    def __init__(self, census: Census, groups: Mapping[NodeId, str]) -> None:
        self._census, self._ids = census, list(census.artifacts)
        self._kinds = [kind for kind, _ in census.artifacts.values()]
        self._states = [state for _, state in census.artifacts.values()]
        self._names = list(dict.fromkeys(groups.values()))
        number = {name: at for at, name in enumerate(self._names)}
        self._group = np.array([number.get(groups.get(i, ""), -1) for i in self._ids], np.int64)
        artifacts, runs, outputs = census.events.T
        is_feature = np.array([kind == FEATURE for kind in self._kinds], np.bool_)
        came = np.array([state not in UNBORN for state in self._states], np.bool_)
        named = (outputs == 0) & is_feature[artifacts] & came[artifacts]
        self._read = _gathered(census.events[(outputs == 0) & ~is_feature[artifacts] & came[artifacts]][:, [1, 0]])
        self._made = self._over(_gathered(census.events[outputs == 1][:, :2]))
        self._naming, self._offsets, self._members = _runs_of(runs[named], self._group[artifacts[named]])

    def ids(self, types: Collection[str]) -> tuple[int, ...]:
        """Return the positions of the artifacts of some types that came to be."""
        told = zip(self._kinds, self._states, strict=True)
        return tuple(at for at, (kind, state) in enumerate(told) if kind in types and state not in UNBORN)

    def models(self) -> tuple[int, ...]:
        """Return the positions of the models."""
        return self.ids(MODELS)

    def positions(self, ids: Iterable[NodeId]) -> tuple[int, ...]:
        """Return the positions of artifacts by id."""
        wanted = set(ids)
        return tuple(at for at, i in enumerate(self._ids) if i in wanted)

    def made_by(self, component: str | tuple[str, ...], types: Collection[str]) -> tuple[int, ...]:
        """Return the positions of the artifacts of some types that a run made whose type begins so, or so or so."""
        kinds = enumerate(self._census.executions.values())
        runs = {at for at, (kind, _) in kinds if kind.startswith(component)}
        return tuple(at for at in self.ids(types) if not runs.isdisjoint(self._made.get(at, ())))

    def of(self, targets: Iterable[int]) -> dict[str, int]:
        """Return how many of the artifacts at these positions the features of each group went into, by group."""
        weights = Counter(self._naming_above(target) for target in targets)
        total = np.zeros(len(self._names), np.int64)
        alone = np.zeros(len(self._naming), np.int64)
        for runs, weight in weights.items():
            if len(runs) == 1:
                alone[runs[0]] += weight
            elif runs:
                together = np.unique(np.concatenate([self._members[slice(*self._offsets[r : r + 2])] for r in runs]))
                total[together] += weight
        each = np.repeat(alone, np.diff(self._offsets))
        total += np.bincount(self._members, weights=each, minlength=len(total)).astype(np.int64)
        return dict(zip(self._names, total.tolist(), strict=True))

    def _over(self, made: dict[int, list[int]]) -> dict[int, list[int]]:
        """Return the makers that count: those that are over, and the reused of which some maker is not here."""
        states = [state for _, state in self._census.executions.values()]
        over = {run for run, state in enumerate(states) if state in OVER}
        if len(over) < len(states):
            orphans = (run for runs in made.values() if over.isdisjoint(runs) for run in runs)
            over |= {run for run in orphans if states[run] == REUSED}
            made = {artifact: [run for run in runs if run in over] for artifact, runs in made.items()}
        return made

    def _naming_above(self, target: int) -> tuple[int, ...]:
        """Return the runs that name features first on each path up from an artifact."""
        found: dict[int, None] = {}
        seen, frontier = {target}, [target]
        while frontier:
            above: list[int] = []
            for run in dict.fromkeys(run for artifact in frontier for run in self._made.get(artifact, ())):
                if run in self._naming:
                    found[self._naming[run]] = None
                else:
                    above += self._read.get(run, ())
            frontier = [i for i in dict.fromkeys(above) if i not in seen and self._kinds[i] not in VERDICTS]
            seen.update(frontier)
        return tuple(sorted(found))


def _gathered(pairs: Integers) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for key, value in pairs.tolist():
        found[key].append(value)
    return dict(found)


def _runs_of(runs: Integers, groups: Integers) -> tuple[dict[int, int], Integers, Integers]:
    """Return the runs that name features, numbered, and the groups of each between two offsets, each once."""
    naming = np.unique(runs)
    width = int(groups.max(initial=0)) + 2
    pairs = np.unique(np.searchsorted(naming, runs) * width + groups + 1)
    pairs = pairs[pairs % width > 0]
    numbers = range(len(naming))
    offsets = np.searchsorted(pairs // width, np.arange(len(naming) + 1))
    return dict(zip(naming.tolist(), numbers, strict=True)), offsets, pairs % width - 1
