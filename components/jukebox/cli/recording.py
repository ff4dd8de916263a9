"""``jukebox record-model`` and ``record-deployment``: what was trained and what serves, by whatever means."""

from __future__ import annotations

from typing import Annotated

import typer

from jukebox.cli.arguments import Registry, Text
from jukebox.stores import DEFAULT_REGISTRY

Record = Annotated[Text, typer.Option("--out", help="A folder for the manifest of what is recorded.")]


def record_model(
    *,
    model: Annotated[str, typer.Argument(help="The model's file, folder or URI.")],
    training_set: Annotated[str, typer.Option(help="What it was trained on, a folder or URI.")],
    features: Annotated[
        Text, typer.Option(help="The names that the trainer used, with commas between; by default all of the set's.")
    ] = None,
    facts: Annotated[Text, typer.Option(help='What else is worth knowing, as JSON {"framework": "xgboost"}.')] = None,
    out: Record = None,
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Record a model of any trainer: of which training set, and so of which features.

    [dim]jukebox record-model models/delays.pt --training-set training_set[/]
    """
    from jukebox import record_model
    from jukebox.cli import options
    from jukebox.cli.drawing import counted
    from jukebox.cli.printing import near
    from jukebox.core.lineage import features_of
    from jukebox.stores import open_lineage, place

    made = record_model.run(
        model=place(model),
        training_set=place(training_set),
        registry=options.there(registry),
        features=None if features is None else options.names(features),
        facts=options.json_object("--facts", facts),
        out=None if out is None else place(out),
    )
    count = len(features_of(open_lineage(registry), made.details["model"]))
    typer.echo(f"model: {near(made.details['model'])}, of {counted(count, 'feature')}")


def record_deployment(
    *,
    model: Annotated[str, typer.Argument(help="The URI of a recorded model.")],
    endpoint: Annotated[str, typer.Option(help="The name of where it serves.")],
    end: Annotated[bool, typer.Option("--end", help="It serves there no longer.")] = False,
    out: Record = None,
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Record that a model serves at an endpoint, or with --end that it serves there no longer.

    [dim]jukebox record-deployment models/delays.pt --endpoint delays-eu[/]
    """
    from jukebox import record_deployment
    from jukebox.cli import options
    from jukebox.cli.printing import near
    from jukebox.stores import place

    made = record_deployment.run(
        model=model,
        endpoint=endpoint,
        registry=options.there(registry),
        active=not end,
        out=None if out is None else place(out),
    )
    typer.echo(f"{near(made.details['model'])} {'no longer serves' if end else 'serves'} at {endpoint}")
