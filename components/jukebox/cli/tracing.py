"""Lineage on the command line: a feature down to its models, a model up to its features, any artifact both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.tree import Tree

from jukebox.cli.drawing import console, counted, print_json
from jukebox.cli.options import there
from jukebox.core.lineage import FEATURE, MODELS, downstream, upstream
from jukebox.core.lineage_tree import tree
from jukebox.errors import InvalidValue
from jukebox.stores import open_lineage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jukebox.core.lineage_nodes import Graph, Node
    from jukebox.core.lineage_tree import Branch

_STYLES = {"Feature": "bold green", "Model": "bold magenta", "PushedModel": "bold magenta"}


def trace(registry: str, *, feature: str | None, model: str | None, uri: str | None, as_json: bool) -> None:
    """Print the lineage of one thing; raises InvalidValue unless exactly one is named."""
    if sum(name is not None for name in (feature, model, uri)) != 1:
        raise InvalidValue("lineage takes one of --feature, --model and --uri")
    source = open_lineage(there(registry))
    starts = source.feature_nodes(feature) if feature is not None else source.nodes_at(str(model or uri))
    walks = {"down": downstream} if feature is not None else {"up": upstream}
    walks = {"up": upstream, "down": downstream} if uri is not None else walks
    graphs = {direction: walk(source, *starts) for direction, walk in walks.items()}
    if as_json:
        print_json({direction: _plain(graph) for direction, graph in graphs.items()})
        return
    terminal = console()
    for direction, graph in graphs.items():
        for start in starts:
            terminal.print(_drawn(tree(graph, start, direction)))
        found = _ends(graph, FEATURE if direction == "up" else None)
        terminal.print(f"[bold]{counted(len(found), 'feature' if direction == 'up' else 'model')}[/]")
        for node in found:
            terminal.print(f"  {escape(node.name if node.type == FEATURE else node.uri)}", soft_wrap=True)


def _ends(graph: Graph, kind: str | None) -> list[Node]:
    found = graph.artifacts(MODELS if kind is None else {kind})
    return sorted(set(found), key=lambda node: (node.type, node.name, node.uri))


def _drawn(branch: Branch) -> Tree:
    root = Tree(_line(branch), guide_style="dim")
    stack = [(root, branch)]
    while stack:
        drawn, of = stack.pop()
        stack.extend((drawn.add(_line(below)), below) for below in of.branches)
    return root


def _line(branch: Branch) -> str:
    if branch.node is None or branch.node.kind == "execution":
        return f"[dim]{escape(branch.text)}[/]"
    style = _STYLES.get(branch.node.type.rpartition(".")[2], "none")
    return f"[{style}]{escape(branch.text)}[/]"


def _plain(graph: Graph) -> dict[str, Any]:
    return {
        "nodes": [_node(node) for node in graph.nodes],
        "edges": [[list(before.key), list(after.key)] for before, after in graph.edges],
        "features": _names(graph.artifacts({FEATURE})),
        "models": sorted({node.uri for node in graph.artifacts(MODELS)}),
    }


def _node(node: Node) -> dict[str, Any]:
    plain = {"kind": node.kind, "id": node.id, "type": node.type, "name": node.name, "uri": node.uri}
    return {**plain, "state": node.state, "properties": dict(node.properties)}


def _names(nodes: Iterable[Node]) -> list[str]:
    return sorted({node.name for node in nodes})
