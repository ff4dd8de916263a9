"""What is asked of the whole lineage: use, what serves, how models differ, what to make again, and all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jukebox.cli.arguments import AsJson, Registry, Text  # noqa: TC001 - typer reads the annotations
from jukebox.cli.tracing import Sources  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY

if TYPE_CHECKING:
    from jukebox.engine.rebuilding import Rebuild


def usage(
    *,
    unused: Annotated[bool, typer.Option("--unused", help="Only features that no model has.")] = False,
    source: Sources = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Show in how many training sets, models, deployed models and online tables each feature is.

    [dim]jukebox usage --unused[/]
    """
    from dataclasses import asdict

    from jukebox.cli.drawing import counted, print_json, table
    from jukebox.cli.options import lineage_of
    from jukebox.core.lineage_questions import usage as usage_of
    from jukebox.features import FeatureName

    every = usage_of(lineage_of(registry, source or ()))
    found = [each for each in every if not (unused and each.is_used)]
    if as_json:
        print_json([asdict(each) for each in found])
        return
    columns = ["feature", "training sets", "models", "deployed", "online tables", "life cycle"]
    rows = [(FeatureName.parse(u.feature).short, *list(asdict(u).values())[1:]) for u in found]
    title = (
        f"{len(found):,} of {counted(len(every), 'feature')} in no model" if unused else counted(len(found), "feature")
    )
    table(title, columns, rows)


def deployed(*, source: Sources = None, registry: Registry = DEFAULT_REGISTRY, as_json: AsJson = False) -> None:
    """List the models that serve, with the deprecated, retired, outdated and stale of their features.

    [dim]jukebox deployed[/]
    """
    from dataclasses import asdict

    from jukebox.cli.drawing import counted, print_json, table
    from jukebox.cli.options import lineage_of
    from jukebox.cli.printing import near
    from jukebox.engine import deployed as serving
    from jukebox.stores import open_registry

    lineage = lineage_of(registry, source or ())
    found = serving.deployed(open_registry(registry), lineage)
    if as_json:
        plain = [{"endpoint": d.endpoint, "model": d.model.uri, "features": d.features} for d in found]
        doubts = [{"doubts": [asdict(doubt) for doubt in d.doubts]} for d in found]
        print_json([one | other for one, other in zip(plain, doubts, strict=True)])
        return
    rows = [(d.endpoint, near(d.model.uri), len(d.features), len(d.doubts)) for d in found]
    table(counted(len(found), "deployed model"), ["endpoint", "model", "features", "doubtful"], rows)
    doubtful = sorted({(doubt.feature, doubt.what, doubt.why) for d in found for doubt in d.doubts})
    if doubtful:
        table("doubtful features that serve", ["feature", "", "why"], doubtful)


def compare(
    *,
    first: Annotated[str, typer.Argument(help="A model's URI.")],
    second: Annotated[str, typer.Argument(help="Another model's URI.")],
    source: Sources = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Show which features only one of two models has.

    [dim]jukebox compare models/1 models/2[/]
    """
    from dataclasses import asdict

    from jukebox.cli.drawing import counted, print_json
    from jukebox.cli.options import lineage_of
    from jukebox.core.lineage_questions import difference

    found = difference(lineage_of(registry, source or ()), first, second)
    if as_json:
        print_json(asdict(found))
        return
    for name, features in ((first, found.first), (second, found.second)):
        typer.echo(f"{counted(len(features), 'feature')} of {name} alone")
        for feature in features:
            typer.echo(f"  {feature}")
    typer.echo(f"{counted(len(found.both), 'feature')} of both")


def rebuild(
    *,
    table: Annotated[str, typer.Argument(help="The folder of a feature table.")],
    date: Annotated[Text, typer.Option(help="The day that was wrong, 2013-01-31.")] = None,
    start: Annotated[Text, typer.Option("--from", help="The first day of a range.")] = None,
    end: Annotated[Text, typer.Option("--to", help="The last day of a range.")] = None,
    source: Sources = None,
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Say what has to be made again because some days of a feature table were wrong, in that order.

    [dim]jukebox rebuild tables/weather --date 2013-01-31[/]
    """
    from jukebox.cli.drawing import print_json
    from jukebox.cli.options import lineage_of
    from jukebox.core.lineage_told import row
    from jukebox.engine import rebuilding
    from jukebox.engine.dates import dates_between
    from jukebox.stores import place

    days = dates_between(on=date, start=start, end=end)
    found = rebuilding.rebuild(lineage_of(registry, source or ()), place(table), days)
    if as_json:
        steps = [{"after": s.after, "made_by": s.run.type, **row(s.artifact)} for s in found.steps]
        told = {"deployed": [node.uri for node in found.deployed], "unsure": [node.uri for node in found.unsure]}
        print_json({"steps": steps, **told})
    else:
        _tell(found)


def export_lineage(
    *,
    out: Annotated[str, typer.Option(help="The file of events, one a line.")],
    source: Sources = None,
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Write every run as OpenLineage events, for other catalogues, or to be read as openlineage://FILE.

    [dim]jukebox export-lineage --out lineage.jsonl[/]
    """
    from jukebox.cli.drawing import counted
    from jukebox.cli.options import lineage_of
    from jukebox.stores import openlineage_writing, place
    from jukebox.stores.uris import redacted

    runs = openlineage_writing.write(lineage_of(registry, source or ()), out, origin=redacted(place(registry)))
    typer.echo(f"{counted(runs, 'run')} in {out}")


def _tell(found: Rebuild) -> None:
    from jukebox.cli.drawing import counted, table
    from jukebox.cli.tracing import place_told

    rows = [(s.after, s.artifact.type.rpartition(".")[2], place_told(s.artifact), s.run.type) for s in found.steps]
    if not rows:
        typer.echo("nothing was made of these days")
        return
    table(f"{counted(len(rows), 'artifact')} to make again, in this order", ["after", "what", "where", "made by"], rows)
    for what, nodes in (
        ("models that serve", found.deployed),
        ("without a readable manifest, so taken as touched", found.unsure),
    ):
        if nodes:
            table(what, ["where"], [(place_told(node),) for node in nodes])
