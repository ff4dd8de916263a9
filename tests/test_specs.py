"""What is committed below specs/ is what the code compiles to, wherever and after whatever it is compiled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from jukebox.features.file import load_features
from jukebox.features.schema import schema_text
from jukebox.stores import open_registry

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "specs"
# The first check is of the specs as they are, the second of a copy that is stale: TFX is imported once for both.
TWICE = """\
import sys
from jukebox.cli import main
_, pipelines, *folders = sys.argv
for specs in folders:
    sys.argv = ["jukebox", "compile", "--check", "--pipelines", pipelines, "--out", specs]
    try:
        main()
    except SystemExit as end:
        code = end.code
    else:
        code = 0
    print("ended with", code or 0, flush=True)
"""
ELSEWHERE = re.compile(r"/root/|/home/|/work/|/tmp/|://pypi|simple/")
READ = ("components/**/*", "pipelines/**/*", "specs/**/*", ".ci/*", "*.md", "*.toml", "Makefile", ".python-version")
# What git ignores.
UNREAD = {"__pycache__", ".pyc", ".so", ".pyd"}


@dataclass(frozen=True)
class Checked:
    """What two checks printed: of the committed specs, and of stale ones."""

    out: str
    err: str


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Return what ``jukebox compile --check`` says in another home and folder, of a clone whose demo has a history."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    clone, stale = elsewhere / "clone", elsewhere / "stale"
    shutil.copytree(ROOT / "pipelines", clone / "pipelines")
    edited = (
        (ROOT / "pipelines" / "flights" / "features.yaml")
        .read_text()
        .replace("description: ", "description: Formerly ")
    )
    (elsewhere / "features.yaml").write_text(edited)
    open_registry(f"mlmd+sqlite://{clone}/.demo/flights/metadata.db").register(
        load_features(elsewhere / "features.yaml")
    )
    shutil.copytree(SPECS, stale)
    (stale / "components" / "online_load.yaml").unlink()
    drawn = stale / "pipelines" / "flights_tfx.mmd"
    drawn.write_text(drawn.read_text().replace("Pusher", "Puller"))
    environment = {k: v for k, v in os.environ.items() if k != "JUKEBOX_IMAGE"}
    environment |= {"HOME": str(elsewhere), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", TWICE, str(clone / "pipelines"), str(SPECS), str(stale)]
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    return Checked(done.stdout, done.stderr)


def test_the_committed_specs_are_what_the_code_compiles_to(checked: Checked) -> None:
    """Neither folder, home, hash seed nor the features that a demo has registered and revised show in a spec."""
    assert "ended with 0" in checked.out.splitlines()[:2], checked.err


def test_a_stale_spec_is_reported_by_name(checked: Checked) -> None:
    """What is missing and what has changed are told of, no other spec is, and nothing else is printed."""
    assert "ended with 1" in checked.out
    told = [line.strip() for line in checked.err.splitlines()]
    assert told[0].startswith("error: ")
    assert told[0].endswith("2 faults:")
    assert told[1:] == [
        "components/online_load.yaml is missing",
        "pipelines/flights_tfx.mmd is not what the code compiles to now",
    ]


def test_the_schema_for_editors_is_the_packages_own() -> None:
    """specs/ holds a copy of the JSON schema that the package reads features files by."""
    assert (SPECS / "features.schema.json").read_text() == schema_text()


def test_the_readmes_picture_is_drawn_from_the_compiled_pipeline() -> None:
    """The Mermaid drawing in the README, where it has one, is that of the flights pipeline."""
    drawings = re.findall(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    drawn = (SPECS / "pipelines" / "flights_tfx.mmd").read_text()
    assert all(each == drawn for each in drawings)


def test_on_kfp_a_registration_is_never_answered_from_the_cache() -> None:
    """KFP would take a changed features file or registry at the same place for the same; every other step may be."""
    spec = yaml.safe_load((SPECS / "pipelines" / "flights_kfp.yaml").read_text())
    tasks = spec["root"]["dag"]["tasks"]
    assert [n for n, task in tasks.items() if not task["cachingOptions"].get("enableCache")] == ["register-features"]


def test_no_committed_file_names_a_place_of_one_machine() -> None:
    """Sources, pipelines, specs and pinned sets hold no absolute path of a machine and no address of an index."""
    paths = [path for pattern in READ for path in ROOT.glob(pattern) if path.is_file()]
    texts = [path for path in paths if not UNREAD & {path.suffix, path.parent.name}]
    assert len(texts) > 150
    assert {str(p.relative_to(ROOT)): found[0] for p in texts if (found := ELSEWHERE.search(p.read_text()))} == {}


def test_no_spec_holds_the_fingerprint_of_the_code() -> None:
    """A changed comment in the package makes no spec stale."""
    texts = [path.read_text() for path in SPECS.rglob("*.yaml")]
    assert not [text for text in texts if re.search(r"\d+\.\d+\.\d+\+[0-9a-f]{16}", text)]
