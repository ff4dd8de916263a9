"""Reaching into records: a dotted path names a column, or a field of the records that it holds.

A column whose own name is the path comes first, then the longest column that the path begins with: names may hold dots.
A path that passes through a list of records gives the list of what it names in each, as Spark has it; it may pass
through one list alone, for a feature's lists hold no lists. A field of a record that is null is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import InvalidType, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Reached:
    """A column of a schema and the fields to follow within it; ``type`` is that of what they lead to."""

    column: str
    fields: tuple[str, ...]
    type: pa.DataType

    def of(self, values: pa.Array) -> pa.Array:
        """Return what the fields lead to, one for each of the column's values."""
        for field in self.fields:
            values = _field(values, field)
        return values


def column_of(path: str, columns: Iterable[str]) -> str | None:
    """Return the column that ``path`` is or begins with, None where there is none."""
    there = [name for name in columns if path == name or path.startswith(f"{name}.")]
    return max(there, key=len, default=None)


def reach(path: str, schema: pa.Schema) -> Reached:
    """Return where ``path`` leads in ``schema``.

    Raises MissingColumn where there is no such column or field, and InvalidType where a path goes on in what is no
    record, or passes through a second list.

    >>> reach("artist.name", pa.schema([("artist", pa.struct([("name", pa.string())]))])).fields
    ('name',)
    """
    column = column_of(path, schema.names)
    if column is None:
        raise MissingColumn(f"'{path}' is not there; there are {', '.join(schema.names) or 'no columns'}")
    kind, here, fields = schema.field(column).type, column, []
    rest = path[len(column) + 1 :]
    while rest:
        record = kind.value_type if is_list(kind) else kind
        if not pa.types.is_struct(record):
            raise InvalidType(f"'{here}' is {kind}, no record, and '{path}' goes on with '{rest}'")
        names = [record[place].name for place in range(record.num_fields)]
        field = column_of(rest, names)
        if field is None:
            raise MissingColumn(f"'{path}' is not there; record '{here}' has {', '.join(names)}")
        inner = record[names.index(field)].type
        if is_list(kind) and is_list(inner):
            raise InvalidType(f"'{here}.{field}' is a list in a list of records; '{path}' can pass through one list")
        kind = pa.list_(inner) if is_list(kind) else inner
        fields.append(field)
        here, rest = f"{here}.{field}", rest[len(field) + 1 :]
    return Reached(column, tuple(fields), kind)


def is_list(kind: pa.DataType) -> bool:
    """Return whether values of this type are lists, of one size or of many."""
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _field(values: pa.Array, name: str) -> pa.Array:
    if not is_list(values.type):
        kind = values.type
        place = next(n for n in range(kind.num_fields) if kind[n].name == name)
        return pc.struct_field(values, [place])
    sizes = pc.list_value_length(values)
    ends = pc.cumulative_sum(pc.fill_null(sizes.cast(pa.int32()), 0))
    starts = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    if values.null_count > 0:
        # A null offset is how Arrow is told of a null list.
        last = pa.array([True])
        starts = pc.if_else(pa.concat_arrays([values.is_valid(), last]), starts, pa.scalar(None, pa.int32()))
    return pa.ListArray.from_arrays(starts, _field(values.flatten(), name))
