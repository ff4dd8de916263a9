"""A file system of Beam that this machine's paths do not reach: an object store over a folder, by the scheme shelf."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Shelf(FileSystem):
    """Objects by name: no folders, an object appears when it was written whole, and some names may be refused."""

    root: ClassVar[Path]
    refused: ClassVar[str] = "\0"

    @classmethod
    def scheme(cls) -> str:
        """Return what its URLs begin with."""
        return "shelf"

    def join(self, basepath: str, *paths: str) -> str:
        """Return the parts with one slash between them."""
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        """Return what is before the last slash, and what is behind it."""
        before, _, behind = path.rpartition("/")
        return before, behind

    def mkdirs(self, path: str) -> None:
        """Do nothing."""

    def has_dirs(self) -> bool:
        """Return that a name's slashes are letters."""
        return False

    def _place(self, url: str) -> Path:
        if self.refused in url:
            raise BeamIOError("Not yours", {url: PermissionError("403 not yours")})
        return self.root / url.removeprefix("shelf://")

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for path in sorted(self.root.rglob("*")):
            url = f"shelf://{path.relative_to(self.root)}"
            if path.is_file() and url.startswith(dir_or_prefix):
                yield self.metadata(url)

    def create(self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO) -> Any:  # noqa: ARG002
        """Return a file that is kept when it is closed."""
        return Kept(self._place(path))

    def open(self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO) -> Any:  # noqa: ARG002
        """Return the object's bytes, to be read at any place."""
        return io.BytesIO(self._place(path).read_bytes())

    def copy(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        """Copy objects, in place of what has their new names."""
        self._each(shutil.copyfile, source_file_names, destination_file_names)

    def rename(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        """Give objects other names, in place of what has them."""
        self._each(Path.replace, source_file_names, destination_file_names)

    def _each(self, act: Callable[[Path, Path], Any], sources: Sequence[str], targets: Sequence[str]) -> None:
        for source, target in zip(sources, targets, strict=True):
            place = self._place(target)
            place.parent.mkdir(parents=True, exist_ok=True)
            act(self._place(source), place)

    def exists(self, path: str) -> bool:
        """Return whether there is such an object."""
        return self._place(path).is_file()

    def size(self, path: str) -> int:
        """Return the object's bytes."""
        return self._place(path).stat().st_size

    def last_updated(self, path: str) -> float:
        """Return when it was written, in seconds."""
        return self._place(path).stat().st_mtime

    def metadata(self, path: str) -> FileMetadata:
        """Return its size and time."""
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths: Sequence[str]) -> None:
        """Remove objects."""
        for path in paths:
            if not self.exists(path):
                raise BeamIOError("Nothing to remove", {path: FileNotFoundError(path)})
            self._place(path).unlink()

    def names(self) -> list[str]:
        """Return the names of all objects."""
        return [found.path for found in self._list("")]


class Kept(io.BytesIO):
    """Bytes that become an object when they are closed."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._object = place

    def close(self) -> None:
        """Keep the object."""
        if not self.closed:
            self._object.parent.mkdir(parents=True, exist_ok=True)
            self._object.write_bytes(self.getvalue())
        super().close()
