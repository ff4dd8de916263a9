"""Opening Parquet files, on this machine or on another system, and telling those that are not whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from jukebox.errors import CorruptData
from jukebox.formats.files import reading
from jukebox.storage import Remote

if TYPE_CHECKING:
    from collections.abc import Collection

    from jukebox.storage import Place

MAGIC = b"PAR1"
SMALLEST = 12  # magic, length of the footer, magic
# Older readers and writers know no checksums: there, a flipped bit may change a value unseen.
CHECKSUMS = int(pa.__version__.split(".")[0]) >= 15  # noqa: PLR2004


class File(Protocol):
    """A file on another system than this machine's, in place of a path."""

    def open(self, mode: str) -> BinaryIO:
        """Return the file, opened for reading at any place."""

    def stat(self) -> Any:
        """Return what has its size in ``st_size`` and the time of its last change in ``st_mtime_ns``."""


def opened(path: Place | File) -> pq.ParquetFile:
    """Return the file with its footer read and checked; raises CorruptData and StorageError."""
    with reading(path, "Parquet"):
        size = path.stat().st_size
        _check_ends(path, size)
        file = _file(path)
        _check_chunks(path, size, file.metadata)
        file.schema_arrow.names  # noqa: B018  a type that Arrow cannot hold is refused here
        return file


def reopened(path: Place | File, metadata: pq.FileMetaData, encoded: Collection[str]) -> pq.ParquetFile:
    """Return the file whose footer is known, to read the columns ``encoded`` as dictionaries."""
    with reading(path, "Parquet"):
        return _file(path, metadata=metadata, read_dictionary=list(encoded))


def _file(path: Place | File, **more: Any) -> pq.ParquetFile:
    # A local file is opened by pyarrow itself, which reads it without Python's lock.
    source = path if isinstance(path, os.PathLike) else path.open("rb")
    # Over a network what a row group needs is asked for at once, and not page by page.
    more["pre_buffer"] = isinstance(path, Remote)
    return pq.ParquetFile(source, **more, **({"page_checksum_verification": True} if CHECKSUMS else {}))


def _check_ends(path: Place | File, size: int) -> None:
    head = tail = b""
    if size >= SMALLEST:
        with path.open("rb") as stream:
            head = stream.read(len(MAGIC))
            stream.seek(size - 8)
            tail = stream.read(8)
    if head != MAGIC or tail[-4:] != MAGIC:
        raise corrupt(path, f"it has no 'PAR1' at both ends of its {size} bytes")
    footer = int.from_bytes(tail[:4], "little")
    if not 0 < footer <= size - SMALLEST:
        raise corrupt(path, f"its footer claims {footer} of its {size} bytes")


def _check_chunks(path: Place | File, size: int, metadata: pq.FileMetaData) -> None:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    counts = [group.num_rows for group in groups]
    if sum(counts) != metadata.num_rows or min(counts, default=0) < 0:
        raise corrupt(path, f"its row groups do not add up to {metadata.num_rows} rows")
    room = size - metadata.serialized_size - 8
    # A row group without rows has no pages, and writers give them any place.
    full = [group for group in groups if group.num_rows > 0]
    for chunk in (group.column(index) for group in full for index in range(group.num_columns)):
        start, length = chunk.data_page_offset, chunk.total_compressed_size
        if chunk.has_dictionary_page:
            start = min(start, chunk.dictionary_page_offset)
        if start < len(MAGIC) or length < 0 or start + length > room:
            raise corrupt(path, f"column '{chunk.path_in_schema}' lies outside of it")


def corrupt(path: Place | File, why: str) -> CorruptData:
    """Return the error that says why a file is not whole."""
    return CorruptData(f"{path} is not whole Parquet: {why}")
