"""Making a training set again from what its manifest names, and comparing the two."""

from __future__ import annotations

import platform
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.fingerprints import fingerprint_of
from jukebox.engine.plans import plan_of
from jukebox.engine.training_files import WHOLE
from jukebox.engine.training_sets import make_training_set
from jukebox.engine.verifying import require_whole
from jukebox.errors import InvalidValue, NotReproduced
from jukebox.formats import parquet
from jukebox.formats.framing import records
from jukebox.storage import place_of
from jukebox.tables import Manifest, code_fingerprint, file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from jukebox.core.asof import Progress
    from jukebox.storage import Place

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
    if out is not None and _resolved(out) == _resolved(training_set):
        raise InvalidValue(f"{out} is the training set itself; make it again in another folder")
    plan = plan_of(made)
    with _folder(out) as folder:
        again = make_training_set(plan, folder, progress=progress)
        files, differing = _compared(place_of(training_set), place_of(folder))
        wrong = [told for name in differing if (told := _other_rows(place_of(training_set), place_of(folder), name))]
        if wrong or again.fingerprint != made.fingerprint:
            require_whole(plan)
            wrong = wrong or ["its manifest names another content than its files hold"]
            raise NotReproduced(f"{training_set} made again is another one: {'; '.join(wrong)}")
        return Replay(training_set, again, files, differing, _versions(made, folder))


def _resolved(where: str) -> Place:
    place = place_of(where)
    return place.resolve() if isinstance(place, Path) else place


def _folder(out: str | None) -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="jukebox-replay-") if out is None else nullcontext(out)


def _compared(first: Place, second: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of all files, and of those that are not in both with the same bytes."""
    roots: Any = (first, second)  # a file and its folder are of one kind
    names = sorted({str(path.relative_to(root)) for root in roots for path in root.glob(_SHARDS)} | {WHOLE})
    return tuple(names), tuple(name for name in names if not _same(first / name, second / name))


def _same(first: Place, second: Place) -> bool:
    return first.exists() and second.exists() and file_fingerprint(first) == file_fingerprint(second)


def _other_rows(first: Place, second: Place, name: str) -> str | None:
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


def _other_columns(first: Place, second: Place) -> list[str]:
    ours, theirs = (parquet.schema(path) for path in (first, second))
    names = list(dict.fromkeys([*ours.names, *theirs.names]))
    both = {name for name in names if name in ours.names and name in theirs.names}
    return [f"'{name}'" for name in names if name not in both or _content(first, name) != _content(second, name)]


def _content(path: Place, column: str) -> str:
    schema = pa.schema([parquet.schema(path).field(column)])
    return fingerprint_of(parquet.read(path, columns=[column]), schema)


def _versions(made: Manifest, folder: str) -> dict[str, tuple[str | None, str]]:
    # Parquet files say which library wrote them; nothing of the kind is known of Python.
    then, now = (parquet.created_by(place_of(root) / WHOLE) for root in (made.uri, folder))
    return {
        "jukebox": (made.code, code_fingerprint()),
        "parquet": (then, now),
        "python": (None, platform.python_version()),
    }
