"""Help is good enough to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from jukebox.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Terminal


def commands_of(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the commands of a group, and of the groups within it, with the words that call them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


COMMANDS = dict(commands_of(get_command(app)))
TRAINING = ["load-offline", "prepare-training-set", "log-training-set", "check-consistency"]
PROVING = ["verify", "replay", "statistics"]
SERVING = ["load-online", "unload-online", "stream", "serve", "get", "lineage"]
LINEAGE = ["record-model", "record-deployment", "usage", "deployed", "compare", "rebuild", "export-lineage"]
REGISTRY = ["deprecate", "retire", "export", "import"]


def test_the_commands_come_in_the_order_of_the_work() -> None:
    """As a feature goes through them, and those that only look come last."""
    assert list(COMMANDS) == [
        *["plan", "register", "apply"],
        *[*TRAINING, *PROVING, *SERVING, "features", "show", "convert", "compile", "doctor"],
        *[*REGISTRY, *LINEAGE, "metadata serve", "metadata upgrade"],
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_and_tells_of_each_option(jukebox: Terminal, name: str) -> None:
    """The example is printed; every option and argument says what it is in a sentence."""
    command = COMMANDS[name]
    shown = jukebox.done(*name.split(), "--help", width=100)
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
        assert all(name.split()[0] in ran.out for name in COMMANDS)
        assert "Machine-learning features" in ran.out
