"""The files of a training set: all rows as Parquet, and each split as gzip TFRecords of tf.Example."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.core.splits import EVAL, TRAIN
from jukebox.errors import StorageError, reason
from jukebox.formats import parquet, tfrecord
from jukebox.storage import place_of
from jukebox.tables import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jukebox.core.asof_times import Truths
    from jukebox.core.splits import Split
    from jukebox.storage import Place

WHOLE = "training_set.parquet"
SHARD_ROWS = 65_536
# What a join leaves, and what one leaves that was killed.
_LEFT = ("Split-*/data_tfrecord-*.gz", "Split-*/.data_tfrecord-*.tmp", f".{WHOLE}.*.tmp", f".{MANIFEST}.*.tmp")


def write_whole(out: str, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write all rows as Parquet; what an earlier join left at ``out`` goes when the first of them is there.

    Raises StorageError.
    """
    first = next(batches, None)
    _clear(place_of(out))
    parquet.write(place_of(out) / WHOLE, batches if first is None else chain([first], batches), schema=schema)


def write_splits(out: str, split: Split, label_time: str) -> dict[str, int]:
    """Write each split of the rows at ``out`` as TFRecords in shards of 65,536 rows; return the splits' rows.

    Raises StorageError.
    """
    path = place_of(out) / WHOLE
    train = _train(path, split, label_time)
    rows = {}
    for name, mask in ((TRAIN, train), (EVAL, ~train)):
        rows[name] = int(np.count_nonzero(mask))
        shards = max(1, -(-rows[name] // SHARD_ROWS))
        waiting = _sharded(_chosen(path, mask), parquet.schema(path))
        for number in range(shards):
            file = place_of(out) / f"Split-{name}" / f"data_tfrecord-{number:05d}-of-{shards:05d}.gz"
            part = next(waiting)
            tfrecord.write(file, part.to_batches(), schema=part.schema)
    return rows


def _train(path: Place, split: Split, label_time: str) -> Truths:
    if split.by == "time":
        schema = pa.schema([parquet.schema(path).field(label_time)])
        times = pa.Table.from_batches(parquet.read(path, columns=[label_time]), schema)
        return split.train_mask(times, label_time)
    batches = parquet.read(path, columns=list(split.columns))
    masks = (split.train_mask(pa.Table.from_batches([batch]), label_time) for batch in batches)
    return np.concatenate([np.zeros(0, np.bool_), *masks])


def _chosen(path: Place, mask: Truths) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in parquet.read(path):
        yield batch.filter(pa.array(mask[start : start + batch.num_rows]))
        start += batch.num_rows


def _sharded(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held, rows = [], 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= SHARD_ROWS:
            table = pa.Table.from_batches(held, schema)
            yield table.slice(0, SHARD_ROWS)
            held, rows = table.slice(SHARD_ROWS).to_batches(), rows - SHARD_ROWS
    yield pa.Table.from_batches(held, schema)


def _clear(out: Place) -> None:
    # The manifest first, so that nothing looks whole from here on; and more shards may lie there than are to come.
    try:
        for path in (out / MANIFEST, *(path for pattern in _LEFT for path in out.glob(pattern))):
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"{out} cannot be written: {reason(exc)}") from exc
