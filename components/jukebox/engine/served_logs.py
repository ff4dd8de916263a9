"""The log of what was served: files of one row a vector, read as one table whatever each file holds.

::

    request_id   text, null where the caller gave none      position    the entity's place in its request, from 0
    model        text, null where none was named            served_at   the moment that the vector is as of, in UTC
    key:<name>:<kind>         what the entity gave under a name: 'key:origin:text', 'key:user:integer'
    <feature>@<version>       the value that was answered, and beside it '… event_time' and '… status'

A feature that was asked for with a limit of age, in a role, or by ids that its table has written in another way has a
column of its own for it, which says so as a URL does: ``<feature>@<version>?max_age=1h&key.base=origin`` or
``…?identifier.artist=base62``. Keys stand as they were given. A column that a file lacks was not served to its rows:
there the status is null, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import pyarrow as pa

from jukebox.core import rowkeys
from jukebox.engine.label_keys import Written
from jukebox.engine.requests import Entry
from jukebox.engine.served_files import fingerprint, format_of
from jukebox.errors import CorruptData, InvalidType, InvalidValue, NoPartition, StorageError, reason
from jukebox.formats.files import is_data, source_files
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jukebox.storage import Place

REQUEST_ID, POSITION, MODEL, SERVED_AT = "request_id", "position", "model", "served_at"
UTC = pa.timestamp("us", "UTC")
ABOUT = pa.schema([(REQUEST_ID, pa.string()), (POSITION, pa.int32()), (MODEL, pa.string()), (SERVED_AT, UTC)])
STATUS_TYPE = pa.string()
FRESH, STALE = "fresh", "stale"
KEY = "key:"
_OF_DATES, _MAX_AGE, _ROLE, _WRITTEN = "date=*/*", "max_age", "key.", "identifier."
_LARGE = "large integer"
_KEY_TYPES = {
    "bool": pa.bool_(),
    "integer": pa.int64(),
    _LARGE: pa.uint64(),
    "date": pa.date32(),
    "naive time": pa.timestamp("us"),
    "zoned time": UTC,
    "text": pa.string(),
    "bytes": pa.binary(),
}


def column_of(
    feature: str,
    max_age: str | None = None,
    keys: Mapping[str, str] | None = None,
    identifiers: Mapping[str, str] | None = None,
) -> str:
    """Return the column of a versioned feature as it was asked for, ``keys`` from entity's name to key column.

    ``identifiers`` say by name how ids were written that the feature's table has in another way.

    >>> column_of("/entity/a/component/b/name/c@1", "1h", {"base": "origin"})
    '/entity/a/component/b/name/c@1?max_age=1h&key.base=origin'
    """
    told = {} if max_age is None else {_MAX_AGE: max_age}
    told |= {f"{_ROLE}{name}": key for name, key in sorted((keys or {}).items())}
    told |= {f"{_WRITTEN}{name}": how for name, how in sorted((identifiers or {}).items())}
    return f"{feature}?{urlencode(told)}" if told else feature


def entry_of(column: str) -> Entry:
    """Return what was asked for, from the column that ``column_of`` named; raises CorruptData for another text."""
    feature, _, query = column.partition("?")
    try:
        told = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError as exc:
        raise CorruptData(f"'{column}' is no column of a log: {exc}") from exc
    keys = {name.removeprefix(_ROLE): key for name, key in told.items() if name.startswith(_ROLE)}
    names = {name.removeprefix(_WRITTEN): Written(how) for name, how in told.items() if name.startswith(_WRITTEN)}
    return Entry(feature, column, told.get(_MAX_AGE), keys=keys, written=names)


def event_time_of(column: str) -> str:
    """Return the column of the event times of a feature's values."""
    return f"{column} event_time"


def status_of(column: str) -> str:
    """Return the column that says what became of a feature: fresh, stale, missing or of an unknown entity."""
    return f"{column} status"


def columns_of_answers(columns: Iterable[str]) -> list[str]:
    """Return all that the log has of some columns of features: the values, their event times and what became of them.

    >>> columns_of_answers(["a@1"])
    ['a@1', 'a@1 event_time', 'a@1 status']
    """
    return [name for column in columns for name in (column, event_time_of(column), status_of(column))]


def key_column(name: str, value: Any) -> str:
    """Return the column of what an entity gives under ``name``; raises InvalidType for what is no key."""
    kind = rowkeys.kind_of(value)
    return f"{KEY}{name}:{_LARGE if kind == 'integer' and value >= 2**63 else kind}"


def key_type(column: str) -> pa.DataType:
    """Return the type of a column that ``key_column`` named."""
    return _KEY_TYPES[column.rpartition(":")[2]]


@dataclass(frozen=True)
class ServedLog:
    """A log of served vectors: its files in order, and the columns of all of them together."""

    path: str
    files: tuple[Place, ...]
    schema: pa.Schema

    @property
    def features(self) -> tuple[str, ...]:
        """The versioned names of the features that were served, sorted."""
        names = set(self.schema.names)
        return tuple(sorted(name for name in names if status_of(name) in names))

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names that entities gave their keys by, sorted."""
        given = {name.removeprefix(KEY).rpartition(":")[0] for name in self.schema.names if name.startswith(KEY)}
        return tuple(sorted(given))

    def identifiers(self, name: str) -> tuple[str, ...]:
        """Return how ids are written that were given under ``name``, as far as they were converted; sorted."""
        written = [entry_of(column).written for column in self.features]
        return tuple(sorted({each[name].identifier for each in written if name in each}))

    def keys(self, name: str, kind: str) -> list[str]:
        """Return the columns of what entities gave under ``name``, as far as it is of a kind of keys."""
        kinds = (kind, _LARGE) if kind == "integer" else (kind,)
        return [column for each in kinds if (column := f"{KEY}{name}:{each}") in self.schema.names]

    def kinds(self, name: str) -> list[str]:
        """Return the kinds of what entities gave under ``name``."""
        return [each.rpartition(":")[2] for each in self.schema.names if each.rpartition(":")[0] == f"{KEY}{name}"]

    def fingerprint(self) -> str:
        """Return the fingerprint of the files' bytes; raises StorageError."""
        return fingerprint(self.files)

    def count_rows(self) -> int:
        """Return how many vectors there are, by what the files tell of themselves."""
        return sum(format_of(file).count_rows(file) for file in self.files)

    def read(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield these columns of all rows, in the order of the files; raises CorruptData and StorageError."""
        wanted = pa.schema([self.schema.field(name) for name in columns])
        for file in self.files:
            kept = format_of(file)
            there = set(kept.schema(file).names)
            # A file may have none of the columns, and has rows all the same.
            read = [name for name in dict.fromkeys([SERVED_AT, *columns]) if name in there]
            for batch in kept.read(file, columns=read):
                arrays = [
                    batch.column(batch.schema.get_field_index(field.name)).cast(field.type)
                    if field.name in there
                    else pa.nulls(batch.num_rows, field.type)
                    for field in wanted
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)


def open_log(path: str) -> ServedLog:
    """Return the log at ``path``: one of its files, the folder of a date, or the folder of all dates.

    Its files may be of both formats; only what tells their columns is read yet. Raises NoPartition where there is no
    file, CorruptData for one that is not whole, InvalidValue for one that is no log, and InvalidType where two files
    give one column two types.
    """
    files = _files(place_of(path))
    fields: dict[str, tuple[pa.DataType, Place]] = {}
    for file in files:
        schema = format_of(file).schema(file)
        lacking = [field.name for field in ABOUT if field.name not in schema.names]
        if lacking:
            there = ", ".join(schema.names) or "no column"
            raise InvalidValue(f"{file} is no log of served features: it has no '{lacking[0]}'; it has {there}")
        for field in schema:
            _take_in(fields, field, file)
    return ServedLog(path, tuple(files), pa.schema([(name, kind) for name, (kind, _) in fields.items()]))


def _take_in(fields: dict[str, tuple[pa.DataType, Place]], field: pa.Field, file: Place) -> None:
    kind, first = fields.get(field.name, (pa.null(), file))
    if pa.types.is_null(kind):
        fields[field.name] = field.type, file
    elif not pa.types.is_null(field.type) and field.type != kind:
        raise InvalidType(f"'{field.name}' is {kind} in {first} and {field.type} in {file}; a log has one type of each")


def _files(path: Place) -> Sequence[Place]:
    try:
        # In the folders at once: an object store does not list folders that are nothing but names.
        return sorted(file for file in path.glob(_OF_DATES) if is_data(file.name)) or source_files(path)
    except NoPartition as exc:
        raise NoPartition(f"there is no log of served features at {path}: {reason(exc)}") from exc
    except OSError as exc:
        raise StorageError(f"{path} cannot be listed: {reason(exc)}") from exc
