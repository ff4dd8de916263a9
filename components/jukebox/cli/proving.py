"""``jukebox verify`` and ``jukebox replay``: a training set derived again in part, or made again as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jukebox.cli.arguments import Text  # noqa: TC001 - typer reads the annotations
from jukebox.stores import place

if TYPE_CHECKING:
    from jukebox.engine.replaying import Replay
    from jukebox.engine.verification import Verification

TrainingSet = Annotated[str, typer.Argument(help="The folder of a training set.")]


def verify(
    *,
    training_set: TrainingSet,
    rows: Annotated[int, typer.Option(help="How many of its labels are derived again.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another number looks at other labels.")] = 0,
) -> None:
    """Derive labels of a training set again from its sources, by brute force, and compare cell by cell.

    [dim]jukebox verify training_set --rows 1000[/]
    """
    from jukebox.cli import drawing
    from jukebox.engine import verifying

    with drawing.working("verifying"):
        found = verifying.verify(place(training_set), rows=rows, seed=seed)
    _tell(found)


def replay(
    *, training_set: TrainingSet, out: Annotated[Text, typer.Option(help="Keep the new one in this folder.")] = None
) -> None:
    """Make a training set again from what its manifest names, and compare the two.

    [dim]jukebox replay training_set[/]
    """
    from jukebox.cli import drawing
    from jukebox.engine import replaying

    with drawing.joining() as progress:
        made = replaying.replay(place(training_set), out=None if out is None else place(out), progress=progress)
    _tell_of(made, kept=out is not None)


def _tell(found: Verification) -> None:
    """Print what was compared and what differs; raises what says that the training set is not right."""
    from jukebox.cli.drawing import counted, table
    from jukebox.cli.printing import near

    labels = f"{found.rows:,} of {counted(found.of_rows, 'label')}"
    if found.differing:
        total = sum(column.differing for column in found.differing)
        rows = [(c.column, e.row, e.expected, e.found, e.origin) for c in found.differing for e in c.examples]
        names = ["column", "row", "expected", "found", "what was found is the value of"]
        table(f"{total:,} of {counted(found.cells, 'cell')} of {labels} differ", names, rows)
    if found.changed:
        table("changed since the training set was made", ["source"], [(near(uri),) for uri in found.changed])
    if found.error is not None:
        raise found.error
    typer.echo(f"verified: {counted(found.cells, 'cell')} of {labels} are what the sources give")


def _tell_of(made: Replay, *, kept: bool) -> None:
    """Print whether the bytes are the same too, and the versions that wrote both where they are not."""
    from jukebox.cli.drawing import counted, table
    from jukebox.cli.printing import near

    same = len(made.files) - len(made.other_bytes)
    where = f", in {near(made.made.uri)}" if kept else ""
    told = f"{counted(made.made.rows, 'label')}, the bytes of {same} of {counted(len(made.files), 'file')} too{where}"
    typer.echo(f"made again with the same content: {told}")
    if made.other_bytes:
        versions = [(name, then, now) for name, (then, now) in made.versions.items()]
        table("other bytes, the same rows; written by", ["", "then", "now"], versions)
