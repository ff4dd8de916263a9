"""A place on another system, which answers to what the package asks of a ``pathlib.Path``."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlencode

from jukebox.errors import InvalidValue, JukeboxError, StorageError, reason
from jukebox.storage.drivers import SCHEMES, all_settings, file_system

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyarrow.fs import FileInfo, FileSystem

# What a stream sends at once: Google's takes a round trip for each.
_CHUNK = 16 << 20
_LOOKS = 8
_AWS = re.compile(r"AWS Error (?:\[code \d+\]|([A-Z_]+)).*? during (\w+) operation:? ?(.*)")
_GOOGLE = re.compile(r"google::cloud::Status\((\w+): (.*?)\)?(?:\. Detail.*)?$")


class Told(NamedTuple):
    """What a file system tells of a file, by the names that Python gives it."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, order=True)
class Remote:
    """A file, or a folder, of another system: ``path`` has no slash at its end, ``query`` holds the settings.

    An object store has no folders: one is there as long as something is in it.
    """

    scheme: str
    host: str
    path: str
    query: str = ""

    @classmethod
    def parse(cls, uri: str) -> Remote:
        """Return what a URI names; raises InvalidValue where it names no bucket, or has settings that are not known."""
        scheme, _, rest = uri.partition("://")
        rest, _, query = rest.partition("?")
        host, _, path = rest.partition("/")
        known = SCHEMES[scheme]
        if "@" in host:
            raise InvalidValue(
                f"{scheme}://…@{host.rpartition('@')[2]} holds an account; credentials come from the environment"
            )
        settings = parse_qsl(query, keep_blank_values=True)
        strange = [name for name, _ in settings if name not in known]
        if strange or (query and not settings):
            told = strange[0] if strange else query
            raise InvalidValue(f"{scheme}:// has no setting '{told}'; there are {', '.join(known)}")
        if scheme != "hdfs" and not host:
            raise InvalidValue(f"'{uri}' names no bucket; an address is {scheme}://bucket/folder/file")
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise InvalidValue(f"'{uri}' has a '..', and {scheme}:// knows no way up")
        return cls(scheme, host, "/".join(parts), urlencode(settings, safe="/:"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/{self.path}".rstrip("/") + (f"?{self.query}" if self.query else "")

    def __truediv__(self, name: str) -> Remote:
        """Return the place ``name`` below this one."""
        return self.joinpath(name)

    def joinpath(self, *names: str) -> Remote:
        """Return the place below this one that the names lead to."""
        steps = [part for text in (self.path, *names) for part in text.split("/") if part]
        return replace(self, path="/".join(steps))

    @property
    def name(self) -> str:
        """The last part of the path, or the host where there is none."""
        return self.path.rpartition("/")[2] or self.host

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> Remote:
        """The folder that it is in."""
        return replace(self, path=self.path.rpartition("/")[0])

    def relative_to(self, folder: Remote) -> Path:
        """Return the way from a folder to this place below it."""
        return Path(self.path).relative_to(folder.path)

    @property
    def files(self) -> FileSystem:
        """The file system that it lies on; raises MissingDependency and StorageError."""
        return file_system(self.scheme, self.host, dict(parse_qsl(self.query)))

    @property
    def settings(self) -> dict[str, str]:
        """Its settings, and what the environment says of those that the URI has not."""
        return all_settings(self.scheme, dict(parse_qsl(self.query)))

    @property
    def key(self) -> str:
        """What the file system calls it."""
        return f"/{self.path}" if self.scheme == "hdfs" else f"{self.host}/{self.path}".rstrip("/")

    def exists(self) -> bool:
        """Return whether there is such a file or folder; raises StorageError where the system refuses to tell."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Return whether there is such a file; raises StorageError."""
        with asked(self, "read"):
            return bool(self.files.get_file_info(self.key).is_file)

    def is_dir(self) -> bool:
        """Return whether anything lies in such a folder; raises StorageError."""
        # Asked for one, pyarrow tells of folders in Google buckets that are not there.
        return any(True for _ in self._infos(recursive=False))

    def stat(self) -> Told:
        """Return a file's size and when it was written last; raises StorageError where there is none."""
        with asked(self, "read"):
            found = self.files.get_file_info(self.key)
        if not found.is_file:
            raise StorageError(f"{self} cannot be read: no such file")
        return Told(found.size, found.mtime_ns)

    def open(self, mode: str = "rb") -> Any:
        """Return the file, opened for reading at any place; raises StorageError."""
        if mode != "rb":
            raise InvalidValue(f"{self} cannot be opened in mode '{mode}'; it is read as bytes, and written whole")
        with asked(self, "read"):
            return self.files.open_input_file(self.key)

    def read_bytes(self) -> bytes:
        """Return what the file holds, as of one moment; raises StorageError."""
        return self._bytes(_LOOKS)

    def _bytes(self, looks: int) -> bytes:
        try:
            before = self.stat()
            with self.open() as stream, asked(self, "read"):
                found = bytes(stream.read())
            # S3 reads on in another version where one is written meanwhile.
            if looks == 1 or (len(found) == before.st_size and before == self.stat()):
                return found
        except StorageError as exc:
            # Google reads the version that was found first, which is gone when another is written meanwhile.
            if looks == 1 or not isinstance(exc.__cause__, FileNotFoundError) or not self.is_file():
                raise
        return self._bytes(looks - 1)

    def read_text(self) -> str:
        """Return what the file holds, as UTF-8; raises StorageError."""
        return self.read_bytes().decode()

    def iterdir(self) -> Iterator[Remote]:
        """Yield what lies in the folder, by name; raises StorageError."""
        yield from (self / info.base_name for info in self._infos(recursive=False))

    def files_in(self) -> list[Remote]:
        """Return the files of the folder by name, without those of folders in it; raises StorageError."""
        return [self / info.base_name for info in self._infos(recursive=False) if info.is_file]

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Yield what lies below and matches, part by part, by name; raises StorageError."""
        wanted = pattern.split("/")
        for info in self._infos(recursive=len(wanted) > 1):
            steps = self._steps(info)
            if len(steps) == len(wanted) and all(map(fnmatchcase, steps, wanted)):
                yield self.joinpath(*steps)

    def files_below(self) -> list[Remote]:
        """Return the files anywhere below the folder, by name; raises StorageError."""
        return list(self.written_below())

    def written_below(self) -> dict[Remote, float]:
        """Return when each file below the folder was written last, in seconds since 1970; raises StorageError."""
        infos = self._infos(recursive=True)
        return {self.joinpath(*self._steps(info)): info.mtime_ns / 1e9 for info in infos if info.is_file}

    def _steps(self, info: FileInfo) -> list[str]:
        below = info.path.strip("/")[len(self.key.strip("/")) :]
        return [part for part in below.split("/") if part]

    def _infos(self, *, recursive: bool) -> list[FileInfo]:
        from pyarrow.fs import FileSelector

        with asked(self, "listed"):
            try:
                found = self.files.get_file_info(FileSelector(self.key, allow_not_found=True, recursive=recursive))
            except FileNotFoundError:  # a bucket that is not there
                found = []
        return sorted((info for info in found if self._steps(info)), key=lambda info: info.path)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file; raises StorageError where that fails, or where there is none."""
        with asked(self, "removed"):
            try:
                self.files.delete_file(self.key)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def take(self, local: Path) -> None:
        """Make this file hold what the local one does, whole or not at all; raises StorageError.

        An object is seen from its last byte on. Where there are names to change, it is written beside and renamed.
        """
        from pyarrow.fs import LocalFileSystem, copy_files

        size, files = local.stat().st_size, self.files
        with asked(self, "written"):
            here = self._beside() if self.scheme == "hdfs" else self
            try:
                copy_files(str(local), here.key, LocalFileSystem(), files, chunk_size=_CHUNK)
            except FileNotFoundError as exc:
                raise StorageError(f"{self} cannot be written: the bucket does not exist") from exc
            if here.stat().st_size != size:  # the stream of a copy that breaks off may still be closed
                here.unlink(missing_ok=True)
                raise StorageError(f"{self} cannot be written: it would not hold all of the {size} bytes")
        if here is not self:
            here.rename(self)

    def rename(self, other: Remote) -> None:
        """Give the file another name on the same system, in place of what has it now; raises StorageError."""
        # Hadoop renames onto nothing; an object store copies, so that the other is seen whole.
        if self.scheme == "hdfs":
            other.unlink(missing_ok=True)
        with asked(other, "written"):
            self.files.move(self.key, other.key)

    def copy(self, other: Remote) -> None:
        """Make the other file on the same system hold what this one does, without a way through here."""
        with asked(other, "written"):
            self.files.copy_file(self.key, other.key)

    def remove(self) -> None:
        """Remove all that lies below, and the folder where the system has folders; raises StorageError."""
        for file in self.files_below():
            file.unlink(missing_ok=True)
        if self.scheme == "hdfs":
            with asked(self, "removed"):
                self.files.delete_dir(self.key)

    def _beside(self) -> Remote:
        self.files.create_dir(self.parent.key, recursive=True)
        return self.parent / f".{self.name}.tmp"


Place: TypeAlias = Path | Remote
Where: TypeAlias = str | os.PathLike[str] | Remote


@contextmanager
def asked(place: Remote, what: str) -> Iterator[None]:
    """Turn whatever the file system raises inside into a StorageError that names the place."""
    try:
        yield
    except JukeboxError:
        raise
    except Exception as exc:
        import pyarrow as pa

        if not isinstance(exc, (OSError, pa.ArrowException)):
            raise
        raise StorageError(f"{place} cannot be {what}: {said(exc)}") from exc


def is_refusal(exc: BaseException) -> bool:
    """Return whether an error comes from a store or the way there, not from the bytes that were read."""
    text = str(exc)
    return isinstance(exc, OSError) and ("AWS Error" in text or "google::cloud::Status" in text or "HDFS" in text)


def said(exc: BaseException) -> str:
    """Return what a store says in its error, on one line."""
    text = " ".join(str(exc).split())
    aws, google = _AWS.search(text), _GOOGLE.search(text)
    if aws is not None:
        code = (aws.group(1) or "an error").replace("_", " ").lower()
        return f"{aws.group(2)} gave {code}{f', {aws.group(3)}' if aws.group(3) else ''}".rstrip(".")
    if isinstance(exc, FileNotFoundError) or "No such file" in text:
        return "no such file"
    if google is not None:
        return f"{google.group(1).replace('_', ' ').lower()}, {google.group(2)}"
    return reason(exc)
