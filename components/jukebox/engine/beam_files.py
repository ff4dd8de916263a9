"""Files of a job on Beam: where ``jukebox.storage`` reads, by it, and on other file systems that Beam knows by Beam.

Parquet is read in pieces where it lies; what only Beam reads in other formats, from a copy on this machine.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from jukebox import formats
from jukebox.errors import InvalidValue, JukeboxError, NoPartition, StorageError, reason
from jukebox.formats import parquet, tfrecord
from jukebox.formats.files import is_data, source_files
from jukebox.storage import SCHEMES, Place, Remote, place_of
from jukebox.storage.remote import Told
from jukebox.tables import written_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from jukebox.core.asof import Piece, Pieces

ENDINGS = (".parquet", ".tfrecord.gz", ".tfrecord")
# S3 copies no larger object in one request.
MOST_COPIED = 5 << 30


@dataclass(frozen=True)
class BeamFile:
    """A file of a file system that only Beam knows, in the place of a path."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the path."""
        return str(FileSystems.split(self.url)[1])

    def open(self, mode: str = "rb") -> BinaryIO:  # noqa: ARG002
        """Return the file, opened for reading at any place; raises StorageError."""
        with _told(self.url, "read"):
            return cast("BinaryIO", FileSystems.open(self.url, compression_type=CompressionTypes.UNCOMPRESSED))

    def stat(self) -> Told:
        """Return its size and when it was written last; raises StorageError."""
        with _told(self.url, "read"):
            found = FileSystems.get_filesystem(self.url).metadata(self.url)
        return Told(found.size_in_bytes, int(found.last_updated_in_seconds * 10**9))


File: TypeAlias = Place | BeamFile


@contextmanager
def _told(url: str, what: str) -> Iterator[None]:
    try:
        yield
    except JukeboxError:
        raise
    except Exception as exc:
        raise StorageError(f"{url} cannot be {what}: {reason(exc)}") from exc


def file_at(path: str) -> File:
    """Return what a path or URI names; raises InvalidValue for a URI that names no place."""
    scheme = FileSystems.get_scheme(path)
    return place_of(path) if scheme is None or scheme in SCHEMES or scheme == "file" else BeamFile(path)


def below(folder: str, name: str) -> str:
    """Return where a file of a folder lies."""
    place = file_at(folder)
    return str(FileSystems.join(folder, name)) if isinstance(place, BeamFile) else str(place / name)


def beside(out: str, name: str) -> str:
    """Return where a file or folder beside ``out`` lies."""
    place = file_at(out)
    return below(FileSystems.split(out)[0] if isinstance(place, BeamFile) else str(place.parent), name)


def files_at(path: str) -> Sequence[File]:
    """Return the file ``path``, or a folder's files by name without ``_…``, ``.…`` and the manifest.

    Raises NoPartition where there is none, StorageError where the file system refuses.
    """
    if not isinstance(file_at(path), BeamFile):
        return source_files(path)
    with _told(path, "listed"):
        found = FileSystems.match([path, FileSystems.join(path, "*")])
    files = [match.metadata_list for match in found]
    if len(files[0]) == 1 and not files[1]:
        return [BeamFile(path)]
    named = sorted((FileSystems.split(file.path)[1], file.path) for file in files[1])
    urls = [url for name, url in named if is_data(name)]
    if not urls:
        raise NoPartition(f"{path} holds no data files, or does not exist")
    return [BeamFile(url) for url in urls]


def pieces_at(paths: Sequence[str], types: Mapping[str, pa.DataType] | None = None) -> Pieces:
    """Return the files at ``paths``, or in these folders, as one table in pieces: Parquet by row groups, else by files.

    ``types`` are those of columns in files that do not describe themselves. Raises NoPartition, CorruptData,
    InvalidValue for a format that is not known, and StorageError.
    """
    files = [file for path in paths for file in files_at(path)]
    if all(file.name.endswith(parquet.SUFFIX) for file in files):
        return parquet.ParquetPieces(files)
    return CopiedPieces(tuple(files), tuple((types or {}).items()))


@dataclass(frozen=True)
class CopiedPiece:
    """A whole file of a format that is read from its beginning to its end, from a copy on this machine."""

    file: File
    schema: pa.Schema

    @cached_property
    def rows(self) -> int:
        """The number of rows, which costs reading them."""
        return sum(batch.num_rows for batch in self.read(self.schema.names))

    def read(self, columns: Sequence[str], encoded: Collection[str] = ()) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Yield the rows with these columns."""
        options = formats.Options(types={field.name: field.type for field in self.schema})
        with local_copy(self.file) as path:
            yield from formats.format_of(path).read(path, columns=list(columns), options=options)

    def bounds(self, column: str) -> None:
        """Return that nothing is known."""


@dataclass(frozen=True)
class CopiedPieces:
    """Files as one table, a piece each; ``types`` are the declared ones, the first file tells the others."""

    files: tuple[File, ...]
    types: tuple[tuple[str, pa.DataType], ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the first file."""
        with local_copy(self.files[0]) as path:
            return formats.format_of(path).schema(path, options=formats.Options(types=dict(self.types)))

    def pieces(self) -> Sequence[Piece]:
        """Return the files."""
        return [CopiedPiece(file, self.schema) for file in self.files]


@contextmanager
def local_copy(file: File) -> Iterator[Place]:
    """Yield a place with the file's bytes and its ending that formats read; raises StorageError."""
    if not isinstance(file, BeamFile):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        with _told(file.url, "read"), file.open() as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        yield path


def ending_of(out: str) -> str:
    """Return the ending of a file that is to be written; raises InvalidValue where it tells no format."""
    for ending in ENDINGS:
        if file_at(out).name.endswith(ending):
            return ending
    raise InvalidValue(f"{out} does not tell the format to write; the endings known are {', '.join(ENDINGS)}")


def put(out: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write a file in the format of its ending; raises InvalidType for what that cannot hold, and StorageError."""
    with _local_for(out) as place:
        if ending_of(out) == parquet.SUFFIX:
            parquet.write(place, batches, schema=schema)
        else:
            tfrecord.write(place, batches, schema=schema, gzip_level=1 if ending_of(out) == ".tfrecord.gz" else None)


@contextmanager
def _local_for(out: str) -> Iterator[Place]:
    place = file_at(out)
    if not isinstance(place, BeamFile):
        yield place
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{ending_of(out)}"
        yield path
        with path.open("rb") as copy, created(out) as target:
            shutil.copyfileobj(copy, target, 1 << 20)


def together(out: str, parts: Sequence[str], schema: pa.Schema) -> None:
    """Write one file of the rows of several in the same format, in the order of the parts; raises StorageError."""
    if ending_of(out) == parquet.SUFFIX:
        read = (piece.read(schema.names) for part in parts for piece in pieces_at([part]).pieces())
        put(out, (batch for batches in read for batch in batches), schema)
        return
    # Records follow each other, and so do whole gzip streams.
    with created(out) as target:
        for part in parts:
            with file_at(part).open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def created(out: str) -> Iterator[Any]:
    """Yield the file ``out``, opened to be written on whatever file system it is; raises StorageError."""
    place = file_at(out)
    if not isinstance(place, BeamFile):
        with written_whole(place) as temporary, temporary.open("wb") as target:
            yield target
        return
    with (
        _told(out, "written"),
        FileSystems.create(out, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as target,
    ):
        yield target


def renamed(source: str, out: str) -> None:
    """Give a file its name, in place of what has it now; raises StorageError."""
    place = file_at(source)
    if isinstance(place, Remote):
        if place.scheme != "s3" or place.stat().st_size <= MOST_COPIED:
            place.rename(Remote.parse(out))
            return
        with place.open() as whole, created(out) as target:
            shutil.copyfileobj(whole, target, 1 << 20)
        place.unlink()
        return
    with _told(out, "written"):
        FileSystems.rename([source], [out])


def new_folder(path: str) -> None:
    """Make a folder, with a file in it; raises StorageError where the file system has folders or not."""
    if isinstance(file_at(path), BeamFile):
        with _told(path, "written"):
            FileSystems.mkdirs(path)
    with created(below(path, "begun")):
        pass


def removed(folder: str) -> None:
    """Remove a folder with the files in it; what cannot be removed stays, for nothing takes it for an artifact."""
    place = file_at(folder)
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
        return
    # A file system has errors of its own, and the one that is under way tells more; some have no folders.
    with suppress(Exception):
        if isinstance(place, Remote):
            place.remove()
            return
        FileSystems.delete([file.path for file in FileSystems.match([FileSystems.join(folder, "*")])[0].metadata_list])
    with suppress(Exception):
        FileSystems.delete([folder])
