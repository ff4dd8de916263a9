"""``jukebox lineage``: a feature down to its models, a model up to its features, any artifact both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from jukebox.cli.arguments import AsJson, Registry, Text
from jukebox.stores import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from rich.tree import Tree

    from jukebox.core.lineage_nodes import Graph, LineageSource, Node
    from jukebox.core.lineage_tree import Branch

_STYLES = {"Feature": "bold green", "Model": "bold magenta", "PushedModel": "bold magenta"}

Sources = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation
    typer.Option(
        "--source",
        help="A lineage beside the registry's, manifests://FOLDER, openlineage://FILE or another store; once for each.",
    ),
]
Format = Annotated[str, typer.Option("--format", help="tree, json, csv, mermaid, dot, svg, png or pdf.")]
File = Annotated[Text, typer.Option("--out", help="The file to write to; by default the terminal.")]


def lineage(
    *,
    feature: Annotated[Text, typer.Option(help="A feature's name: what is made of it, down to the models.")] = None,
    model: Annotated[Text, typer.Option(help="A model's URI: what it is made of, up to the features.")] = None,
    uri: Annotated[Text, typer.Option(help="Any artifact's URI: both ways.")] = None,
    to: Annotated[
        Text, typer.Option(help="With --uri: only what lies between it and the artifact at this URI.")
    ] = None,
    source: Sources = None,
    form: Format = "tree",
    out: File = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Trace a feature to its models, or a model to its features.

    [dim]jukebox lineage --feature /airport/flights-weather/temp[/]
    """
    from jukebox.cli.options import lineage_of
    from jukebox.errors import InvalidValue

    if sum(name is not None for name in (feature, model, uri)) != 1:
        raise InvalidValue("lineage takes one of --feature, --model and --uri")
    if to is not None and uri is None:
        raise InvalidValue("--to needs --uri: it asks for what lies between two artifacts")
    form = "json" if as_json else form
    _require_writable(form, out)
    graphs = _graphs(lineage_of(registry, source or ()), feature, model or uri, to, both=uri is not None)
    if form == "tree" and out is None:
        _show(graphs)
    else:
        _write(_drawn_as(graphs, form), out)


def _graphs(
    source: LineageSource, feature: str | None, uri: str | None, to: str | None, *, both: bool
) -> dict[str, Graph]:
    from jukebox.core.lineage import downstream, upstream

    if feature is not None:
        return {"down": downstream(source, *source.feature_nodes(feature))}
    starts = source.nodes_at(str(uri))
    if to is not None:
        from jukebox.core.lineage_questions import between

        return {"between": between(source, str(uri), to)}
    return {"up": upstream(source, *starts)} | ({"down": downstream(source, *starts)} if both else {})


def _require_writable(form: str, out: str | None) -> None:
    """Raise InvalidValue for a format that there is none, and for a picture that would go to the terminal."""
    from jukebox.engine.pictures import KINDS
    from jukebox.errors import InvalidValue

    known = ("tree", "json", "csv", "mermaid", "dot", *KINDS)
    if form not in known:
        raise InvalidValue(f"'{form}' is no format of a lineage; there are {', '.join(known)}")
    if form in KINDS and out is None:
        raise InvalidValue(f"a picture goes to a file: --format {form} needs --out")


def _drawn_as(graphs: dict[str, Graph], form: str) -> str | bytes:
    from jukebox.cli.drawing import as_json
    from jukebox.core.lineage_drawn import dot, mermaid
    from jukebox.core.lineage_nodes import together
    from jukebox.core.lineage_told import as_csv, plain
    from jukebox.engine.pictures import picture

    if form == "json":
        return as_json({direction: plain(graph) for direction, graph in graphs.items()}) + "\n"
    if form == "tree":
        return "".join(f"{line}\n" for _, branch in _trees(graphs) for line in branch.lines())
    whole = together(graphs.values())
    texts = {"csv": as_csv, "mermaid": mermaid, "dot": dot}
    return texts[form](whole) if form in texts else picture(whole, form)


def _write(drawn: str | bytes, out: str | None) -> None:
    from jukebox.tables import written_whole

    if out is None:
        typer.echo(drawn, nl=False)
        return
    with written_whole(out) as temporary:
        temporary.write_bytes(drawn if isinstance(drawn, bytes) else drawn.encode())


def _trees(graphs: dict[str, Graph]) -> list[tuple[str, Branch]]:
    from jukebox.core.lineage_tree import tree

    way = {"up": "up", "down": "down", "between": "down"}
    return [(name, tree(graph, start, way[name])) for name, graph in graphs.items() for start in graph.starts]


def _show(graphs: dict[str, Graph]) -> None:
    from rich.markup import escape

    from jukebox.cli.drawing import console, counted
    from jukebox.core.lineage import FEATURE, MODELS
    from jukebox.core.uses import uses

    terminal = console()
    for direction, graph in graphs.items():
        for name, branch in _trees({direction: graph}):
            if name == direction:
                terminal.print(_drawn(branch))
        found: dict[str, Any] = {"run": [node for node in graph.nodes if node.kind == "execution"]}
        if direction == "up":
            found = {"feature": graph.artifacts({FEATURE})}
        elif direction == "down":
            found = {"training set": uses(graph).training_sets, "model": graph.artifacts(MODELS)}
        for what, nodes in found.items():
            terminal.print(f"[bold]{counted(len(nodes), what)}[/]")
            for node in sorted(nodes, key=lambda node: (node.type, node.name, node.uri)) if what != "run" else ():
                terminal.print(f"  {escape(place_told(node))}", soft_wrap=True)


def _drawn(branch: Branch) -> Tree:
    from rich.tree import Tree

    root = Tree(_line(branch), guide_style="dim")
    stack = [(root, branch)]
    while stack:
        drawn, of = stack.pop()
        stack.extend((drawn.add(_line(below)), below) for below in of.branches)
    return root


def _line(branch: Branch) -> str:
    from rich.markup import escape

    if branch.node is None or branch.node.kind == "execution":
        return f"[dim]{escape(branch.text)}[/]"
    style = _STYLES.get(branch.node.type.rpartition(".")[2], "none")
    return f"[{style}]{escape(branch.text)}[/]"


def place_told(node: Node) -> str:
    """Return how a table shows an artifact: by the name of a feature, else by where it lies."""
    from jukebox.cli.printing import near
    from jukebox.core.lineage import FEATURE

    return node.name if node.type == FEATURE else near(node.uri or node.name)
