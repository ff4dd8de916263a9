"""A lineage as a picture, drawn by Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jukebox.core.lineage_drawn import dot
from jukebox.errors import InvalidValue, JobFailed, MissingDependency, reason

if TYPE_CHECKING:
    from jukebox.core.lineage_nodes import Graph

KINDS = ("svg", "png", "pdf")


def picture(graph: Graph, kind: str = "svg") -> bytes:
    """Return the graph as a picture of a ``kind``.

    Raises InvalidValue for another kind, MissingDependency where the library or Graphviz itself is not there, and
    JobFailed where Graphviz gives up, as on a graph of very many nodes.
    """
    if kind not in KINDS:
        raise InvalidValue(f"'{kind}' is no kind of picture; there are {', '.join(KINDS)}")
    try:
        import graphviz
    except ImportError as exc:
        raise MissingDependency.of("graphviz", "pictures") from exc
    try:
        return bytes(graphviz.Source(dot(graph)).pipe(format=kind))
    except graphviz.ExecutableNotFound as exc:
        told = "Graphviz, which draws pictures, is not installed (apt-get install graphviz); Mermaid and DOT need none"
        raise MissingDependency(told) from exc
    except graphviz.CalledProcessError as exc:
        raise JobFailed(f"Graphviz could not draw {len(graph.nodes)} nodes: {reason(exc)}") from exc
