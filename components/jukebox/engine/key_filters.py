"""A data set whose keys are the only ones that an online load takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.engine.keys import KeySource, key_sources
from jukebox.errors import InvalidValue, MissingColumn, NoPartition
from jukebox.features.spellings import canonical
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.features import Endpoint
    from jukebox.stores import Registry


@dataclass(frozen=True)
class KeyFilter:
    """A file or folder, its format where its ending does not tell, and the columns that hold the keys.

    ``columns`` is a mapping from a table's key column to the data set's, or what an offline load is told of keys: a
    list of ``{"primitive_entity", "identifier", "column_name"}``. Ids that are written in another way than the table's
    are converted. By default the names are the same.
    """

    path: str
    format: str | None = None
    columns: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None

    def read(self, endpoint: Endpoint, kinds: pa.Schema) -> pa.Table:
        """Return the keys of an endpoint under the names and in the types that ``kinds``, its table's own, has.

        Raises MissingColumn, InvalidType and InvalidValue for keys that do not fit, and for ids that cannot be
        converted, NoPartition, CorruptData and StorageError.
        """
        sources = {each.key.column: each for each in _sources(endpoint, self.columns)}
        reader = formats.format_of(self.path) if self.format is None else formats.format_named(_format(self.format))
        there = reader.schema(self.path).names
        for name in kinds.names:
            column = sources[name].column
            if column not in there:
                raise MissingColumn(f"key '{column}' is not in the filter {self.path}; it has {', '.join(there)}")
        # CSV and records do not say what their keys are: a text of digits would be a number, and any text bytes.
        types = {
            sources[field.name].column: pa.string() if sources[field.name].converted else field.type for field in kinds
        }
        rows, found = 0, []
        for batch in reader.read(self.path, columns=[*types], options=formats.Options(types=types)):
            columns = [(sources[name], batch.column(sources[name].column)) for name in kinds.names]
            ids = [source.ids(column, rows) for source, column in columns]
            found.append(pa.RecordBatch.from_arrays(ids, kinds.names))
            rows += batch.num_rows
        return pa.Table.from_batches(found) if found else kinds.empty_table()


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


def _sources(endpoint: Endpoint, given: Mapping[str, str] | Sequence[Mapping[str, str]] | None) -> Sequence[KeySource]:
    if not isinstance(given, dict):
        return key_sources(endpoint, given)
    names = [key.column for key in endpoint.keys]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise MissingColumn(f"'{unknown[0]}' is no key of the features; their keys are {', '.join(names)}")
    return [KeySource(key, given.get(key.column, key.column), key.identifier) for key in endpoint.keys]
