"""The first rows of an artifact, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.engine.catalog import Partition
from jukebox.engine.feature_tables import read_partitions
from jukebox.engine.training_files import WHOLE
from jukebox.formats import parquet
from jukebox.storage import place_of
from jukebox.tables import partitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jukebox.tables import Manifest


def first_rows(made: Manifest, rows: int, columns: Sequence[str] | None = None) -> pa.Table | None:
    """Return up to ``rows`` rows of a training set, feature table or data set, None for what has no rows to show.

    Raises MissingColumn for a column that is not there, CorruptData and NoPartition for data that are not whole.
    """
    readers = {"training_set": _of_training_set, "feature_table": _of_table, "data_set": _of_data_set}
    if made.kind not in readers or rows < 1:
        return None
    found = list(_up_to(rows, readers[made.kind](made, columns)))
    return pa.Table.from_batches(found) if found else None


def _of_training_set(made: Manifest, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    return parquet.read(place_of(made.uri) / WHOLE, columns=columns)


def _of_data_set(made: Manifest, columns: Sequence[str] | None) -> Any:
    reader: Any = formats.format_named(made.details["format"])
    return reader.read(place_of(made.uri, *made.details["files"][0].split("/")), columns=columns)


def _of_table(made: Manifest, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    # Beside the table's partitions may lie those of an earlier version, which hold other columns.
    features = made.details["features"]
    parts = [Partition(*each) for each in partitions(made.uri).items() if each[1].details["features"] == features]
    return read_partitions(parts, list(made.schema) if columns is None else columns)


def _up_to(rows: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return
