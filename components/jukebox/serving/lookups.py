"""From a request to a lookup: what the registry says of its features, and what the stores say of their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from jukebox.core import rowkeys
from jukebox.engine.catalog import registered
from jukebox.engine.label_keys import require_one_meaning, together
from jukebox.engine.requests import Entry, normalized
from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.serving.contextual import Given, given
from jukebox.serving.routes import Route, Rules, Way, route

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from jukebox.core.layouts import Layout
    from jukebox.engine.label_keys import Written
    from jukebox.features import Key
    from jukebox.stores import OnlineStore, RegisteredFeature, Registry


@dataclass(frozen=True)
class TableRead:
    """A table that a lookup reads, and the ways by which an entity names its rows."""

    store: str
    table: str
    layout: Layout
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Lookup:
    """A request that the registry has been asked about: its features in order, and the tables that they are read from.

    Rows come in groups, one for each way of each table; ``groups`` names for each feature its group, None where it is
    contextual, and its place among ``rules``, the distinct pairs of a group and the rules that its rows are judged by.
    """

    entries: tuple[Entry, ...]
    features: tuple[Route | Given, ...]
    tables: tuple[TableRead, ...]
    groups: tuple[tuple[int, int] | None, ...]
    rules: tuple[tuple[int, Rules], ...]

    @property
    def keys(self) -> dict[str, str]:
        """What entities are named by, under every name that would do, and of what kind it is, as row keys call it."""
        kinds: dict[str, str] = {}
        for read in self.tables:
            for way in read.ways:
                for name, column in way.keys:
                    kind = rowkeys.kind(read.layout.schema.field(column).type)
                    kinds |= dict.fromkeys((name, *way.other_names), kind)
        return kinds

    @cached_property
    def context(self) -> tuple[Given, ...]:
        """The contextual features."""
        return tuple(each for each in self.features if isinstance(each, Given))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The features as answers are made of them."""
        names = [read.layout.value_names for read in self.tables for _ in read.ways]
        return tuple(_slot(*each, names) for each in zip(self.features, self.groups, strict=True))

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many values a row of each group has."""
        return tuple(len(read.layout.value_names) for read in self.tables for _ in read.ways)


class Slot(NamedTuple):
    """Where a feature's values come from: a place in the rows of a group and a verdict on them, or what was passed."""

    name: str
    feature: str
    type: pa.DataType | None
    place: int
    group: int
    verdict: int | None


def _slot(feature: Route | Given, of: tuple[int, int] | None, names: Sequence[tuple[str, ...]]) -> Slot:
    group, verdict = (0, None) if of is None else of
    place = names[group].index(feature.column) if isinstance(feature, Route) else 0
    return Slot(feature.name, feature.registered.versioned, feature.type, place, group, verdict)


def entries_of(features: Mapping[str, Any] | Sequence[str]) -> tuple[Entry, ...]:
    """Return what is asked, each feature called as it was asked for, or as the mapping says.

    Raises InvalidType, InvalidValue and NameClash for a request that makes no sense.
    """
    if isinstance(features, str | bytes) or not isinstance(features, Mapping | Sequence):
        raise InvalidType(f"features is {features!r}; it takes a list of names, or a mapping from them")
    if len(features) == 0:
        raise InvalidValue("no feature is asked for")
    if isinstance(features, Mapping):
        return tuple(normalized(features))
    wrong = [name for name in features if not isinstance(name, str)]
    if wrong:
        raise InvalidType(f"the request asks for {wrong[0]!r}; it asks for features by name")
    twice = next((name for place, name in enumerate(features) if name in features[:place]), None)
    if twice is not None:
        raise NameClash(f"feature '{twice}' is asked for twice")
    return tuple(Entry(name, name) for name in features)


def looked_up(entries: tuple[Entry, ...], registry: Registry, online: Callable[[str], OnlineStore]) -> Lookup:
    """Return where the features of a request lie; raises what ``FeatureReader.read_many`` says."""
    late = next((entry for entry in entries if entry.last_non_null), None)
    if late is not None:
        raise InvalidValue(
            f"'{late.name}' is asked for as last_non_null, and an online table holds the newest row of a key alone"
        )
    found = registered(registry, [entry.name for entry in entries])
    written = together(entry.written for entry in entries)
    features = tuple(
        given(entry.name, entry.column, feature)
        if feature.feature.contextual
        else _routed(entry, feature, registry, online, written)
        for entry, feature in zip(entries, found, strict=True)
    )
    routes = [each for each in features if isinstance(each, Route)]
    _require_one_meaning(routes, written)
    places = list(dict.fromkeys((each.source.store, each.source.table) for each in routes))
    tables = tuple(_table_read(place, routes, online) for place in places)
    groups = {(read.store, read.table, way): i for i, (read, way) in enumerate(_ways(tables))}
    rules = dict.fromkeys((groups[_group(each)], each.rules) for each in routes)
    at = {pair: place for place, pair in enumerate(rules)}
    named = tuple(
        (groups[_group(each)], at[groups[_group(each)], each.rules]) if isinstance(each, Route) else None
        for each in features
    )
    return Lookup(entries, features, tables, named, tuple(rules))


def _routed(
    entry: Entry,
    feature: RegisteredFeature,
    registry: Registry,
    online: Callable[[str], OnlineStore],
    written: Mapping[str, Written],
) -> Route:
    source = registry.online_source(feature.versioned)
    return route(entry, feature, source, online(source.store).layout(source.table), written)


def _require_one_meaning(routes: Sequence[Route], written: Mapping[str, Written]) -> None:
    """Raise InvalidValue where one name would hold the ids of one thing in two ways, as the join does."""
    met: dict[tuple[str, str], set[Key]] = {}
    for each in routes:
        keys = {key.column: key for key in each.registered.feature.endpoint.keys}
        others = [(name, each.way.keys[0][1]) for name in each.way.other_names]
        for name, column in (*each.way.keys, *others):
            met.setdefault((name, keys[column].primitive_entity), set()).add(keys[column])
    for (name, _), meant in met.items():
        require_one_meaning({name: meant}, written)


def _table_read(place: tuple[str, str], routes: Sequence[Route], online: Callable[[str], OnlineStore]) -> TableRead:
    ways = dict.fromkeys(each.way for each in routes if (each.source.store, each.source.table) == place)
    store, table = place
    return TableRead(store, table, online(store).layout(table), tuple(ways))


def _ways(tables: Sequence[TableRead]) -> list[tuple[TableRead, Way]]:
    return [(read, way) for read in tables for way in read.ways]


def _group(of: Route) -> tuple[str, str, Way]:
    return of.source.store, of.source.table, of.way
