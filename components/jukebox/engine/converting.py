"""Files of one format into files of another, as a stream of Arrow record batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.engine.outputs import folder_whole
from jukebox.errors import InvalidType, InvalidValue, JukeboxError, MissingColumn, NoPartition
from jukebox.features.data_types import arrow_type
from jukebox.formats.columns import chosen, quoted
from jukebox.formats.files import is_data
from jukebox.storage import is_remote, place_of
from jukebox.tables import Manifest, Source, combined, file_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jukebox.storage import Place

KIND = "data_set"
ROWS_PER_FILE = 1_000_000
_PLAIN = ".tfrecord"
_UNTOLD = ("tfrecord", "csv", "jsonl")  # formats whose files do not say what the types of their columns are


@dataclass(frozen=True)
class Task:
    """What is converted to what; ``columns`` None are all, and ``types`` those that a format does not tell.

    ``progress`` is told the rows that are done, and how many there are where that is known.
    """

    source: str
    out: str
    from_format: str | None = None
    to_format: str | None = None
    columns: Sequence[str] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    rows_per_file: int = ROWS_PER_FILE
    progress: Callable[[int, int | None], None] | None = None

    @cached_property
    def ending(self) -> str | None:
        """The ending of the one file to write, None for a folder of files."""
        place = place_of(self.out)
        return None if place.is_dir() else formats.ending_of(place.name)

    @cached_property
    def target(self) -> str:
        """The format to write; raises InvalidValue where nothing tells it, or two things tell another."""
        told = None if self.ending is None else formats.ENDINGS[self.ending]
        if self.to_format is None and told is None:
            endings = ", ".join(formats.ENDINGS)
            raise InvalidValue(f"{self.out} does not tell a format; name one, or end it in one of {endings}")
        if self.to_format is not None and told is not None and told != self.to_format:
            raise InvalidValue(f"{self.out} ends as {told} does, and the format to write is {self.to_format}")
        return str(self.to_format or told)

    @cached_property
    def declared(self) -> dict[str, pa.DataType]:
        """The declared types; raises InvalidValue for what is none."""
        kinds = {name: arrow_type(kind) for name, kind in self.types.items()}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    def require(self) -> None:
        """Raise InvalidValue for what cannot be done, whatever the source holds."""
        formats.format_named(self.target)
        if self.rows_per_file < 1:
            raise InvalidValue(f"rows_per_file is {self.rows_per_file}; a file holds one row or more")
        if self.rows_per_file != ROWS_PER_FILE and self.ending is not None:
            raise InvalidValue(f"{self.out} is one file, and rows_per_file is about a folder of them; name a folder")
        inner, outer = (Path(str(place_of(each))).absolute() for each in (self.out, self.source))
        if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise InvalidValue(f"{self.source} and {self.out} lie in one another; a conversion writes to another place")


def converted(task: Task) -> Manifest:
    """Make ``task.out`` hold the rows of ``task.source``; return the manifest, which is written into a folder alone.

    One file is written where ``out`` ends as files do, else a folder of files; a folder with folders in it becomes one
    with the same. After any error ``out`` is as it was before. Raises InvalidValue, NoPartition, MissingColumn,
    NameClash, InvalidType, CorruptData and StorageError, with the file, and the rows where values do not fit.
    """
    task.require()
    run, source = _Run(task), place_of(task.source)
    if task.ending is not None:
        _require_flat(source, task.out)
        place = place_of(task.out)
        return run.manifest(place, [run.written(run.rows_of(source), place)])
    with folder_whole(task.out, KIND) as folder:
        written: list[str] = []
        for name, inner in _folders(source).items():
            rows = run.rows_of(inner)
            place = folder if name == "." else place_of(folder, *name.split("/"))
            written += [f"{'' if name == '.' else f'{name}/'}{each}" for each in run.shards(rows, place)]
        manifest = run.manifest(folder, written).write(folder)
    return Manifest(**{**vars(manifest), "uri": task.out})


def _folders(source: Place) -> dict[str, Place]:
    """Return the folders with data files in them by their path below ``source``, ``.`` for itself and for a file."""
    if not source.is_dir():
        return {".": source}
    root: Any = source  # a folder and its files are of one kind
    below = root.files_below() if is_remote(source) else filter(Path.is_file, root.rglob("*"))
    paths = sorted(path.relative_to(root) for path in below)
    found = sorted({path.parent.as_posix() for path in paths if all(map(is_data, path.parts))})
    if not found:
        raise NoPartition(f"{source} holds no data files")
    return {name: source if name == "." else place_of(source, *name.split("/")) for name in found}


def _require_flat(source: Place, out: str) -> None:
    """Raise InvalidValue for a folder with data in folders: one file would hold only some of it, or none.

    Folders called ``key=value`` are read as one data set where a format has such.
    """
    inside = [name for name in _folders(source) if name != "." and "=" not in name]
    if inside:
        raise InvalidValue(f"{source} has data in the folder '{inside[0]}', and {out} is one file; name a folder")


@dataclass
class _Rows:
    """The rows of a source, once, with what an error says of those on their way."""

    path: Place
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    of: int | None
    start: int = 0
    end: int = 0
    reading: bool = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            self.reading = True
            batch = next(self.batches, None)
            self.reading = False
            if batch is None:
                return
            self.start, self.end = self.end, self.end + batch.num_rows
            yield batch

    def located(self, exc: JukeboxError) -> JukeboxError:
        """Return an error of writing with the place of the rows that it was about; one of reading has it."""
        if self.reading or not isinstance(exc, (InvalidValue, InvalidType)) or self.end == 0:
            return exc
        return type(exc)(f"{self.path}, in rows {self.start} to {self.end - 1}: {exc}")


class _Run:
    """A conversion under way: what it has read and written."""

    def __init__(self, task: Task) -> None:
        self._task, self._writer = task, formats.format_named(task.target)
        self._rows = 0
        self._from: set[str] = set()
        self._schema: dict[str, str] = {}

    def rows_of(self, path: Any) -> _Rows:
        """Return the rows at ``path`` in the asked columns, with their types found."""
        task, name = self._task, self._task.from_format or _told(path)
        reader = formats.format_named(name)
        if name in _UNTOLD and task.columns and set(task.columns) <= set(task.declared):
            there = pa.schema(list(task.declared.items()))  # to look at the rows for types would be in vain
        else:
            there = reader.schema(path, options=formats.Options(types=task.declared))
            _require_types(task.declared, there, path)
        schema = pa.schema([there.field(each) for each in chosen(task.columns, there.names, path)])
        # The types are known now: a format that tells none is not searched for them again.
        options = formats.Options(types=dict(zip(schema.names, schema.types, strict=True)))
        count = getattr(reader, "count_rows", None)
        self._from.add(name)
        self._schema |= {column.name: str(column.type) for column in schema}
        of = None if count is None else self._rows + count(path)
        return _Rows(path, schema, iter(reader.read(path, columns=schema.names, options=options)), of)

    def shards(self, rows: _Rows, folder: Place) -> list[str]:
        """Write the rows to files of the folder, as many to each as was asked; return the files' names."""
        rest = _Rest(rows)
        names: list[str] = []
        while not names or rest.more():
            names.append(f"part-{len(names):05}{self._writer.SUFFIX}")
            part = rest.take(self._task.rows_per_file)
            self.written(rows, place_of(folder, names[-1]), part)
        return names

    def written(self, rows: _Rows, path: Place, part: Iterable[pa.RecordBatch] | None = None) -> str:
        """Write rows to one file; return its name."""
        write: Any = self._writer.write
        if path.name.endswith(_PLAIN):
            write = partial(write, gzip_level=None)
        try:
            write(path, self._counted(rows if part is None else part, rows.of), schema=rows.schema)
        except JukeboxError as exc:
            located = rows.located(exc)
            if located is exc:
                raise
            raise located from exc
        return path.name

    def _counted(self, batches: Iterable[pa.RecordBatch], of: int | None) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch
            self._rows += batch.num_rows
            if self._task.progress is not None:
                self._task.progress(self._rows, of)

    def manifest(self, out: Place, files: Sequence[str]) -> Manifest:
        """Return the manifest of what was written."""
        folder = out.parent if self._task.ending is not None else out
        places = [place_of(folder, *name.split("/")) for name in files]
        source = place_of(self._task.source)
        return Manifest(
            kind=KIND,
            rows=self._rows,
            schema=self._schema,
            fingerprint=combined(file_fingerprint(place) for place in places),
            inputs=(Source(str(source), file_fingerprint(source)),),
            details={
                "format": self._task.target,
                "from": sorted(self._from),
                "files": list(files),
                "bytes": sum(place.stat().st_size for place in places),
            },
            uri=str(out),
        )


def _told(path: Any) -> str:
    reader: Any = formats.format_of(path)
    return next(name for name, module in formats.FORMATS.items() if module == reader.__name__)


def _require_types(declared: Mapping[str, pa.DataType], there: pa.Schema, path: Place) -> None:
    missing = [name for name in declared if name not in there.names]
    if missing:
        raise MissingColumn(f"{quoted(missing)} of the declared types is not in {path}; it has {quoted(there.names)}")
    for name, kind in declared.items():
        if there.field(name).type != kind:
            raise InvalidType(f"column '{name}' is {there.field(name).type} in {path} itself, and declared {kind}")


class _Rest:
    """A stream of batches that is taken a number of rows at a time."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches, self._held = iter(batches), None

    def more(self) -> bool:
        """Return whether there is a row left."""
        while self._held is None or self._held.num_rows == 0:
            self._held = next(self._batches, None)
            if self._held is None:
                return False
        return True

    def take(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the next ``rows`` rows, or as many as there are."""
        while rows > 0 and self.more():
            held: pa.RecordBatch = self._held
            yield held.slice(0, rows)
            self._held = held.slice(rows) if held.num_rows > rows else None
            rows -= min(rows, held.num_rows)
