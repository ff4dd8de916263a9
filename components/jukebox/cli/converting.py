"""``jukebox convert``: files of one storage format into files of another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from jukebox.cli.arguments import Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import place

if TYPE_CHECKING:
    from jukebox.tables import Manifest


def convert(
    *,
    source: Annotated[str, typer.Argument(metavar="IN", help="A file, or a folder of them.")],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="One file, where it ends as files of a format do, or else a folder.")
    ],
    from_format: Annotated[Text, typer.Option("--from", help="The format of IN, where its files do not tell.")] = None,
    to_format: Annotated[Text, typer.Option("--to", help="The format of OUT, where its name does not tell.")] = None,
    columns: Annotated[Text, typer.Option(help="Only these columns, with commas between.")] = None,
    types: Annotated[
        Text,
        typer.Option(help='JSON {"column": "data type"} of what a format does not tell, such as text in records.'),
    ] = None,
    rows_per_file: Annotated[
        int, typer.Option(help="How many rows each file of a folder has; one file holds all of them.")
    ] = 1_000_000,
) -> None:
    """Convert Parquet, TFRecord, Avro, CSV or JSON lines into one another, lossless or refused.

    [dim]jukebox convert plays.csv plays.parquet[/]
    """
    from jukebox import convert as component
    from jukebox.cli import drawing, options, printing

    started = time.monotonic()
    with drawing.rows(f"converting {printing.near(source)}") as progress:
        made = component.run(
            source=place(source),
            out=place(out),
            from_format=from_format,
            to_format=to_format,
            columns=None if columns is None else options.names(columns),
            types=options.json_object("--types", types),
            rows_per_file=rows_per_file,
            progress=progress,
        )
    _tell(made, time.monotonic() - started)


def _tell(made: Manifest, seconds: float) -> None:
    from jukebox.cli.drawing import counted
    from jukebox.cli.printing import near

    files = counted(len(made.details["files"]), "file")
    size = made.details["bytes"] / 1_000_000
    typer.echo(
        f"{counted(made.rows, 'row')} of {made.details['format']} in {near(made.uri)}: {files}, {size:,.1f} MB, "
        f"{seconds:.1f} s, {made.rows / seconds:,.0f} rows a second"
    )
