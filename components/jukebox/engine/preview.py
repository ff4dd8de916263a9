"""The first rows of an artifact, for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jukebox.engine.training_sets import WHOLE
from jukebox.formats import parquet
from jukebox.tables import partitions

if TYPE_CHECKING:
    import pyarrow as pa

    from jukebox.tables import Manifest


def first_rows(made: Manifest, rows: int) -> pa.Table | None:
    """Return up to ``rows`` rows of a training set or feature table, None for what has no rows to show."""
    if made.kind == "training_set":
        path = Path(made.uri) / WHOLE
    elif made.kind == "feature_table":
        whole = [Path(part.uri) / part.details["data"] for part in partitions(made.uri).values() if part.rows]
        if not whole:
            return None
        path = whole[0]
    else:
        return None
    import pyarrow as pa  # noqa: PLC0415 - only a preview with rows needs it

    schema = parquet.schema(path)
    return pa.Table.from_batches([next(parquet.read(path))], schema).slice(0, rows) if made.rows else None
