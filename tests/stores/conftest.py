"""Servers that several files of tests share, each started at its first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.stores.backends import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Return the database servers by name; what was started is stopped in the end."""
    with ExitStack() as running:
        yield Servers(running)
