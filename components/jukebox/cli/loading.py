"""``jukebox load-offline``: an endpoint's features into a feature table, with the arguments that Jukebox has shown."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from jukebox.cli.arguments import Registry, Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY, place

# Google's own tools take the project from here.
BILLED = "GOOGLE_CLOUD_PROJECT"


def load_offline(
    *,
    data_endpoint: Annotated[str, typer.Option(help="The data endpoint's name, as features.yaml declares it.")],
    uri_prefix: Annotated[str, typer.Option(help="The folder below which the endpoint's uri lies.")],
    out: Annotated[
        Text, typer.Option(help="The folder to write to; by default one named after the endpoint, below tables/.")
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
    features: Annotated[
        Text,
        typer.Option(help='The source map as JSON, {"feature": "column or path"}; by default all of the endpoint.'),
    ] = None,
    keys: Annotated[
        Text,
        typer.Option(
            help='JSON {"primitive_entity", "identifier", "column_name"}, or a list of these, where a key is in '
            "another column, or written in another way, than the endpoint declares."
        ),
    ] = None,
    storage_format: Annotated[
        Text, typer.Option(help="The format of the files, where it is not the endpoint's: STORAGE_FORMAT_TF_EXAMPLE.")
    ] = None,
    project: Annotated[
        Text,
        typer.Option(
            envvar=BILLED, help="The Google Cloud project that BigQuery's reads are billed to; by default the table's."
        ),
    ] = None,
    date: Annotated[Text, typer.Option(help="One date, 2013-01-31.")] = None,
    start: Annotated[Text, typer.Option("--from", help="The first date of a range.")] = None,
    end: Annotated[Text, typer.Option("--to", help="The last date of a range.")] = None,
) -> None:
    r"""Load an endpoint's features into a feature table, for a date or a range.

    [dim]jukebox load-offline --data-endpoint flights.weather --uri-prefix data \
      --from 2013-01-01 --to 2013-01-31 --out tables/weather[/]
    """
    from jukebox import offline_load
    from jukebox.cli import drawing, options, printing

    if project is not None:
        os.environ[BILLED] = project
    with drawing.progress(f"loading {data_endpoint}") as progress:
        manifest = offline_load.run(
            endpoint=data_endpoint,
            source=place(uri_prefix),
            registry=options.there(registry),
            out=place(f"tables/{data_endpoint}" if out is None else out),
            features=options.json_object("--features", features),
            keys=options.json_objects("--keys", keys),
            storage_format=storage_format,
            date=date,
            start=start,
            end=end,
            progress=progress,
        )
    printing.manifest(manifest)
