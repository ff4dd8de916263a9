"""The first rows of an artifact, for people to look at."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.engine.training_sets import WHOLE
from jukebox.formats import parquet
from jukebox.tables import partitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.tables import Manifest


def first_rows(made: Manifest, rows: int, columns: Sequence[str] | None = None) -> pa.Table | None:
    """Return up to ``rows`` rows of a training set or feature table, None for what has no rows to show.

    Raises MissingColumn for a column that is not there.
    """
    path = _data(made)
    if path is None or not made.rows:
        return None
    batches = islice(parquet.read(path, columns=columns), 1)
    return pa.Table.from_batches(batches).slice(0, rows)


def _data(made: Manifest) -> Path | None:
    if made.kind == "training_set":
        return Path(made.uri) / WHOLE
    if made.kind == "feature_table":
        whole = (Path(part.uri) / part.details["data"] for part in partitions(made.uri).values() if part.rows)
        return next(whole, None)
    return None
