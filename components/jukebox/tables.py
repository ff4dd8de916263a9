"""What lies on disk and how it says that it is whole: ``manifest.json``, written last, and dated partitions."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukebox.errors import CorruptData, InvalidValue, StorageError, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MANIFEST = "manifest.json"
_FORMAT = 1


@dataclass(frozen=True)
class Source:
    """Something that was read: where it lay, and the fingerprint of what it held."""

    uri: str
    fingerprint: str


@dataclass(frozen=True)
class Manifest:
    """What an artifact says of itself.

    ``kind`` is its noun (``feature_table``, ``training_set``…), ``schema`` the names and Arrow types of its columns,
    ``fingerprint`` that of its content, ``code`` that of the package which wrote it; ``details`` holds what only
    its kind has. ``uri`` is the folder that it was written to or read from, and is not stored.
    """

    kind: str
    rows: int = 0
    schema: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    event_time: str | None = None
    created_time: str | None = None
    fingerprint: str = ""
    inputs: tuple[Source, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    uri: str = field(default="", compare=False)

    @property
    def facts(self) -> dict[str, str]:
        """What an orchestrator shows of the artifact: text only, for some turn integers into floats."""
        return {"kind": self.kind, "rows": str(self.rows), "fingerprint": self.fingerprint, "code": self.code}

    def write(self, folder: str | Path) -> Manifest:
        """Put ``manifest.json`` into ``folder``, whole or not at all; return the manifest with its place and code.

        Raises StorageError when the folder cannot be written.
        """
        whole = replace(self, code=self.code or code_fingerprint(), uri=str(folder))
        body = {"jukebox_manifest": _FORMAT, **asdict(whole)}
        del body["uri"]
        write_text(Path(folder) / MANIFEST, json.dumps(body, indent=1) + "\n")
        return whole

    @classmethod
    def read(cls, folder: str | Path, kind: str | None = None) -> Manifest:
        """Return the manifest in ``folder``.

        Raises StorageError when there is none (what was being written there is not whole), CorruptData when it is
        no manifest, InvalidValue when it is of another kind.
        """
        path = Path(folder) / MANIFEST
        try:
            body = json.loads(path.read_text())
            written = body.pop("jukebox_manifest")
            if written != _FORMAT:
                raise CorruptData(f"{path} has the format {written}; this version of Jukebox reads {_FORMAT}")  # noqa: TRY301
            sources = tuple(Source(**source) for source in body.pop("inputs"))
            manifest = cls(**{**body, "keys": tuple(body["keys"]), "inputs": sources, "uri": str(folder)})
        except OSError as exc:
            raise StorageError(f"{folder} holds no whole artifact, {path.name}: {reason(exc)}") from exc
        except CorruptData:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise CorruptData(f"{path} is no manifest: {exc}") from exc
        if kind is not None and manifest.kind != kind:
            raise InvalidValue(f"{folder} holds a {manifest.kind}, not a {kind}")
        return manifest


def file_fingerprint(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, or of all files of a folder with their names; raises StorageError."""
    path = Path(path)
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            return combined(part for file in files for part in (str(file.relative_to(path)), file_fingerprint(file)))
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except OSError as exc:
        raise StorageError(f"{path} cannot be read: {reason(exc)}") from exc
    return digest.hexdigest()


def combined(parts: Iterable[str]) -> str:
    """Return one fingerprint of several, in their order."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def partition_folder(root: str | Path, day: date) -> Path:
    """Return where the partition of ``day`` lies in the table at ``root``."""
    return Path(root) / f"date={day.isoformat()}"


def partitions(root: str | Path) -> dict[date, Manifest]:
    """Return the whole partitions of the table at ``root`` by date, in order; half-written ones are not there.

    Raises CorruptData for a manifest that is none, and for a folder whose name has no date.
    """
    found = {}
    for folder in sorted(Path(root).glob("date=*")):
        if (folder / MANIFEST).exists():
            found[_date_of(folder)] = Manifest.read(folder, "partition")
    return found


def _date_of(folder: Path) -> date:
    try:
        return date.fromisoformat(folder.name.removeprefix("date="))
    except ValueError as exc:
        raise CorruptData(f"{folder} is no partition; one is called date=2013-01-31") from exc


@cache
def code_fingerprint() -> str:
    """Return the version of the package and the SHA-256 of its sources, short: ``0.1.0+1f2e3d4c5b6a7988``."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    sources = (path for path in package.rglob("*") if path.suffix in {".py", ".c", ".h"})
    for path in sorted(sources):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return f"{metadata.version('jukebox')}+{digest.hexdigest()[:16]}"


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place at the end; after any error nothing is left of it.

    Folders on the way are made. Raises StorageError when the place cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} cannot be written: it is there already and not a regular file")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as exc:
        if isinstance(exc, StorageError):
            raise
        raise StorageError(f"{path} cannot be written: {reason(exc)}") from exc
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Be the only one on this file system who changes what the manifest in ``folder`` names; others wait.

    The folder is made. A process that dies lets go. Raises StorageError.
    """
    import fcntl

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        handle = os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as exc:
        raise StorageError(f"{folder} cannot be written: {reason(exc)}") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Make ``path`` hold ``text``, whole or not at all; raises StorageError."""
    with written_whole(path) as temporary:
        temporary.write_text(text)
