"""How a command ends: an error of Jukebox's own is one message and exit code 1, Ctrl-C is one line and 130."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from jukebox.errors import JukeboxError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED, INTERRUPTED = 1, 130


class Commands(TyperGroup):
    """The commands of ``jukebox``; whatever else is raised is a fault in Jukebox and shows its traceback."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the arguments; for this too libraries are imported, which takes long enough for a Ctrl-C."""
        with _told():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; exits with 1 after an error of Jukebox's own and with 130 after Ctrl-C."""
        with _told():
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except JukeboxError as exc:
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(str(exc), err=True)
        raise typer.Exit(FAILED) from exc
    except KeyboardInterrupt as exc:
        typer.echo("interrupted; what was not finished does not count: run the same command again", err=True)
        raise typer.Exit(INTERRUPTED) from exc


def hush() -> None:
    """Let TensorFlow and Beam be imported without a word on GPUs and Python versions; what the user has set stays."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)
