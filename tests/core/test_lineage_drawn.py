"""Lineage as Mermaid, DOT, rows and CSV; names of any length and script."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess

import pytest

from jukebox.core.lineage import downstream
from jukebox.core.lineage_drawn import dot, label, mermaid
from jukebox.core.lineage_nodes import Graph, Node
from jukebox.core.lineage_told import as_csv, plain, rows
from tests.core.test_lineage import F, two_models

ODD = ['a"b', "back\\slash\\N", "<b>&amp;</b>", "#35;", "två\nrader", "`code`", "x" * 1000, "日本語/モデル", "];end"]


def odd() -> Graph:
    """Return a graph whose names hold what drawings take for their own."""
    nodes = tuple(Node("artifact", at, "Data", name, name) for at, name in enumerate(ODD))
    run = Node("execution", 99, 'run"[x]', state="COMPLETE")
    return Graph(nodes[:1], (*nodes, run), tuple((node, run) for node in nodes))


def test_mermaid_has_a_line_for_each_node_and_edge():
    """Runs are round, and classes tell features and models."""
    graph = two_models()
    text = mermaid(downstream(graph, graph.node(F)))
    assert text.startswith("flowchart LR\n")
    assert text.count(" --> ") == len(downstream(graph, graph.node(F)).edges)
    assert ":::feature" in text
    assert '(["load (run load)"]):::execution' in text


def test_no_name_breaks_mermaid():
    """Within the quotes of a label there are neither quotes nor markup nor line ends."""
    lines = [line for line in mermaid(odd()).splitlines() if ":::" in line]
    assert len(lines) == len(ODD) + 1
    for line in lines:
        inside = line[line.index('"') + 1 : line.rindex('"')]
        assert not set(inside) & set('"<>`\\&')


def test_a_label_of_a_thousand_characters_is_cut_in_its_middle():
    """Its beginning and its end tell it from others."""
    text = label(Node("artifact", 1, "Data", uri="x" * 1000 + "end"))
    assert len(text) == 80
    assert text.endswith("end")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not here: apt-get install graphviz")
def test_graphviz_reads_every_name():
    """What it draws has all labels."""
    drawn = subprocess.run(["dot", "-Tjson"], input=dot(odd()), capture_output=True, text=True, check=True).stdout
    told = {each["tooltip"] for each in json.loads(drawn)["objects"]}
    assert {"x" * 1000, "日本語/モデル", 'a"b', "];end"} <= told


def test_rows_are_what_a_data_frame_takes():
    """A row for each node, with its time in ISO 8601."""
    node = Node("artifact", 7, "Model", "m", "models/7", "LIVE", (("auc", "0.9"),), at=1_700_000_000_000)
    assert rows([node]) == [
        {
            "kind": "artifact",
            "id": 7,
            "type": "Model",
            "name": "m",
            "uri": "models/7",
            "state": "LIVE",
            "at": "2023-11-14T22:13:20+00:00",
            "properties": {"auc": "0.9"},
        }
    ]


def test_csv_reads_back_with_any_name():
    """An edge a row, line ends and quotes in names too."""
    graph = odd()
    read = list(csv.DictReader(io.StringIO(as_csv(graph))))
    assert [row["from_name"] for row in read] == ODD
    assert len(plain(graph)["edges"]) == len(read)
