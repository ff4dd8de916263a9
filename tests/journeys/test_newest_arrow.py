"""The parts that stand on Arrow alone, as a wheel on the newest Arrow and NumPy that a user may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.conftest import Uv

SUITES = ("tests/core", "tests/features", "tests/formats/test_parquet.py", "tests/formats/test_csv.py")
LIBRARIES = ("pyarrow>=18", "numpy>=2", "pytest", "hypothesis")
# Hypothesis's own profile for machines that others keep busy: how long a new environment takes to start is no fault.
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=ci")
KERNEL = "from jukebox.core import kernel; print(kernel.NAME, kernel.loops.__file__)"


@pytest.mark.heavy
def test_core_formats_and_features_hold_on_the_newest_arrow(uv: Uv, compiler: str, python: str, tmp_path: Path) -> None:
    """None fails there, the join's on the compiled kernel; none that waits for a newer Arrow is skipped."""
    wheel = uv.build(tmp_path / "built", python, CC=compiler)
    programs = uv.environment(tmp_path / "venv", python, *LIBRARIES, wheel)
    name, place = uv.ran([programs / "python", "-c", KERNEL], {}).split()
    assert name == "compiled"
    assert place.startswith(str(tmp_path / "venv"))
    told = uv.ran([programs / "python", "-m", *PYTEST, *SUITES], {})
    assert "skipped" not in told.splitlines()[-1]
