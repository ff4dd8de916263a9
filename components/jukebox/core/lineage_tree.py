"""Lineage as a tree of lines, for people: an artifact, the runs beyond it, their artifacts, and so on."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jukebox.core.lineage import FEATURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jukebox.core.lineage_nodes import Graph, Node, NodeId

_SHOWN_PARTS = 3  # of a path: TFX writes …/<component>/<output>/<execution>


@dataclass(frozen=True)
class Branch:
    """A line of the tree and what hangs from it; ``node`` is None where the line stands for many more."""

    text: str
    node: Node | None = None
    branches: tuple[Branch, ...] = ()

    def lines(self, indent: str = "") -> Iterator[str]:
        """Yield the tree as indented lines of text."""
        stack = [(self, indent)]
        while stack:
            branch, space = stack.pop()
            yield f"{space}{branch.text}"
            stack.extend((each, f"{space}  ") for each in reversed(branch.branches))


def tree(graph: Graph, start: Node, direction: str, *, most: int = 5) -> Branch:
    """Return the nodes of ``graph`` that hang from ``start``, ``up`` to what it was made of or ``down`` to its uses.

    A node that hangs in several places is drawn out at the first and marked at the others. Of more than ``most``
    siblings of one type the first are drawn, and one line counts the rest.
    """
    around = _around(graph, direction)
    drawn: list[_Draft] = [_Draft(text_of(start), start)]
    shown, stack = set(), [drawn[0]]
    while stack:
        draft = stack.pop()
        node = draft.node
        if node is None:
            continue
        if node.key in shown:
            draft.text += "  (see above)" if around.get(node.key) else ""
            continue
        shown.add(node.key)
        draft.below = list(_below(around.get(node.key, ()), most))
        drawn.extend(draft.below)
        stack.extend(reversed(draft.below))
    return _whole(drawn)


def text_of(node: Node) -> str:
    """Return the line of a node: a run by what ran, a feature by its name, another artifact by its type and place."""
    kind = node.type.rpartition(".")[2]
    if node.kind == "execution":
        told = dict(node.properties)
        # On Kubeflow Pipelines every run is a ContainerExecution, and its task says what ran.
        task = (told.get("display_name") or told.get("task_name")) if node.type.startswith("system.") else None
        return f"{task or kind} (run {_short(str(node.id))})"
    if node.type == FEATURE:
        return f"{kind} {node.name}"
    place = node.uri or node.name
    parts = place.rstrip("/").split("/")
    return f"{kind} {place if len(parts) <= _SHOWN_PARTS + 1 else '/'.join(['…', *parts[-_SHOWN_PARTS:]])}"


def _short(run: str) -> str:
    # Runs that manifests tell of are called by the place and the fingerprint of what they made.
    return run if "/" not in run else run.partition("#")[0].rpartition("/")[2] or run


@dataclass(eq=False)
class _Draft:
    text: str
    node: Node | None
    below: list[_Draft] = field(default_factory=list)


def _around(graph: Graph, direction: str) -> Mapping[tuple[str, NodeId], Sequence[Node]]:
    around: dict[tuple[str, NodeId], list[Node]] = defaultdict(list)
    for before, after in graph.edges:
        near, far = (after, before) if direction == "up" else (before, after)
        around[near.key].append(far)
    return around


def _below(nodes: Sequence[Node], most: int) -> Iterator[_Draft]:
    total, so_far = Counter(node.type for node in nodes), Counter[str]()
    for node in nodes:
        so_far[node.type] += 1
        if so_far[node.type] <= most:
            yield _Draft(text_of(node), node)
        elif so_far[node.type] == most + 1:
            kind = node.type.rpartition(".")[2]
            yield _Draft(f"… and {total[node.type] - most} more of {kind}", None)


def _whole(drawn: Sequence[_Draft]) -> Branch:
    # What hangs from a line was drawn after it: from the last to the first, each finds its own already whole.
    whole: dict[int, Branch] = {}
    for draft in reversed(drawn):
        whole[id(draft)] = Branch(draft.text, draft.node, tuple(whole[id(each)] for each in draft.below))
    return whole[id(drawn[0])]
