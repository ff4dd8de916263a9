"""A lineage as a drawing in text: Mermaid, as GitHub and notebooks show it, and DOT, as Graphviz draws it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jukebox.core.lineage import FEATURE, MODELS
from jukebox.core.lineage_tree import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from jukebox.core.lineage_nodes import Graph, Node

_LONGEST = 80  # characters of a label
_COLOURS = {"feature": "#d9f2d9", "model": "#f2d9f2", "artifact": "#e8eef7", "execution": "#f7f7f7"}


def mermaid(graph: Graph) -> str:
    r"""Return the graph as a Mermaid flowchart: runs have round ends, features are green and models violet."""
    numbers = {node.key: f"n{at}" for at, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        left, right = ("([", "])") if node.kind == "execution" else ("[", "]")
        lines.append(f'  {numbers[node.key]}{left}"{_escaped(label(node))}"{right}:::{_class(node)}')
    lines += [f"  {numbers[one.key]} --> {numbers[other.key]}" for one, other in graph.edges]
    lines += [f"  classDef {name} fill:{colour},stroke:#555,color:#111" for name, colour in _COLOURS.items()]
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language."""
    numbers = {node.key: f"n{at}" for at, node in enumerate(graph.nodes)}
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [style=filled, fontname="sans-serif", fontsize=10];']
    for node in graph.nodes:
        shape = "oval" if node.kind == "execution" else "box"
        about = f'label={_quoted(label(node))}, shape={shape}, fillcolor="{_COLOURS[_class(node)]}"'
        lines.append(f"  {numbers[node.key]} [{about}, tooltip={_quoted(node.uri or node.name or node.type)}];")
    lines += [f"  {numbers[one.key]} -> {numbers[other.key]};" for one, other in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def label(node: Node) -> str:
    """Return what a drawing calls a node: its line in a tree, its middle left out where it is long."""
    text = "".join(c if c.isprintable() else " " for c in text_of(node))
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[: half - 1]}…{text[-half:]}"


def _class(node: Node) -> str:
    if node.type == FEATURE:
        return "feature"
    return "model" if node.type in MODELS else node.kind


def _escaped(text: str) -> str:
    # Mermaid takes HTML entities by number; a quote or a hash would end the label or begin an entity.
    special: Callable[[str], str] = lambda c: f"#{ord(c)};"  # noqa: E731
    return "".join(special(c) if c in '"#<>&`;\\' else c for c in text)


def _quoted(text: str) -> str:
    # DOT has JSON's quotes, but for backslashes, which begin escapes such as \N, the node's own name.
    return json.dumps(text, ensure_ascii=False)
