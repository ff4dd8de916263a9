"""The ids of keys: which column of a source they come from, how they are written there, and how they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from jukebox.core import identifiers
from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.features.spellings import canonical

if TYPE_CHECKING:
    import pyarrow as pa

    from jukebox.features import Endpoint, Key

ENTRY_POINTS = "jukebox.identifiers"
"""Entry points of this group are loaded before ids are converted: their modules register conversions of their own."""

_FIELDS = ("primitive_entity", "identifier", "column_name")


@dataclass(frozen=True)
class KeySource:
    """A key column of a feature table, the ``column`` or path of the source that holds it, and how it is written."""

    key: Key
    column: str
    identifier: str

    @property
    def converted(self) -> bool:
        """Whether the ids are written in another way than the feature table has them."""
        return self.identifier != self.key.identifier

    def ids(self, values: pa.Array, first_row: int) -> pa.Array:
        """Return the ids as the feature table has them; raises InvalidValue with the first rows that hold none."""
        if not self.converted:
            return values
        return identifiers.convert(
            values, self.identifier, self.key.identifier, column=self.column, first_row=first_row
        )


def key_sources(
    endpoint: Endpoint, told: Mapping[str, str] | Sequence[Mapping[str, str]] | None
) -> tuple[KeySource, ...]:
    """Return where each key of the endpoint comes from: its own column, or what a load was ``told`` of it.

    ``told`` is ``{"primitive_entity", "identifier", "column_name"}``, or a list of these where there are several keys.
    It is about the key of the same column, or else about the one of the same primitive entity. Raises InvalidType and
    InvalidValue for anything else, for a primitive entity that no key has or that two have, and where there is no
    conversion from the identifier; NameClash where two are about one key.
    """
    entries = [told] if isinstance(told, Mapping) else told or ()
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise InvalidType(f"keys is {told!r}; it is a mapping with {', '.join(_FIELDS)}, or a list of them")
    found: dict[Key, KeySource] = {}
    for entry in entries:
        source = _told(endpoint, entry)
        if source.key in found:
            raise NameClash(
                f"'{found[source.key].column}' and '{source.column}' are both given for the key '{source.key.column}' "
                f"of endpoint '{endpoint.name}'"
            )
        found[source.key] = source
    return tuple(found.get(key, KeySource(key, key.column, key.identifier)) for key in endpoint.keys)


def _told(endpoint: Endpoint, entry: Any) -> KeySource:
    if not isinstance(entry, Mapping) or not all(isinstance(text, str) for pair in entry.items() for text in pair):
        raise InvalidType(f"keys holds {entry!r}; it holds mappings with {', '.join(_FIELDS)}")
    if sorted(entry) != sorted(_FIELDS):
        raise InvalidValue(f"keys holds an entry with {', '.join(entry) or 'nothing'}; it has {', '.join(_FIELDS)}")
    entity, identifier, column = (canonical(dict(entry))[field] for field in _FIELDS)
    key = _key(endpoint, entity, column)
    require(identifier, key.identifier, f"column '{column}' of endpoint '{endpoint.name}'")
    return KeySource(key, column, identifier)


def _key(endpoint: Endpoint, entity: str, column: str) -> Key:
    there = ", ".join(f"'{key.column}' of {key.primitive_entity}" for key in endpoint.keys) or "none"
    same = [key for key in endpoint.keys if key.column == column]
    fits = [key for key in same or endpoint.keys if key.primitive_entity == entity]
    if len(fits) == 1:
        return fits[0]
    which = "no key" if not fits else f"{len(fits)} keys"
    of = f" '{column}'" if same else ""
    raise InvalidValue(
        f"endpoint '{endpoint.name}' has {which}{of} of the primitive entity '{entity}'; keys are {there}"
    )


def require(source: str, target: str, whose: str) -> None:
    """Raise InvalidValue unless ids in ``source`` can be written as ``target``; other packages may add conversions."""
    _plug_ins()
    identifiers.require(source, target, whose)


@cache
def _plug_ins() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
