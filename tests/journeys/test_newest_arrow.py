"""The parts that stand on Arrow alone, on the newest Arrow and NumPy that a user may have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITES = ("tests/core", "tests/features", "tests/formats/test_parquet.py", "tests/formats/test_csv.py")
LIBRARIES = ("pyarrow>=18", "numpy>=2", "pytest", "hypothesis", "google-crc32c", "pyyaml", "jsonschema", "tzdata")


def uv() -> str | None:
    """Return where uv is: on the path, or where `make` put it."""
    own = ROOT / ".uv" / "bin" / "uv"
    return shutil.which("uv") or (str(own) if own.exists() else None)


@pytest.mark.heavy
@pytest.mark.skipif(uv() is None, reason="uv is missing: pip install uv, or run `make environment`")
def test_core_formats_and_features_hold_on_the_newest_arrow(tmp_path):
    """No test of theirs fails there, and the one that waits for a newer Arrow is not skipped."""
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([uv(), "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True)
    subprocess.run([uv(), "pip", "install", "-q", "--python", python, *LIBRARIES], check=True)
    subprocess.run([uv(), "pip", "install", "-q", "--python", python, "--no-deps", "-e", ROOT], check=True)
    run = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITES]
    done = subprocess.run(run, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
