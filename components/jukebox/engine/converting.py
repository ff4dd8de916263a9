"""Files of one format into files of another, as a stream of Arrow record batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.engine.addresses import source_fingerprint
from jukebox.engine.outputs import folder_whole
from jukebox.engine.streams import Rest, Rows
from jukebox.errors import InvalidType, InvalidValue, JukeboxError, MissingColumn, NoPartition
from jukebox.features.data_types import arrow_type
from jukebox.formats.columns import chosen, quoted
from jukebox.formats.files import is_data
from jukebox.storage import is_remote, place_of
from jukebox.tables import Manifest, Source, combined

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
    def told(self) -> str | None:
        """The format that the name of the one file, or table, to write tells; None for a folder of files."""
        if self.out.startswith(formats.BIGQUERY):
            return "bigquery"
        place = place_of(self.out)
        ending = None if place.is_dir() else formats.ending_of(place.name)
        return None if ending is None else formats.ENDINGS[ending]

    @cached_property
    def target(self) -> str:
        """The format to write; raises InvalidValue where nothing tells it, or two things tell another."""
        told = self.told
        if self.to_format is None and told is None:
            endings = ", ".join(formats.ENDINGS)
            raise InvalidValue(f"{self.out} does not tell a format; name one, or end it in one of {endings}")
        if self.to_format is not None and told is not None and told != self.to_format:
            raise InvalidValue(f"{self.out} is called as {told} is, and the format to write is {self.to_format}")
        if self.to_format == "bigquery" and told is None:
            raise InvalidValue(f"{self.out} is no table of BigQuery; one is {formats.BIGQUERY}project.dataset.table")
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
        if self.rows_per_file != ROWS_PER_FILE and self.told is not None:
            raise InvalidValue(f"{self.out} is one file, and rows_per_file is about a folder of them; name a folder")
        if any(each.startswith(formats.BIGQUERY) for each in (self.out, self.source)):
            return
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
    run, source = _Run(task), _where(task.source)
    if task.told is not None:
        _require_flat(source, task.out)
        out = _where(task.out)
        return run.manifest([run.written(run.rows_of(source), out)], [out])
    with folder_whole(task.out, KIND) as folder:
        written: list[str] = []
        for name, inner in _folders(source).items():
            rows = run.rows_of(inner)
            place = folder if name == "." else place_of(folder, *name.split("/"))
            written += [f"{'' if name == '.' else f'{name}/'}{each}" for each in run.shards(rows, place)]
        manifest = run.manifest(written, [place_of(folder, *name.split("/")) for name in written]).write(folder)
    return Manifest(**{**vars(manifest), "uri": task.out})


def _where(text: str) -> Place | str:
    return text if text.startswith(formats.BIGQUERY) else place_of(text)


def _folders(source: Place | str) -> dict[str, Place | str]:
    """Return the folders with data files in them by their path below ``source``: ``.`` for itself, or all it is."""
    if isinstance(source, str) or not source.is_dir():
        return {".": source}
    root: Any = source  # a folder and its files are of one kind
    below = root.files_below() if is_remote(source) else filter(Path.is_file, root.rglob("*"))
    paths = sorted(path.relative_to(root) for path in below)
    found = sorted({path.parent.as_posix() for path in paths if all(map(is_data, path.parts))})
    if not found:
        raise NoPartition(f"{source} holds no data files")
    return {name: source if name == "." else place_of(source, *name.split("/")) for name in found}


def _require_flat(source: Place | str, out: str) -> None:
    """Raise InvalidValue for a folder with data in folders: one file would hold only some of it, or none.

    Folders called ``key=value`` are read as one data set where a format has such.
    """
    inside = [name for name in _folders(source) if name != "." and "=" not in name]
    if inside:
        raise InvalidValue(f"{source} has data in the folder '{inside[0]}', and {out} is one file; name a folder")


class _Run:
    """A conversion under way: what it has read and written."""

    def __init__(self, task: Task) -> None:
        self._task, self._writer = task, formats.format_named(task.target)
        self._rows = 0
        self._from: set[str] = set()
        self._schema: dict[str, str] = {}

    def rows_of(self, path: Any) -> Rows:
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
        return Rows(path, schema, iter(reader.read(path, columns=schema.names, options=options)), of)

    def shards(self, rows: Rows, folder: Place) -> list[str]:
        """Write the rows to files of the folder, as many to each as was asked; return the files' names."""
        rest = Rest(rows)
        names: list[str] = []
        while not names or rest.more():
            names.append(f"part-{len(names):05}{self._writer.SUFFIX}")
            part = rest.take(self._task.rows_per_file)
            self.written(rows, place_of(folder, names[-1]), part)
        return names

    def written(self, rows: Rows, path: Place | str, part: Iterable[pa.RecordBatch] | None = None) -> str:
        """Write rows to one file; return its name."""
        write: Any = self._writer.write
        if str(path).endswith(_PLAIN):
            write = partial(write, gzip_level=None)
        try:
            write(path, self._counted(rows if part is None else part, rows.of), schema=rows.schema)
        except JukeboxError as exc:
            located = rows.located(exc)
            if located is exc:
                raise
            raise located from exc
        return path if isinstance(path, str) else path.name

    def _counted(self, batches: Iterable[pa.RecordBatch], of: int | None) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch
            self._rows += batch.num_rows
            if self._task.progress is not None:
                self._task.progress(self._rows, of)

    def manifest(self, names: Sequence[str], files: Sequence[Place | str]) -> Manifest:
        """Return the manifest of what was written: ``files``, which ``names`` are the names of within the output."""
        source = _where(self._task.source)
        return Manifest(
            kind=KIND,
            rows=self._rows,
            schema=self._schema,
            fingerprint=combined(source_fingerprint(file) for file in files),
            inputs=(Source(str(source), source_fingerprint(source)),),
            details={
                "format": self._task.target,
                "from": sorted(self._from),
                "files": list(names),
                "bytes": sum(0 if isinstance(file, str) else file.stat().st_size for file in files),
            },
            uri=self._task.out,
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
