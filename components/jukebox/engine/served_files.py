"""The files that a log of served features is kept in: Parquet, or TFRecords with their columns beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from jukebox.engine import served_records
from jukebox.errors import InvalidValue
from jukebox.formats import ending_of, parquet
from jukebox.tables import combined, file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from jukebox.storage import Place


class StorageFormat(Protocol):
    """What both modules offer; ``read`` gives what ``write`` was given, to the bit."""

    SUFFIX: str

    def schema(self, path: Place) -> pa.Schema:
        """Return the columns of the file."""

    def count_rows(self, path: Place) -> int:
        """Return the number of rows of the file."""

    def read(self, path: Place, *, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield every row once, in order, with the asked columns in the asked order."""

    def write(self, path: Place, batches: Iterable[pa.RecordBatch], *, schema: pa.Schema) -> int:
        """Return the number of rows that a new file holds: all of them, or it is not there."""


STORAGE_FORMATS = {"parquet": cast("StorageFormat", parquet), "tfrecord": cast("StorageFormat", served_records)}


def storage_format(name: str) -> StorageFormat:
    """Return the module of a format; raises InvalidValue for one that a log is not kept in."""
    if name not in STORAGE_FORMATS:
        raise InvalidValue(f"a log is not kept as '{name}'; it is kept as {' or '.join(STORAGE_FORMATS)}")
    return STORAGE_FORMATS[name]


def format_of(file: Place) -> StorageFormat:
    """Return the module of the format that a file's name tells; whatever tells none is Parquet or not whole."""
    return STORAGE_FORMATS["tfrecord" if ending_of(file.name) in (".tfrecord", ".gz") else "parquet"]


def fingerprint(files: Sequence[Place]) -> str:
    """Return the fingerprint of the files' bytes, with those that tell their columns; raises StorageError."""
    beside = [served_records.beside(file) for file in files if format_of(file) is STORAGE_FORMATS["tfrecord"]]
    return combined(file_fingerprint(file) for file in (*files, *beside))
