"""Choosing columns by name, and holding batches to a schema."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


def chosen(columns: Sequence[str] | None, there: Sequence[str], where: object) -> list[str]:
    """Return the names to read from ``there``: all for None, else ``columns``, each there and once."""
    twice = repeated(there)
    if twice:
        raise NameClash(f"{where} has more than one column {quoted(twice)}")
    if columns is None:
        return list(there)
    if isinstance(columns, str) or not columns:
        raise InvalidValue(f"columns is {columns!r}; it takes a list of one or more names, or None for all")
    if repeated(columns):
        raise NameClash(f"column {quoted(repeated(columns))} is asked for more than once")
    missing = [name for name in columns if name not in set(there)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingColumn(f"{quoted(missing)} {verb} not in {where}; it has {quoted(there) or 'no columns'}")
    return list(columns)


def asked(
    columns: Sequence[str] | None, declared: Mapping[str, pa.DataType], found: Callable[[], pa.Schema], where: object
) -> pa.Schema:
    """Return the columns to read: as declared where all that are asked for are, else as ``found``, a pass, says.

    Raises what ``chosen`` does.
    """
    told = columns is not None and all(name in declared for name in columns)
    there = pa.schema(list(declared.items())) if told else found()
    return pa.schema([there.field(name) for name in chosen(columns, there.names, where)])


def conformed(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches in the order of ``schema``; a missing column or another type is an error."""
    for batch in batches:
        if batch.schema.equals(schema):
            yield batch
            continue
        names = chosen(schema.names, batch.schema.names, "the batch")
        same_types(batch.schema, schema, "the batch", "the schema to write")
        arrays = [batch.column(batch.schema.get_field_index(name)) for name in names]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def in_range(batches: Iterable[pa.RecordBatch], rows: tuple[int, int] | None) -> Iterator[pa.RecordBatch]:
    """Return the rows from the first up to, and without, the last of ``rows``, counted from 0; all for None.

    Rows beyond the end are none. Nothing is read after the last. Raises InvalidValue for a range that is none.
    """
    if rows is None:
        return iter(batches)
    first, last = rows
    if not 0 <= first <= last:
        raise InvalidValue(f"rows is {rows!r}; it takes a first row from 0 on, and one that is not before it")
    return _between(batches, first, last)


def _between(batches: Iterable[pa.RecordBatch], first: int, last: int) -> Iterator[pa.RecordBatch]:
    at = 0
    if first == last:
        return
    for batch in batches:
        found = batch.slice(max(0, first - at), max(0, last - max(at, first)))
        at += batch.num_rows
        if found.num_rows > 0:
            yield found
        if at >= last:
            return


def same_types(here: pa.Schema, there: pa.Schema, where: object, elsewhere: object) -> None:
    """Raise InvalidType at the first column of ``there`` that has another type ``here``."""
    for field in there:
        mine = here.field(field.name).type
        if not mine.equals(field.type):
            raise InvalidType(f"column '{field.name}' is {mine} in {where} and {field.type} in {elsewhere}")


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that come more than once, in order."""
    return [name for name, count in Counter(names).items() if count > 1]


def quoted(names: Iterable[str]) -> str:
    """Return the names in quotes, with commas between."""
    return ", ".join(f"'{name}'" for name in names)
