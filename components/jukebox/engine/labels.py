"""The labels of a training set: a file or folder of Parquet, CSV or TFRecords, read as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox import formats
from jukebox.core.fingerprints import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def label_schema(path: str, label_time: str, keys: Collection[str]) -> pa.Schema:
    """Return the columns of the labels at ``path``; ``keys`` are the label columns that features are joined by.

    A record has no type for times and text: there the label time is in microseconds, and bytes in a key are text.
    Raises NoPartition where there are none, CorruptData and StorageError.
    """
    reader = formats.format_of(path)
    schema = reader.schema(path)
    if reader is formats.format_named("tfrecord"):
        return pa.schema([_from_record(field, label_time, keys) for field in schema])
    return schema


def read_labels(path: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the labels at ``path`` in the columns of ``schema``; raises CorruptData and StorageError."""
    options = formats.Options(types={field.name: field.type for field in schema})
    return formats.format_of(path).read(path, columns=schema.names, options=options)


def label_fingerprint(path: str, label_time: str, keys: Collection[str]) -> str:
    """Return the fingerprint of the labels at ``path``, read batch by batch; raises what reading them raises."""
    schema = label_schema(path, label_time, keys)
    return fingerprint_of(read_labels(path, schema), schema)


def _from_record(field: pa.Field, label_time: str, keys: Collection[str]) -> pa.Field:
    if field.name == label_time and field.type == pa.int64():
        return field.with_type(pa.timestamp("us", "UTC"))
    return field.with_type(pa.string()) if field.name in keys and field.type == pa.binary() else field
