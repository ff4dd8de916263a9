"""From a feature's name to where its values lie online, and from an entity to the key of their row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jukebox.errors import MissingColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jukebox.core.layouts import Layout
    from jukebox.stores import OnlineSource, RegisteredFeature


@dataclass(frozen=True)
class Way:
    """How an entity names a row: by the key columns, or a sole key by its primitive entity or its entity's name."""

    feature: str
    keys: tuple[str, ...]
    other_names: tuple[str, ...]

    def key(self, entity: Mapping[str, Any]) -> dict[str, Any]:
        """Return the key columns of ``entity``; raises MissingColumn with the names that would do."""
        if len(self.keys) == 1:
            for name in (*self.keys, *self.other_names):
                if name in entity:
                    return {self.keys[0]: entity[name]}
        missing = [name for name in self.keys if name not in entity]
        if missing:
            names = " or ".join(map(repr, [*missing, *self.other_names] if len(self.keys) == 1 else missing[:1]))
            there = ", ".join(map(repr, entity)) or "nothing"
            raise MissingColumn(f"feature '{self.feature}' is read by {names}, and the entity has {there}")
        return {name: entity[name] for name in self.keys}


@dataclass(frozen=True)
class Route:
    """Where one registered feature is read: a column of a table of an online store."""

    registered: RegisteredFeature
    source: OnlineSource
    way: Way
    zoned: bool

    @property
    def column(self) -> str:
        """The column that holds the feature."""
        return self.registered.name.name


def route(registered: RegisteredFeature, source: OnlineSource, layout: Layout) -> Route:
    """Return the route to a feature; raises MissingColumn where the table has no column of its name."""
    if registered.name.name not in layout.value_names:
        raise MissingColumn(
            f"online table '{source.table}' has no column '{registered.name.name}' of '{registered.versioned}'; "
            f"it has {', '.join(layout.value_names)}"
        )
    keys = registered.feature.endpoint.keys
    others = dict.fromkeys([*(key.primitive_entity for key in keys), registered.name.entity])
    way = Way(registered.name.short, tuple(key.column for key in keys), tuple(others) if len(keys) == 1 else ())
    return Route(registered, source, way, layout.zoned)
