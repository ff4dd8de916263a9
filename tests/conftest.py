"""What tests in several folders stand on: Google's emulators, one of each a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.emulators import MISSING, Emulator, cbtemulator

_TABLES = count()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An emulator of Bigtable that no test kills; skips where there is none."""
    path = cbtemulator()
    if path is None:
        pytest.skip(MISSING)
    running = Emulator(path)
    yield running
    running.kill()


@pytest.fixture
def mortal() -> Iterator[Emulator]:
    """An emulator of Bigtable that a test may kill."""
    path = cbtemulator()
    if path is None:
        pytest.skip(MISSING)
    running = Emulator(path)
    yield running
    running.thaw()
    running.kill()


@pytest.fixture
def bigtable(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a Bigtable table that no other test uses, on the emulator."""
    monkeypatch.setenv("BIGTABLE_EMULATOR_HOST", emulator.host)
    return f"bigtable://project/instance/table-{next(_TABLES)}"
