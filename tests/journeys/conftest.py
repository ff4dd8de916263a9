"""Wheels as they are built for users, and new environments to install them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Uv:
    """The uv that is on the path, or that `make` put beside the environment."""

    program: str

    def __call__(self, *arguments: object, **variables: str) -> None:
        """Run uv, in an environment with these variables on top."""
        self.ran([self.program, *arguments], variables)

    def build(self, out: Path, python: str = sys.executable, **variables: str) -> Path:
        """Build the source distribution, and the wheel from that; return where the wheel lies."""
        self("build", "-q", "--python", python, "--out-dir", out, ROOT, **variables)
        (wheel,) = out.glob("*.whl")
        return wheel

    def environment(self, root: Path, python: str, *packages: object) -> Path:
        """Make a new environment with packages; return its folder of programs."""
        self("venv", "-q", "--python", python, root)
        self("pip", "install", "-q", "--python", root / "bin" / "python", *packages)
        return root / "bin"

    @staticmethod
    def ran(command: list[object], variables: Mapping[str, str]) -> str:
        """Return what a command printed; what it told of its failure is told here too."""
        environment = {**os.environ, **variables}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="session")
def uv() -> Uv:
    """Return uv; skips without."""
    own = ROOT / ".uv" / "bin" / "uv"
    found = shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        pytest.skip("uv is missing: pip install uv, or run `make environment`")
    return Uv(found)


@pytest.fixture(scope="session")
def compiler() -> str:
    """Return the C compiler; skips without."""
    found = shutil.which("cc")
    if found is None:
        pytest.skip("a C compiler is missing: apt-get install gcc libc6-dev")
    return found


@pytest.fixture(scope="session", params=[sys.version_info[:2], (3, 13)], ids=["this Python", "Python 3.13"])
def python(request: pytest.FixtureRequest) -> str:
    """Return a Python to make environments of; skips one that this machine does not have."""
    version = ".".join(map(str, request.param))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = [sys.executable, *pyenv.glob(f"versions/{version}.*/bin/python"), f"/usr/bin/python{version}"]
    for place in places:
        asked = [place, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if Path(place).exists() and subprocess.check_output(asked, text=True).strip() == version:
            return str(place)
    pytest.skip(f"Python {version} is missing: pyenv install {version}")
