"""Making a training set again from what its manifest names, and comparing the two."""

from __future__ import annotations

import platform
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from jukebox.core.fingerprints import fingerprint_of
from jukebox.engine.plans import plan_of
from jukebox.engine.training_files import WHOLE
from jukebox.engine.training_sets import make_training_set
from jukebox.engine.verifying import require_whole
from jukebox.errors import InvalidValue, NotReproduced
from jukebox.formats import parquet
from jukebox.formats.framing import records
from jukebox.tables import Manifest, code_fingerprint, file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from jukebox.core.asof import Progress

_SHARDS = "Split-*/data_tfrecord-*"


@dataclass(frozen=True)
class Replay:
    """A training set that was made again with the same content; ``made`` is its new manifest.

    ``files`` were compared, of which those in ``other_bytes`` hold the same rows in other bytes. ``versions`` has
    what wrote the first and the second, by name, None for what the first does not tell.
    """

    uri: str
    made: Manifest
    files: tuple[str, ...]
    other_bytes: tuple[str, ...]
    versions: Mapping[str, tuple[str | None, str]]


def replay(training_set: str, *, out: str | None = None, progress: Callable[[Progress], None] | None = None) -> Replay:
    """Make the training set at ``training_set`` again, at ``out`` or in a temporary folder, and compare the two.

    Within one pinned set of packages the bytes are the same; across such sets, and with other code, the content is.
    Raises SourceChanged, which names the labels and partitions that hold something else by now, NotReproduced where
    the content differs all the same, InvalidValue where ``out`` is the training set itself or there is none, and
    what making one raises.
    """
    made = Manifest.read(training_set, "training_set")
    if out is not None and Path(out).resolve() == Path(training_set).resolve():
        raise InvalidValue(f"{out} is the training set itself; make it again in another folder")
    plan = plan_of(made)
    with _folder(out) as folder:
        again = make_training_set(plan, folder, progress=progress)
        files, differing = _compared(Path(training_set), Path(folder))
        wrong = [told for name in differing if (told := _other_rows(Path(training_set), Path(folder), name))]
        if wrong or again.fingerprint != made.fingerprint:
            require_whole(plan)
            wrong = wrong or ["its manifest names another content than its files hold"]
            raise NotReproduced(f"{training_set} made again is another one: {'; '.join(wrong)}")
        return Replay(training_set, again, files, differing, _versions(made, folder))


def _folder(out: str | None) -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="jukebox-replay-") if out is None else nullcontext(out)


def _compared(first: Path, second: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of all files, and of those that are not in both with the same bytes."""
    names = sorted({str(path.relative_to(root)) for root in (first, second) for path in root.glob(_SHARDS)} | {WHOLE})
    return tuple(names), tuple(name for name in names if not _same(first / name, second / name))


def _same(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and file_fingerprint(first) == file_fingerprint(second)


def _other_rows(first: Path, second: Path, name: str) -> str | None:
    """Return how the rows of a file differ, None where the bytes alone do."""
    if not (first / name).exists():
        return f"{name} is missing"
    if not (second / name).exists():
        return f"{name} is one too many"
    if name == WHOLE:
        columns = _other_columns(first / name, second / name)
        return f"{name} differs in {', '.join(columns)}" if columns else None
    ours, theirs = (chain.from_iterable(records(root / name)) for root in (first, second))
    same = all(one == other for one, other in zip_longest(ours, theirs))
    return None if same else f"{name} holds other records"


def _other_columns(first: Path, second: Path) -> list[str]:
    ours, theirs = (parquet.schema(path) for path in (first, second))
    names = list(dict.fromkeys([*ours.names, *theirs.names]))
    both = {name for name in names if name in ours.names and name in theirs.names}
    return [f"'{name}'" for name in names if name not in both or _content(first, name) != _content(second, name)]


def _content(path: Path, column: str) -> str:
    schema = pa.schema([parquet.schema(path).field(column)])
    return fingerprint_of(parquet.read(path, columns=[column]), schema)


def _versions(made: Manifest, folder: str) -> dict[str, tuple[str | None, str]]:
    # Parquet files say which library wrote them; nothing of the kind is known of Python.
    then, now = (str(pq.read_metadata(Path(root) / WHOLE).created_by) for root in (made.uri, folder))
    return {
        "jukebox": (made.code, code_fingerprint()),
        "parquet": (then, now),
        "python": (None, platform.python_version()),
    }
