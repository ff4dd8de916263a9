"""Lineage as plain values and as rows: for JSON, for data frames, for CSV."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jukebox.core.lineage import FEATURE, MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jukebox.core.lineage_nodes import Graph, Node


def plain(graph: Graph) -> dict[str, Any]:
    """Return a graph as JSON has it: nodes, edges between (kind, id), the features by name and the models by URI."""
    return {
        "nodes": [row(node) for node in graph.nodes],
        "edges": [[list(before.key), list(after.key)] for before, after in graph.edges],
        "features": sorted({node.name for node in graph.artifacts({FEATURE})}),
        "models": sorted({node.uri for node in graph.artifacts(MODELS)}),
    }


def row(node: Node) -> dict[str, Any]:
    """Return a node as a row: ``pandas.DataFrame(map(row, nodes))`` is a frame of them."""
    at = None if node.at is None else datetime.fromtimestamp(node.at / 1e3, timezone.utc).isoformat()
    about = {"kind": node.kind, "id": node.id, "type": node.type, "name": node.name, "uri": node.uri}
    return {**about, "state": node.state, "at": at, "properties": dict(node.properties)}


def rows(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Return nodes as rows."""
    return [row(node) for node in nodes]


def edge_rows(graph: Graph) -> list[dict[str, Any]]:
    """Return the edges as rows, in the direction of the data: which kind, type and name each end has."""
    return [{**_end("from", one), **_end("to", other)} for one, other in graph.edges]


def as_csv(graph: Graph) -> str:
    """Return the edges as CSV, with a header."""
    text = io.StringIO()
    names = [f"{side}{part}" for side in ("from", "to") for part in ("", "_kind", "_type", "_name")]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(edge_rows(graph))
    return text.getvalue()


def _end(side: str, node: Node) -> dict[str, Any]:
    return {side: node.id, f"{side}_kind": node.kind, f"{side}_type": node.type, f"{side}_name": node.name or node.uri}
