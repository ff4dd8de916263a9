"""A furnished place for every test: written and registered once, copied for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.components.place import Place, copied, furnish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return the place that the others are copies of."""
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def here(furnished: Place, tmp_path: Path) -> Place:
    """Return a place of the test's own, with sources on disk and features registered, and nothing loaded."""
    return copied(furnished, tmp_path)
