"""Bigtable under the public suite of online stores, with packed cells and with a cell a feature."""

from __future__ import annotations

from pathlib import Path

import pytest

from jukebox.stores.bigtable import BigtableStore, open_online
from jukebox.testing import OnlineStoreSuite


class TestPacked(OnlineStoreSuite):
    """A row's features in one cell."""

    counts = False

    @pytest.fixture(autouse=True)
    def on(self, bigtable: str) -> None:
        """Give each test a table of its own."""
        self.uri = bigtable

    def store(self, tmp_path: Path) -> BigtableStore:  # noqa: ARG002 - the suite gives it
        """A store whose table is not there yet."""
        return open_online(self.uri)


class TestColumns(TestPacked):
    """A cell for every feature."""

    def store(self, tmp_path: Path) -> BigtableStore:  # noqa: ARG002 - the suite gives it
        """A store whose table is not there yet."""
        return open_online(f"{self.uri}?cells=columns")
