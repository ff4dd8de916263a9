"""Files as one table: those of a folder, or of ``key=value`` folders, with the columns of all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jukebox.errors import NameClash
from jukebox.formats.columns import quoted, repeated
from jukebox.formats.embeddings import tightened
from jukebox.formats.files import reading
from jukebox.formats.hive import Found, found_files, key_columns
from jukebox.formats.parquet_opening import opened
from jukebox.formats.widening import widened
from jukebox.storage import Remote, each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.formats.parquet_opening import File
    from jukebox.storage import Place, Where


@dataclass(frozen=True)
class Member:
    """A file of a table: its footer, and what the names of its folders say of all its rows."""

    path: Place | File
    metadata: pq.FileMetaData
    keys: Mapping[str, pa.Scalar] = field(default_factory=dict)

    def __reduce__(self) -> Any:
        """Travel without the footer: it is read again where the file is."""
        return _arrived, (self.path, self.keys)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.metadata.num_rows)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that the file itself holds."""
        return _tightened(self.metadata)


@dataclass(frozen=True)
class Members:
    """The files of a table in their order, and its columns."""

    files: tuple[Member, ...]
    schema: pa.Schema

    @property
    def first(self) -> Place | File:
        """The first file."""
        return self.files[0].path


def members_of(paths: Sequence[Where | File], types: Mapping[str, pa.DataType] | None = None) -> Members:
    """Return the files at ``paths``, or in these folders, with the columns of all; ``types`` hold for folders' keys.

    Columns that only some files have come after those of the first, and keys last. Raises NoPartition where there is
    no file, CorruptData naming one that is not whole, InvalidType naming two whose columns do not fit together, and
    NameClash for a key that is also a column.
    """
    found = [one for path in paths for one in _found(path)]
    keyed, values = key_columns(found, types or {})
    remote = any(isinstance(one.path, Remote) for one in found)
    opening = each(lambda one: opened(one.path).metadata, found, remote=remote and len(found) > 1)
    files = [Member(one.path, footer, keys) for one, footer, keys in zip(found, opening, values, strict=True)]
    schema = files[0].schema if len(files) == 1 else widened(_told(file) for file in files)
    for name in keyed.names:
        if name in schema.names:
            raise NameClash(
                f"'{name}' is a column of {files[0].path} or of a file beside it, and the key of its folders"
            )
    return Members(tuple(files), pa.schema([*schema, *keyed]))


def _told(member: Member) -> tuple[object, pa.Schema]:
    schema = member.schema
    if repeated(schema.names):
        raise NameClash(f"{member.path} has more than one column {quoted(repeated(schema.names))}")
    return member.path, schema


def _found(path: Any) -> list[Any]:
    if isinstance(path, (str, os.PathLike, Remote)):
        return list(found_files(path))
    return [Found(path)]


def _tightened(metadata: pq.FileMetaData) -> pa.Schema:
    return pa.schema([tightened(each) for each in metadata.schema.to_arrow_schema()])


def _arrived(path: Any, keys: Mapping[str, pa.Scalar]) -> Member:
    with reading(path, "Parquet"):
        about = path.stat()
    return Member(path, _footer(path, (about.st_size, about.st_mtime_ns)), keys)


@lru_cache(maxsize=64)
def _footer(path: Any, stamp: tuple[int, int]) -> pq.FileMetaData:  # noqa: ARG001 - a file written again has another
    return opened(path).metadata
