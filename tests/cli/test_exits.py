"""How commands end that are broken off, that write to nobody, or that meet a fault in Jukebox itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from jukebox.cli.exits import Commands
from jukebox.errors import InvalidFile
from jukebox.tables import partitions

if TYPE_CHECKING:
    from tests.components.place import Place

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(200)]


def started(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """Return the installed command, running; it hears of a Ctrl-C, also where we run in the background."""
    environment = {**os.environ, "JUKEBOX_REGISTRY": place.registry}
    program, pipe = Path(sys.executable).with_name("jukebox"), subprocess.PIPE
    streams = {"stdout": pipe, "stderr": pipe, "text": True}
    # A shell lets what it starts in the background ignore a Ctrl-C, and so would all that this starts.
    return subprocess.Popen([program, *arguments], cwd=place.root, env=environment, preexec_fn=hearing, **streams)  # noqa: PLW1509


def hearing() -> None:
    """Let a Ctrl-C end the process, as it does in the foreground."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_one_line_and_130_and_a_rerun_works(here: Place) -> None:
    """In the middle of a load: nothing looks whole that is not, and the same command completes it."""
    for day in DAYS:
        hour = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        here.weather(str(day), [("JFK", hour, hour, 1.0, 1.0)])
    span = ("--from", str(DAYS[0]), "--to", str(DAYS[-1]))
    load = ("load-offline", "--data-endpoint", "weather", "--uri-prefix", "source", *span, "--out", "table")
    with started(here, *load) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "loading weather: 1 of 200\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted; what was not finished does not count: run the same command again\n"
    assert not (here.table / "manifest.json").exists()
    with started(here, *load) as process:
        assert "200 rows, 200 dates" in process.communicate(timeout=60)[0]
    assert len(partitions(here.table)) == len(DAYS)


@pytest.mark.parametrize("arguments", [("features",), ("features", "--json"), ("--help",)])
def test_a_reader_that_goes_away_is_no_error_to_tell(here: Place, arguments: tuple[str, ...]) -> None:
    """As `head` does, and `less` when it is quit."""
    with started(here, *arguments) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def application(fault: BaseException) -> typer.Typer:
    """Return an application with a command that raises."""
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise fault

    @app.command()
    def other() -> None:
        pass

    return app


@pytest.mark.parametrize("fault", [ZeroDivisionError(), MemoryError(), OSError(28, "No space left"), LookupError()])
def test_a_fault_of_ours_keeps_its_traceback(fault: Exception) -> None:
    """What Jukebox does not raise on purpose is not dressed up: whoever meets it reports it with its place."""
    result = CliRunner().invoke(application(fault), ["fail"])
    assert result.exception is fault


def test_an_error_of_jukebox_is_its_message_in_all_its_lines() -> None:
    """Brackets and braces are text, and not markup."""
    result = CliRunner().invoke(application(InvalidFile("[bold]x.yaml", ["line 1: {a}", "line 2: [/]"])), ["fail"])
    assert result.exit_code == 1
    assert result.stderr == "error: [bold]x.yaml has 2 faults:\n  line 1: {a}\n  line 2: [/]\n"


def test_an_interrupt_is_no_error_of_anybody() -> None:
    """Exit code 130, as shells have it."""
    result = CliRunner().invoke(application(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.count("\n") == 1
