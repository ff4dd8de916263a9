"""From a feature's name to where its values lie online, and from an entity to the key of their row."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jukebox.core import identifiers
from jukebox.core.cells import plain_type
from jukebox.engine.label_keys import Converted, conversions
from jukebox.engine.requests import asked
from jukebox.errors import MissingColumn, SourceChanged
from jukebox.features.data_types import arrow_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    import pyarrow as pa

    from jukebox.core.layouts import Layout
    from jukebox.engine.label_keys import Written
    from jukebox.engine.requests import Entry
    from jukebox.stores import OnlineSource, RegisteredFeature


@dataclass(frozen=True)
class Way:
    """How an entity names a row: what it calls each key column; a sole key also by its primitive entity or entity.

    ``converted`` are the names whose ids the table has written in another way.
    """

    feature: str = field(compare=False)
    keys: tuple[tuple[str, str], ...]
    other_names: tuple[str, ...]
    converted: tuple[Converted, ...] = ()

    def rows(self, entities: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the key columns of each entity, ids as the table has them, by the rule of the join.

        Raises what ``key`` does, InvalidType and InvalidValue for what is no id, with the place of its entity.
        """
        found = [self.key(entity) for entity in entities]
        for each in self.converted:
            column = dict(self.keys)[each.label]
            ids = [key[column] for key in found]
            written = identifiers.convert_values(ids, each.source, each.target, column=each.label)
            for key, value in zip(found, written, strict=True):
                key[column] = value
        return found

    def key(self, entity: Mapping[str, Any]) -> dict[str, Any]:
        """Return the key columns of ``entity``; raises MissingColumn with the names that would do."""
        names = self.used(entity)
        if len(names) == 1 and names[0] in entity:
            return {self.keys[0][1]: entity[names[0]]}
        missing = [name for name in names if name not in entity]
        if missing:
            wanted = " or ".join(map(repr, [missing[0], *self.other_names]))
            there = ", ".join(map(repr, entity)) or "nothing"
            raise MissingColumn(f"feature '{self.feature}' is read by {wanted}, and the entity has {there}")
        return {column: entity[name] for name, (_, column) in zip(names, self.keys, strict=True)}

    def used(self, entity: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names that ``entity`` gives the key by: of several that would do the first, be it null."""
        if not self.other_names or self._own[0] in entity:
            return self._own
        return next(((name,) for name in self.other_names if name in entity), self._own)

    @cached_property
    def _own(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.keys)

    @property
    def identifiers(self) -> dict[str, str]:
        """How the ids are written that are converted, by name."""
        return {each.label: each.source for each in self.converted}


@dataclass(frozen=True)
class Rules:
    """The rules of time that a feature's rows are judged by; features of the same rules are judged once."""

    timed: bool
    created: bool
    zoned: bool
    max_age: timedelta | None


@dataclass(frozen=True)
class Route:
    """Where one registered feature is read: a column of a table of an online store, and what it is called there."""

    name: str
    registered: RegisteredFeature
    source: OnlineSource
    way: Way
    rules: Rules
    type: pa.DataType

    @property
    def column(self) -> str:
        """The column that holds the feature."""
        return self.registered.name.name


def route(
    entry: Entry,
    registered: RegisteredFeature,
    source: OnlineSource,
    layout: Layout,
    written: Mapping[str, Written],
) -> Route:
    """Return the route to a feature; ``written`` is what is said of the ids of entities, by name.

    Raises SourceChanged where the table has no column of its name, or keys or a type that the feature is not
    registered with, MissingColumn where keys are mapped to what is no key, and InvalidValue for a max age that a
    request may not give and for ids that cannot be converted.
    """
    if registered.name.name not in layout.value_names:
        raise SourceChanged(
            f"online table '{source.table}' has no column '{registered.name.name}' of '{registered.versioned}' any "
            f"more, it has {', '.join(layout.value_names)}; load the feature again",
            [source.table],
        )
    keys = [key.column for key in registered.feature.endpoint.keys]
    if sorted(keys) != sorted(layout.key_names):
        raise SourceChanged(
            f"online table '{source.table}' has the keys {', '.join(layout.key_names) or 'none'} and not those of "
            f"'{registered.versioned}', {', '.join(keys) or 'none'}; load the feature again",
            [source.table],
        )
    held, declared = layout.schema.field(registered.name.name).type, arrow_type(registered.feature.data_type)
    if declared is not None and plain_type(declared) != held:
        raise SourceChanged(
            f"online table '{source.table}' holds {held} for '{registered.versioned}', which is registered as "
            f"{registered.feature.data_type}; load the feature again",
            [source.table],
        )
    endpoint, [wanted] = registered.feature.endpoint, asked([entry], [registered])
    rules = Rules(not endpoint.static, endpoint.table_created_time is not None, layout.zoned, wanted.max_age)
    return Route(entry.column, registered, source, _way(entry, registered, written), rules, held)


def _way(entry: Entry, registered: RegisteredFeature, written: Mapping[str, Written]) -> Way:
    keys = registered.feature.endpoint.keys
    columns = [key.column for key in keys]
    unknown = [key for key in entry.keys.values() if key not in columns]
    if unknown:
        there = ", ".join(columns) or "none"
        raise MissingColumn(f"'{entry.name}' is asked for by '{unknown[0]}', which is no key of it; keys are {there}")
    given = {column: name for name, column in entry.keys.items()}
    named = tuple((given.get(column, column), column) for column in columns)
    # A role has a name of its own: by its primitive entity the origin would pass for the destination.
    free = len(keys) == 1 and columns[0] not in given
    others = dict.fromkeys([*(key.primitive_entity for key in keys), registered.name.entity]) if free else ()
    # A name that is said to be written in another way is another feature's.
    mine = [name for name in others if name not in written or written[name] == written.get(named[0][0])]
    also = tuple(name for name in mine if name not in columns)
    return Way(registered.name.short, named, also, conversions(dict(named), keys, written))
