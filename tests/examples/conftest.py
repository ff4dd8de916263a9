"""What the tests of the examples share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jukebox.examples.flights import sources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def flights_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the producer filled."""
    folder = tmp_path_factory.mktemp("flights")
    sources.run(out=str(folder))
    return folder
