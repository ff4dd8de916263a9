"""What is built for users holds the whole package, and is of use wherever it is installed."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.journeys.conftest import Uv

ROOT = Path(__file__).parents[2]
PACKAGE = "components/jukebox"
BUILT = {".so", ".pyd", ".pyc"}
JOIN = """\
from datetime import datetime, timedelta
import pyarrow as pa
from jukebox.core.asof import Features, join
day = datetime(2024, 1, 1)
rows = pa.table({"user": ["a", "a", "b"], "ts": [day, day + timedelta(days=2), day], "x": [1, 2, 3]})
labels = pa.table({"user": ["a", "b", "c", "a"], "at": [day + timedelta(days=n) for n in (1, 1, 1, 3)]})
joined = join(labels, [Features(rows, keys={"user": "user"}, event_time="ts", values={"x": "x"})], label_time="at")
print(joined["x"].to_pylist())
"""


def sources() -> set[str]:
    """Return the files of the package as they lie in the tree, below the package's folder."""
    root = ROOT / PACKAGE
    return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file() and file.suffix not in BUILT}


@pytest.mark.heavy
def test_wheel_and_source_distribution_hold_every_file_of_the_package(uv: Uv, compiler: str, tmp_path: Path) -> None:
    """Data, documents and C sources too, which the fingerprint of the code covers; and in the wheel what they make."""
    wheel = uv.build(tmp_path, CC=compiler)
    (archive,) = tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as held:
        files = {name.removeprefix("jukebox/") for name in held.namelist() if name.startswith("jukebox/")}
    compiled = {name for name in files if name.endswith(".so")}
    # Whatever is compiled has a stub beside its sources.
    stubs = {name.removesuffix(".pyi") for name in sources() if name.endswith(".pyi")}
    assert {name.partition(".")[0] for name in compiled} == stubs
    assert {"core/_kernel", "formats/_codec"} <= stubs
    assert files - compiled == sources()
    with tarfile.open(archive) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    assert {f"{PACKAGE}/{name}" for name in sources()} <= names
    assert {"LICENSE", "Makefile", "pyproject.toml", "tests/journeys/test_installing.py"} <= names
    assert not {name for name in names if Path(name).suffix in BUILT}


@pytest.mark.heavy
def test_without_a_compiler_it_installs_and_joins_with_numpy(uv: Uv, tmp_path: Path) -> None:
    """With nothing but what the package asks for; `jukebox doctor` says what is missing and fails for none of it."""
    wheel = uv.build(tmp_path / "built", CC="/bin/false")
    programs = uv.environment(tmp_path / "venv", sys.executable, wheel)
    assert uv.ran([programs / "python", "-c", JOIN], {}).strip() == "[1, 3, None, 2]"
    found = json.loads(uv.ran([programs / "jukebox", "doctor", "--json"], {}))
    assert found["kernel"]["name"] == "numpy"
    assert "C compiler" in found["kernel"]["advice"]
    assert found["extras"]["mlmd"] == ["grpcio-health-checking", "kfp", "ml-metadata"]
    assert all(found["extras"].values())
    assert "ml-metadata" in found["registry_fault"]
