"""Help is good enough to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from jukebox.cli import app

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

COMMANDS = get_command(app).commands
TRAINING = ["register", "load-offline", "prepare-training-set", "log-training-set", "check-consistency"]
PROVING = ["verify", "replay", "statistics"]
SERVING = ["load-online", "unload-online", "stream", "serve", "get", "lineage"]


def test_the_commands_come_in_the_order_of_the_work() -> None:
    """As a feature goes through them, and those that only look come last."""
    assert list(COMMANDS) == [*TRAINING, *PROVING, *SERVING, "features", "show", "compile", "doctor"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_and_tells_of_each_option(jukebox: Terminal, name: str) -> None:
    """The example is printed; every option and argument says what it is in a sentence."""
    command = COMMANDS[name]
    shown = jukebox.done(name, "--help", width=100)
    assert f"jukebox {name} " in shown.split("Options")[0].partition("Usage:")[2].partition("\n")[2]
    for parameter in command.params:
        assert parameter.help, f"{name}: {parameter.name}"
        assert parameter.help.endswith((".", "…")), f"{name}: {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_an_example_is_one_of_the_command(name: str) -> None:
    """So that an example does not outlive an option."""
    example = COMMANDS[name].help.partition("[dim]")[2].partition("[/]")[0]
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {word for word in example.split() if word.startswith("--")} <= known


def test_help_on_the_whole_says_what_each_command_does(jukebox: Terminal) -> None:
    """With no command too."""
    for arguments in ((), ("--help",)):
        ran = jukebox(*arguments, width=100)
        assert all(name in ran.out for name in COMMANDS)
        assert "Machine-learning features" in ran.out
