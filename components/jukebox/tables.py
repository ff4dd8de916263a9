"""What lies on disk and how it says that it is whole: ``manifest.json``, written last, and dated partitions."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jukebox.errors import CorruptData, InvalidValue, StorageError, reason
from jukebox.storage import Remote, each, is_remote, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jukebox.storage import Place, Where

MANIFEST = "manifest.json"
_PARTITIONS = f"date=*/{MANIFEST}"
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

    def write(self, folder: str | Place) -> Manifest:
        """Put ``manifest.json`` into ``folder``, whole or not at all; return the manifest with its place and code.

        Raises StorageError when the folder cannot be written.
        """
        whole = self.put(folder)
        write_text(place_of(folder) / MANIFEST, whole.text())
        return whole

    def put(self, folder: str | Place) -> Manifest:
        """Return the manifest with the place that it is to have, and its code."""
        return replace(self, code=self.code or code_fingerprint(), uri=str(folder))

    def text(self) -> str:
        """Return what ``manifest.json`` holds."""
        body = {"jukebox_manifest": _FORMAT, **asdict(self)}
        del body["uri"]
        return json.dumps(body, indent=1) + "\n"

    @classmethod
    def read(cls, folder: str | Place, kind: str | None = None) -> Manifest:
        """Return the manifest in ``folder``.

        Raises StorageError when there is none (what was being written there is not whole), CorruptData when it is
        no manifest, InvalidValue when it is of another kind.
        """
        path = place_of(folder) / MANIFEST
        try:
            text = path.read_bytes()
        except OSError as exc:
            raise StorageError(f"{folder} holds no whole artifact, {path.name}: {reason(exc)}") from exc
        return cls.parse(text, folder, kind)

    @classmethod
    def parse(cls, text: bytes, folder: str | Place, kind: str | None = None) -> Manifest:
        """Return the manifest that ``manifest.json`` in ``folder`` holds as ``text``.

        Raises CorruptData when it is no manifest, InvalidValue when it is of another kind.
        """
        path = place_of(folder) / MANIFEST
        try:
            body = json.loads(text)
            written = body.pop("jukebox_manifest")
            if written != _FORMAT:
                raise CorruptData(f"{path} has the format {written}; this version of Jukebox reads {_FORMAT}")  # noqa: TRY301
            sources = tuple(Source(**source) for source in body.pop("inputs"))
            manifest = cls(**{**body, "keys": tuple(body["keys"]), "inputs": sources, "uri": str(folder)})
        except CorruptData:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise CorruptData(f"{path} is no manifest: {exc}") from exc
        if kind is not None and manifest.kind != kind:
            raise InvalidValue(f"{folder} holds a {manifest.kind}, not a {kind}")
        return manifest


def file_fingerprint(path: str | Place) -> str:
    """Return the SHA-256 of a file's bytes, or of all files of a folder with their names; raises StorageError."""
    place = place_of(path)
    try:
        if place.is_dir():
            below: Any = place  # a file and its folder are of one kind
            files = sorted(below.files_below()) if is_remote(place) else sorted(filter(Path.is_file, below.rglob("*")))
            return combined(part for file in files for part in (str(file.relative_to(below)), file_fingerprint(file)))
        digest = hashlib.sha256()
        with place.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except StorageError:
        raise
    except OSError as exc:
        raise StorageError(f"{path} cannot be read: {reason(exc)}") from exc
    return digest.hexdigest()


def combined(parts: Iterable[str]) -> str:
    """Return one fingerprint of several, in their order."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def partition_folder(root: str | Place, day: date) -> Place:
    """Return where the partition of ``day`` lies in the table at ``root``."""
    return place_of(root) / f"date={day.isoformat()}"


def partitions(root: str | Place) -> dict[date, Manifest]:
    """Return the whole partitions of the table at ``root`` by date, in order; half-written ones are not there.

    Raises CorruptData for a manifest that is none, and for a folder whose name has no date.
    """
    place: Any = place_of(root)  # a file and its folder are of one kind
    days = {_date_of(path.parent): path.parent for path in sorted(place.glob(_PARTITIONS))}
    read = each(partial(Manifest.read, kind="partition"), days.values(), remote=is_remote(place))
    return dict(zip(days, read, strict=True))


def has_partitions(root: str | Place) -> bool:
    """Return whether the table at ``root`` has a whole partition, none of which is read."""
    return any(True for _ in place_of(root).glob(_PARTITIONS))


def _date_of(folder: Place) -> date:
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
def written_whole(path: Where) -> Iterator[Path]:
    """Yield a temporary local path that becomes ``path`` at the end; after any error nothing is left of it.

    It lies beside a local ``path``, whose folders are made, and in the folder for temporary files for a remote one:
    an object store completes whatever is begun there. Raises StorageError when the place cannot be written.
    """
    place = place_of(path)
    with _sent_whole(place) if isinstance(place, Remote) else _renamed_whole(place) as temporary:
        yield temporary


@contextmanager
def writing(where: Where) -> Iterator[None]:
    """Turn whatever the system raises inside into a StorageError that names what cannot be written."""
    try:
        yield
    except StorageError:
        raise
    except OSError as exc:
        raise StorageError(f"{where} cannot be written: {reason(exc)}") from exc


@contextmanager
def _sent_whole(place: Remote) -> Iterator[Path]:
    with writing(place), tempfile.TemporaryDirectory(prefix="jukebox-", ignore_cleanup_errors=True) as folder:
        temporary = Path(folder) / place.name
        yield temporary
        place.take(temporary)


@contextmanager
def _renamed_whole(path: Path) -> Iterator[Path]:
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} cannot be written: it is there already and not a regular file")
    temporary: Path | None = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def locked(folder: Where) -> Iterator[None]:
    """Be the only one on this file system who changes what the manifests below ``folder`` name; others wait.

    The folder is made, and a file ``.lock`` is in it meanwhile. A process that dies lets go, and leaves a file that
    the next one takes away. A remote folder knows no lock, and nobody waits there. Raises StorageError.
    """
    place = place_of(folder)
    if isinstance(place, Remote):
        yield
        return
    path = place / ".lock"
    with writing(folder):
        place.mkdir(parents=True, exist_ok=True)
        handle = _held_alone(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _held_alone(path: Path) -> int:
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever held it took its name away: another file bears it now, or none.
            if os.fstat(handle).st_nlink > 0:
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def write_text(path: str | Place, text: str) -> None:
    """Make ``path`` hold ``text``, whole or not at all; raises StorageError."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
