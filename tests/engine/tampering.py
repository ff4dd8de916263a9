"""Training sets that are not what their manifests say, each wrong in one way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.formats import parquet
from tests.components.place import manifest

if TYPE_CHECKING:
    from pathlib import Path


def told(folder: Path, **about: Any) -> None:
    """Make the manifest in ``folder`` say otherwise; ``rules`` are put over those that it has."""
    body = manifest(folder)
    if "rules" in about:
        body["details"]["rules"] |= about.pop("rules")
    (folder / "manifest.json").write_text(json.dumps(body | about))


def cell(folder: Path, column: str, row: int, value: Any) -> None:
    """Make one cell of the training set's Parquet file hold ``value``."""
    path = folder / "training_set.parquet"
    table = pa.Table.from_batches(parquet.read(path))
    values = table[column].to_pylist()
    values[row] = value
    field = table.schema.field(column)
    table = table.set_column(table.column_names.index(column), field, pa.array(values, field.type))
    parquet.write(path, table.to_batches(), schema=table.schema)
