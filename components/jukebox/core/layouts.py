"""What the rows of an online table are made of: keys, times and values and their types, fixed by its first write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from jukebox.core import cells, rowkeys
from jukebox.core.asof_times import Clock, clock
from jukebox.core.cell_reading import reader
from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingColumn, NameClash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROLES, _ENTITY = b"jukebox.roles", b"jukebox.entity"


class Row(NamedTuple):
    """What a table holds for a key: its times as they compare, in nanoseconds since 1970, and its values in order."""

    event_time: int | None
    created_time: int | None
    names: tuple[str, ...]
    fields: Sequence[Any]

    @property
    def values(self) -> dict[str, Any]:
        """The values by column."""
        return dict(zip(self.names, self.fields, strict=True))


@dataclass(frozen=True)
class Layout:
    """The columns of an online table: keys, event time, created time, then the values, each once.

    ``timed`` and ``created`` tell whether there is an event and a created time; ``keys`` counts the key columns;
    ``entity`` is what a row describes.
    """

    schema: pa.Schema
    keys: int
    timed: bool
    created: bool
    entity: str = ""

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The key columns, in the order that the row key has them."""
        return tuple(self.schema.names[: self.keys])

    @cached_property
    def time_names(self) -> tuple[str, ...]:
        """The event time and the created time, as far as there are any."""
        return tuple(self.schema.names[self.keys : self.keys + self.timed + self.created])

    @cached_property
    def value_names(self) -> tuple[str, ...]:
        """The columns of values."""
        return tuple(self.schema.names[self.keys + self.timed + self.created :])

    @cached_property
    def zoned(self) -> bool:
        """Whether the times are instants; naive ones otherwise, dates among them."""
        return any(_clock(self.schema.field(name)).kind == "zoned" for name in self.time_names)

    def row_key(self, entity: Mapping[str, Any]) -> bytes | None:
        """Return the row key of an entity, None where a part of its key is null: that matches nothing.

        Raises MissingColumn for a key that is not there, InvalidType for one of another kind than the table's.
        """
        values = []
        for name in self.key_names:
            if name not in entity:
                there = ", ".join(map(str, entity)) or "nothing"
                raise MissingColumn(f"key '{name}' is not in the entity; it has {there}")
            value = entity[name]
            if value is not None and rowkeys.kind_of(value) != self._kinds[name]:
                raise InvalidType(f"key '{name}' is {self._kinds[name]} in the online table, not {value!r}")
            values.append(value)
        return None if any(value is None for value in values) else rowkeys.encode_one(values)

    @cached_property
    def addressing(self) -> tuple[Any, ...]:
        """What row keys are made by; tables that share it have the same row keys for the same entities."""
        return self.entity, tuple(self._kinds.items())

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {name: rowkeys.kind(self.schema.field(name).type) for name in self.key_names}

    def cells(self, rows: pa.RecordBatch) -> pa.LargeBinaryArray:
        """Return the packed cell of each row; the rows have this layout's schema."""
        columns = rows.columns[self.keys :]
        return cells.encode(columns) if columns else pa.array([bytes([cells.VERSION])] * len(rows), pa.large_binary())

    def cells_apart(self, rows: pa.RecordBatch) -> list[pa.LargeBinaryArray]:
        """Return for each value what ``cells`` returns of the layout ``only`` with it."""
        return [
            each.cells(pa.RecordBatch.from_arrays([rows.column(n) for n in each.schema.names], schema=each.schema))
            for each in self._alone.values()
        ]

    def row(self, cell: bytes) -> Row:
        """Return what a packed cell of this layout holds; raises CorruptData where it is none."""
        return self._row(cell)

    @cached_property
    def _row(self) -> Callable[[bytes], Row]:
        # Made once, for a read of a hundred entities calls it for every feature set of each.
        read = reader(self.schema.types[self.keys :], raw=self.timed + self.created)
        names, timed, created = self.value_names, self.timed, self.created
        tick, tock, *_ = [*(_clock(self.schema.field(name)).tick for name in self.time_names), 1, 1]
        tock, first = (tock if timed else tick), timed + created

        def row(cell: bytes) -> Row:
            fields = read(cell)
            event = fields[0] if timed else None
            made = fields[first - 1] if created else None
            return Row(
                None if event is None else event * tick,
                None if made is None else made * tock,
                names,
                fields[first:],
            )

        return row

    def row_of(self, each: Mapping[str, bytes]) -> Row:
        """Return what the cells of the layouts ``only`` hold together, by value; they bear the same times."""
        rows = {name: self._alone[name].row(cell) for name, cell in each.items()}
        first = next(iter(rows.values()))
        return Row(first.event_time, first.created_time, tuple(rows), [row.fields[0] for row in rows.values()])

    def only(self, value: str) -> Layout:
        """Return the layout of keys, times and one value."""
        return self._alone[value]

    @cached_property
    def _alone(self) -> dict[str, Layout]:
        roles = [self.schema.field(name) for name in (*self.key_names, *self.time_names)]
        schemas = {name: pa.schema([*roles, self.schema.field(name)]) for name in self.value_names}
        return {name: replace(self, schema=schema) for name, schema in schemas.items()}

    def fitted(self, rows: pa.Table) -> pa.Table:
        """Return the rows in this layout's columns and types.

        Layouts of text and units of time may differ where nothing is lost. Raises InvalidType where the rows have
        other columns or types: they are another version of the feature set, and go to another table.
        """
        if set(rows.column_names) != set(self.schema.names):
            raise InvalidType(
                f"the online table holds {', '.join(self.schema.names)}, the rows have {', '.join(rows.column_names)}; "
                "other columns go to a table of their own"
            )
        keys = self.key_names
        columns = [_cast(rows[field.name], field, key=field.name in keys) for field in self.schema]
        return pa.table(columns, schema=self.schema)

    def require_roles(self, other: Layout, table: str) -> None:
        """Raise InvalidType where the rows to write have other keys or times than those of ``table``, which is this."""
        ours, theirs = self._roles(), other._roles()
        if ours != theirs:
            raise InvalidType(f"online table '{table}' has the {ours}, the rows have the {theirs}: another table's")

    def _roles(self) -> str:
        return f"keys {', '.join(sorted(self.key_names))} and times {', '.join(self.time_names) or '(none)'}"

    def to_bytes(self) -> bytes:
        """Return the layout in bytes: an Arrow IPC schema whose metadata say which columns are keys and times."""
        roles = bytes([self.keys, self.timed, self.created])
        about = {_ROLES: roles, _ENTITY: self.entity.encode()}
        raw: bytes = self.schema.with_metadata(about).serialize().to_pybytes()
        return raw


def layout_of(
    schema: pa.Schema,
    *,
    keys: Sequence[str],
    event_time: str | None,
    created_time: str | None = None,
    entity: str | None = None,
) -> Layout:
    """Return the layout of rows of ``schema``; all columns that are no key and no time are values.

    ``entity`` is by default the names of the key columns with ``+`` between. Raises MissingColumn, NameClash for one
    column in two roles, and InvalidType for keys, times and values of types that they cannot have, a naive and a zoned
    time together among them.
    """
    times = [name for name in (event_time, created_time) if name is not None]
    roles = [*keys, *times]
    for name in roles:
        if name not in schema.names:
            raise MissingColumn(f"column '{name}' is not in the rows; they have {', '.join(schema.names)}")
    if len(set(roles)) < len(roles) or len(set(schema.names)) < len(schema):
        raise NameClash(
            f"each key, time and value needs a column of its own; keys and times are {', '.join(roles)}, "
            f"the rows have {', '.join(schema.names)}"
        )
    clocks = [_clock(schema.field(name)) for name in times]
    if len({clock.kind for clock in clocks}) > 1:
        kinds = f"'{times[0]}' is {clocks[0].kind} and '{times[1]}' is {clocks[1].kind}"
        raise InvalidType(f"{kinds}; give both a zone or none")
    values = [name for name in schema.names if name not in set(roles)]
    fields = [_plain(schema.field(name), key=name in keys) for name in [*roles, *values]]
    what = "+".join(keys) if entity is None else entity
    return Layout(pa.schema(fields), len(keys), event_time is not None, created_time is not None, what)


@lru_cache(maxsize=256)
def layout_from_bytes(raw: bytes) -> Layout:
    """Return the layout that ``to_bytes`` wrote; raises CorruptData where it is none."""
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(raw))
        about = schema.metadata or {}
        keys, timed, created = about[_ROLES]
        entity = about[_ENTITY].decode()
    except (pa.ArrowException, OSError, KeyError, ValueError) as exc:
        raise CorruptData(f"{len(raw)} bytes are no layout of an online table: {exc}") from exc
    return Layout(schema.remove_metadata(), keys, bool(timed), bool(created), entity)


def _clock(field: pa.Field) -> Clock:
    found = clock(field.type)
    if found is None or found.kind not in ("naive", "zoned"):
        raise InvalidType(f"time column '{field.name}' is {field.type}; a time is a timestamp or a date")
    return found


def _plain(field: pa.Field, *, key: bool) -> pa.Field:
    try:
        if key and rowkeys.kind(field.type) == "integer" and not pa.types.is_uint64(field.type):
            # Integers of any width meet, so that a later load may have wider ones.
            return pa.field(field.name, pa.int64())
        return pa.field(field.name, cells.plain_type(field.type))
    except InvalidType as exc:
        raise InvalidType(f"column '{field.name}': {exc}") from exc


def _cast(column: pa.ChunkedArray, field: pa.Field, *, key: bool) -> pa.ChunkedArray:
    if column.type == field.type:
        return column
    if not (_alike(column.type, field.type) or (key and rowkeys.kind(column.type) == rowkeys.kind(field.type))):
        raise InvalidType(
            f"column '{field.name}' is {field.type} in the online table and {column.type} in the rows; "
            "another type goes to a table of its own"
        )
    try:
        if str(column.type).endswith("_view"):
            # Arrow casts views only in its newest versions.
            return pa.chunked_array([pa.array(column.to_pylist(), field.type)])
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise InvalidValue(f"column '{field.name}' does not fit the online table's {field.type}: {exc}") from exc


def _alike(here: pa.DataType, there: pa.DataType) -> bool:
    if cells.plain_type(here) == there:
        return True
    ours, theirs = clock(here), clock(there)
    return ours is not None and theirs is not None and ours.kind == theirs.kind in ("naive", "zoned")
