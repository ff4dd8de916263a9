"""A command pays for the libraries that it needs, and for no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.components.place import Place

ARROW = {"pyarrow", "numpy", "pandas", "polars"}
HEAVY = {"tfx", "kfp", "tensorflow", "apache_beam", "tensorflow_data_validation", "google.cloud.bigtable", "jsonschema"}
SCRIPT = """\
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from jukebox.cli import main
main()
"""


def modules_of(place: Place, *arguments: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    environment = {**os.environ, "JUKEBOX_REGISTRY": place.registry}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=place.root)
    return set(json.loads(ran.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments", [("features",), ("features", "--json"), ("lineage", "--feature", "/airport/weather/temp")]
)
def test_looking_at_the_registry_imports_no_arrow_and_no_tensorflow(here: Place, arguments: tuple[str, ...]) -> None:
    """MLMD itself is needed, and brings none of them."""
    found = modules_of(here, *arguments)
    assert "ml_metadata" in found
    assert not found & (ARROW | HEAVY)


@pytest.mark.parametrize("command", ["prepare-training-set", "statistics", "get"])
def test_help_imports_none_of_the_libraries_that_the_command_needs(here: Place, command: str) -> None:
    """Whoever asks how a command is used does not wait for what it does."""
    assert not modules_of(here, command, "--help") & (ARROW | HEAVY | {"ml_metadata"})


def test_a_load_a_join_and_a_lookup_import_no_orchestrator_and_no_tensorflow(here: Place) -> None:
    """They need Arrow."""
    load = ("load-offline", "--data-endpoint", "weather", "--uri-prefix", "source", "--date", "2024-01-01")
    for arguments in ((*load, "--out", "table"), ("load-online", "--features", "/airport/weather/temp")):
        assert not modules_of(here, *arguments) & HEAVY
    assert not modules_of(here, "get", "/airport/weather/temp", "-e", "airport=JFK") & HEAVY


def test_the_doctor_asks_for_versions_without_importing_what_has_them(here: Place) -> None:
    """Of all that it looks at, Arrow for the kernel and MLMD for the registry alone are imported."""
    found = modules_of(here, "doctor", "--json")
    assert "jukebox.core.kernel" in found
    assert not found & (HEAVY | {"pandas", "polars"})
