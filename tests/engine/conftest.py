"""The furnished place of the components, for what reads and makes artifacts on disk, and an emulator of Pub/Sub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import emulators
from tests.components.conftest import furnished, here
from tests.storage.conftest import gs
from tests.storage.servers import new_bucket

__all__ = ["furnished", "gs", "here"]


@pytest.fixture(scope="module")
def pubsub() -> Iterator[emulators.Emulator]:
    """An emulator of Pub/Sub."""
    path = emulators.pubsub_emulator()
    if path is None:
        pytest.skip(emulators.NO_PUBSUB)
    found = emulators.Emulator(path, "--{}={}")
    yield found
    found.kill()


@pytest.fixture
def plays(pubsub: emulators.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A topic, its subscription, and where its events go."""
    from tests.engine.streaming_place import stage  # with the client library, which few tests need

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.host)
    return stage(tmp_path)


@pytest.fixture
def gs_bucket(gs: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty bucket of Google's, which the variables of the environment lead to."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gs)
    return new_bucket("gs", gs)
