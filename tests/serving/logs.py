"""What the tests of the log share: rounds as a reader tells them, and what lies in a log's folder."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.engine.served_files import STORAGE_FORMATS
from jukebox.engine.served_logs import open_log
from jukebox.serving.served import Served, ServedFeature

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
TEMP, QUEUE = "/entity/airport/component/weather/name/temp@1", "/entity/airport/component/local/name/queue@2"
in_each_format = pytest.mark.parametrize("storage", list(STORAGE_FORMATS))


def served(*entities: dict[str, Any], request_id: str | None = "r", values: list[Any] | None = None) -> Served:
    """A round of one feature, by default its place as its value."""
    count = len(entities)
    found = [float(place) for place in range(count)] if values is None else values
    times = [NOON - timedelta(hours=1)] * count
    return Served(request_id, NOON, entities, [ServedFeature(TEMP, found, times, ["fresh"] * count, pa.float64())], "m")


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of the log."""
    log = open_log(str(folder))
    return pa.Table.from_batches(log.read(log.schema.names), log.schema).to_pylist()


def files(folder: Path) -> list[Path]:
    """Everything that lies below the log's folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
