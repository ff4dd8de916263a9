"""A data set whose keys are the only ones that an online load takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NoPartition
from jukebox.features.spellings import canonical
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.features.definitions import Key
    from jukebox.stores import Registry


@dataclass(frozen=True)
class KeyFilter:
    """A file or folder, its format where its ending does not tell, and the columns that hold the keys.

    ``columns`` is a mapping from a table's key column to the data set's, or a list of key declarations, each with
    ``column_name`` (or ``column``), ``primitive_entity`` and perhaps ``identifier``; by default the names are the same.
    """

    path: str
    format: str | None = None
    columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None

    def read(self, keys: Sequence[Key], kinds: pa.Schema) -> pa.Table:
        """Return the keys under the names and in the types that ``kinds``, the table's own, has.

        Raises MissingColumn, InvalidType and InvalidValue for keys that do not fit, NoPartition, CorruptData and
        StorageError.
        """
        named = _columns(self.columns, keys)
        reader = formats.format_of(self.path) if self.format is None else formats.format_named(_format(self.format))
        there = reader.schema(self.path).names
        for name in kinds.names:
            if named[name] not in there:
                raise MissingColumn(f"key '{named[name]}' is not in the filter {self.path}; it has {', '.join(there)}")
        # CSV and records do not say what their keys are: a text of digits would be a number, and any text bytes.
        options = formats.Options(types={named[field.name]: field.type for field in kinds})
        wanted = [named[name] for name in kinds.names]
        batches = list(reader.read(self.path, columns=wanted, options=options))
        return pa.Table.from_batches(batches).rename_columns(kinds.names) if batches else kinds.empty_table()


def located(registry: Registry, endpoint: str, prefix: str, day: str | None) -> tuple[str, str | None]:
    """Return where the data of an endpoint lie below ``prefix``, and their format where the registry knows it.

    A registered endpoint lies at its uri, with the day in it. Of another one the folder bears the name, with one
    folder or file a day or without. Raises NoPartition where it is not there, InvalidValue where a day is wanted.
    """
    known = next((f.feature.endpoint for f in registry.features() if f.feature.endpoint.name == endpoint), None)
    if known is not None and "{date}" in known.uri and day is None:
        raise InvalidValue(f"endpoint '{endpoint}' has a partition a date; which of them holds the keys to load?")
    if known is not None:
        places: list[Any] = [place_of(prefix, known.uri.replace("{date}", day or ""))]
    else:
        root: Any = place_of(prefix, endpoint)  # a file and its folder are of one kind
        dated = [] if day is None else [root / day, *sorted(root.glob(f"{day}.*"))]
        places = [*dated, root, *sorted(place_of(prefix).glob(f"{endpoint}.*"))]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise NoPartition(f"filter endpoint '{endpoint}' has no data at {places[0]}")
    return str(found), None if known is None else known.format


def _format(name: str) -> str:
    found: str = canonical(name, "format")
    return found


def _columns(given: Mapping[str, str] | Sequence[Mapping[str, str]] | None, keys: Sequence[Key]) -> dict[str, str]:
    same = {key.column: key.column for key in keys}
    if given is None:
        return same
    if isinstance(given, dict):
        unknown = [name for name in given if name not in same]
        if unknown:
            raise MissingColumn(f"'{unknown[0]}' is no key of the features; their keys are {', '.join(same)}")
        return {**same, **given}
    return {**same, **dict(_declared(each, keys) for each in given)}


def _declared(given: Any, keys: Sequence[Key]) -> tuple[str, str]:
    told = canonical(given) if isinstance(given, dict) else {}
    column, entity = told.get("column_name", told.get("column")), told.get("primitive_entity")
    if not isinstance(column, str) or not isinstance(entity, str):
        raise InvalidValue(f'a filter key is {{"primitive_entity": …, "identifier": …, "column_name": …}}, not {given}')
    found = [key for key in keys if key.primitive_entity == entity]
    if len(found) != 1:
        there = ", ".join(f"{key.column} ({key.primitive_entity})" for key in keys)
        raise InvalidValue(f"filter key '{column}' is of '{entity}', which {len(found)} keys are of: {there}")
    identifier = told.get("identifier", found[0].identifier)
    if identifier != found[0].identifier:
        raise InvalidType(
            f"filter key '{column}' is written as {identifier} and key '{found[0].column}' as {found[0].identifier}"
        )
    return found[0].column, column
