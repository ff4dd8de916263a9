"""A place to run commands in, through the very application that the entry point runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jukebox.cli import app
from tests.components.conftest import furnished, here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place

__all__ = ["furnished", "here"]


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    """Runs commands in one folder, with the registry that the environment names."""

    root: Path
    registry: str

    def __call__(self, *arguments: str, width: int | None = None, registry: str | None = None) -> Ran:
        """Run ``jukebox`` with arguments; an exception that is not an exit is raised here."""
        variables = {"JUKEBOX_REGISTRY": registry or self.registry, "JUKEBOX_STORE": None, "FORCE_COLOR": None}
        variables |= {"COLUMNS": None if width is None else str(width)}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            result = CliRunner().invoke(app, list(arguments), env=variables, prog_name="jukebox")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def done(self, *arguments: str, width: int | None = None) -> str:
        """Run a command that succeeds; return what it printed."""
        ran = self(*arguments, width=width)
        assert ran.code == 0, ran.err
        return ran.out

    def refused(self, *arguments: str, registry: str | None = None) -> str:
        """Run a command that fails with one message and nothing on stdout; return the message."""
        ran = self(*arguments, registry=registry)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("error: ")
        assert "Traceback" not in ran.err
        return ran.err


@pytest.fixture
def jukebox(here: Place) -> Terminal:
    """Return a terminal in a place where the features are registered, and nothing is loaded."""
    return Terminal(here.root, here.registry)
