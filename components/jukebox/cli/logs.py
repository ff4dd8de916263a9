"""``jukebox log-training-set`` and ``jukebox check-consistency``: what is made of a log of served features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jukebox.cli.arguments import Out, Registry, Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import DEFAULT_REGISTRY, place

if TYPE_CHECKING:
    from jukebox.tables import Manifest

Log = Annotated[str, typer.Option(help="A log of served features: its folder, or that of a date.")]


def log_training_set(
    *,
    log: Log,
    labels: Annotated[str, typer.Option(help="A Parquet, CSV or TFRecord file, or a folder of them.")],
    features: Annotated[str, typer.Option(help="Names with commas between, or JSON as prepare-training-set takes it.")],
    out: Out,
    request_id: Annotated[str, typer.Option(help="The label column of the request it is about.")] = "request_id",
    position: Annotated[Text, typer.Option(help="The label column of the entity's place in its request.")] = None,
    label_time: Annotated[Text, typer.Option(help="The label column of the time of labels not logged.")] = None,
    registry: Registry = DEFAULT_REGISTRY,
    split: Annotated[str, typer.Option(help="time:0.8, hash:0.8 or hash:0.8:column,column.")] = "time:0.8",
    proof: Annotated[
        str, typer.Option(help="sample or full: how many labels are searched for later knowledge.")
    ] = "sample",
) -> None:
    r"""Join the features that were served to labels by request; what was not logged is joined point-in-time.

    [dim]jukebox log-training-set --log served --labels clicks.parquet \
      --features /airport/flights-weather/temp --out training_set[/]
    """
    from jukebox import log_training_set as component
    from jukebox.cli import drawing, options, printing

    with drawing.joining() as progress:
        made = component.run(
            log=place(log),
            labels=place(labels),
            features=options.request(features),
            registry=options.there(registry),
            out=place(out),
            request_id=request_id,
            position=position,
            label_time=label_time,
            split=split,
            proof=proof,
            progress=progress,
        )
    printing.training_set(made)
    stitched(made)


def stitched(made: Manifest) -> None:
    """Print where the cells of a training set came from, and how its labels met the log."""
    from jukebox.cli.drawing import counted, table

    about, names = made.details["log"], ("logged", "logged_null", "backfilled", "backfilled_null")
    rows = [(each["column"], *(f"{each[name]:,}" for name in names)) for each in made.details["features"]]
    table("where the values come from", ["column", "logged", "with null", "backfilled", "with null"], rows)
    told = f"{about['logged']:,} of {counted(made.rows, 'label')} were logged"
    others = [f"{about[name]:,} {what}" for name, what in _OTHERS.items() if about[name]]
    typer.echo(f"{told}; in the log {' and '.join(others)}" if others else told)
    if about["other_keys"]:
        typer.echo(f"{counted(about['other_keys'], 'label')} with another key than was served; the served one is used")


_OTHERS = {"duplicates": "later rows of the same request", "without_request_id": "rows without a request id"}


def check_consistency(
    *,
    out: Out,
    log: Annotated[Text, typer.Option(help="A log of served features: its folder, or that of a date.")] = None,
    online_table: Annotated[Text, typer.Option(help="Read back what an online load left in this folder.")] = None,
    features: Annotated[
        Text, typer.Option(help="Names with commas between: those of the log, or without one, those to read back.")
    ] = None,
    rows: Annotated[int, typer.Option(help="How many vectors or keys to look at; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Another number looks at others.")] = 0,
    tolerance: Annotated[float, typer.Option(help="How far numbers may be apart, in shares of the greater.")] = 0.0,
    thresholds: Annotated[
        Text, typer.Option(help='JSON from kind of difference to the greatest share of cells, {"stale": 0.01}.')
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
) -> None:
    """Hold what was served, or what an online table holds, against the offline tables, cell by cell.

    [dim]jukebox check-consistency --log served --out consistency[/]
    """
    from jukebox import consistency_check
    from jukebox.cli import drawing, options
    from jukebox.cli.printing import near
    from jukebox.errors import SkewFound

    root = place(out)
    with drawing.working("comparing"):
        try:
            made = consistency_check.run(
                registry=options.there(registry),
                out=root,
                log=None if log is None else place(log),
                online_table=None if online_table is None else place(online_table),
                features=None if features is None else options.names(features),
                rows=rows,
                seed=seed,
                tolerance=tolerance,
                thresholds=options.json_object("--thresholds", thresholds),
            )
        except SkewFound as exc:
            raise SkewFound(f"{exc}; all of it is in {near(f'{root}/{consistency_check.REPORT}')}") from exc
    _compared(made)


def _compared(made: Manifest) -> None:
    """Print how many cells of each feature were compared, and how they differ."""
    from jukebox.cli.drawing import counted, table
    from jukebox.cli.printing import near

    kinds = list(made.details["thresholds"])
    rows = [
        (each["feature"], each["check"].replace("_", " "), *(f"{each[name]:,}" for name in ("cells", *kinds, "close")))
        for each in made.details["features"]
    ]
    table("served beside offline", ["feature", "check", "cells", *kinds, "close"], rows)
    if made.details["unchecked"]:
        table("not checked", ["feature", "why"], list(made.details["unchecked"].items()))
    typer.echo(f"consistent: {counted(made.details['cells'], 'cell')}, in {near(made.uri)}")
