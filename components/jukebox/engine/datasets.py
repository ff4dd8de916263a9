"""Rows on disk in splits, whichever way they lie: what statistics are computed of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.core.splits import EVAL, TRAIN, Split
from jukebox.engine.training_files import WHOLE
from jukebox.errors import CorruptData, InvalidValue, StorageError
from jukebox.formats import parquet
from jukebox.formats.examples import SPLIT, Examples, split_names
from jukebox.storage import place_of
from jukebox.tables import MANIFEST, Manifest, file_fingerprint, has_partitions, partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from jukebox.storage import Place

    Rows = Callable[[], Iterator[pa.RecordBatch]]

ALL = "all"


@dataclass(frozen=True)
class DataSet:
    """The splits of what lies at ``uri``, each a function that reads its rows: ``train``, ``eval``, others.

    ``types`` holds the Arrow types of columns as text, where more is known of them than the rows show;
    ``kind`` is that of the manifest, ``examples`` or ``parquet`` where there is none.
    """

    uri: str
    kind: str
    fingerprint: str
    splits: Mapping[str, Rows]
    types: Mapping[str, str] = field(default_factory=dict)


def open_data(uri: str) -> DataSet:
    """Return the data at ``uri``: a training set, a feature table, TFX ``Examples``, or Parquet.

    A training set is read from its Parquet file: that takes a tenth of the time of its TFRecords and says the
    same. Nothing but manifests and footers is read yet. Raises StorageError where there is nothing or nothing
    whole, InvalidValue for something else.
    """
    path = place_of(uri)
    if not path.exists():
        raise StorageError(f"{uri} does not exist; there is nothing to describe")
    # A feature table that was begun here has no manifest of its own yet; other tools write "date=…" too.
    if path.is_dir() and ((path / MANIFEST).exists() or (path / WHOLE).exists() or has_partitions(path)):
        manifest = Manifest.read(uri)
        if manifest.kind != "data_set":  # of which the files are all that is to be known
            return _described(uri, manifest)
    splits = _examples(path)
    if splits:
        return DataSet(uri, "examples", file_fingerprint(path), splits)
    if path.suffix == parquet.SUFFIX or _is_parquet(path):
        types = {column.name: str(column.type) for column in parquet.schema(path)}
        return DataSet(uri, "parquet", file_fingerprint(path), {ALL: lambda: parquet.read(path)}, types)
    raise StorageError(f"{uri} holds no data: no {MANIFEST}, no {SPLIT}… folder, no Parquet file")


def _is_parquet(path: Place) -> bool:
    return any(True for pattern in ("*", "*=*/*") for _ in path.glob(f"{pattern}{parquet.SUFFIX}"))


def _described(uri: str, manifest: Manifest) -> DataSet:
    if manifest.kind == "training_set":
        splits = _training_set(manifest)
    elif manifest.kind == "feature_table":
        splits = {ALL: lambda: _feature_table(uri)}
    elif manifest.kind == "partition":
        splits = {ALL: lambda: _partition(manifest)}
    else:
        raise InvalidValue(f"{uri} holds a {manifest.kind}; training sets, feature tables and Examples have statistics")
    return DataSet(uri, manifest.kind, manifest.fingerprint, splits, manifest.schema)


def _training_set(manifest: Manifest) -> dict[str, Rows]:
    path, rule = place_of(manifest.uri) / WHOLE, manifest.details.get("split")
    if rule is None or not path.exists():
        return _examples(place_of(manifest.uri))
    rows = manifest.details["splits"]

    def side(name: str) -> Iterator[pa.RecordBatch]:
        return _chosen(path, _mask(path, Split.parse(rule), manifest, rows) == (name == TRAIN))

    return {name: partial(side, name) for name in (TRAIN, EVAL)}


def _mask(path: Place, rule: Split, manifest: Manifest, rows: Mapping[str, int]) -> npt.NDArray[Any]:
    """Return which rows the join sent to ``train``, by its own rule."""
    columns = [str(manifest.event_time)] if rule.by == "time" else list(rule.columns) or None
    whole = parquet.schema(path)
    read = whole if columns is None else pa.schema([whole.field(name) for name in columns])
    table = pa.Table.from_batches(parquet.read(path, columns=columns), read)
    mask = rule.train_mask(table, str(manifest.event_time))
    found = {TRAIN: int(np.count_nonzero(mask)), EVAL: int(np.count_nonzero(~mask))}
    if found != dict(rows):
        raise CorruptData(f"{path} splits into {found}, its manifest says {dict(rows)}")
    return mask


def _chosen(path: Place, mask: npt.NDArray[Any]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in parquet.read(path):
        yield batch.filter(pa.array(mask[start : start + batch.num_rows]))
        start += batch.num_rows


def _feature_table(uri: str) -> Iterator[pa.RecordBatch]:
    for partition in partitions(uri).values():
        yield from _partition(partition)


def _partition(manifest: Manifest) -> Iterator[pa.RecordBatch]:
    if manifest.rows:
        yield from parquet.read(place_of(manifest.uri) / manifest.details["data"])


def _examples(path: Place) -> dict[str, Rows]:
    # Lists are what TFDV takes; types would cost another pass.
    found = Examples(path, split_names(path))
    return {name: partial(found.lists, name) for name in found.splits}
