"""Reading features by name for entities: the online half of what training sets are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jukebox.engine.catalog import registered
from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.serving.moments import judged, moment
from jukebox.serving.routes import Route, route
from jukebox.serving.vectors import FeatureVector
from jukebox.stores import open_online, open_registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

    from jukebox.core.layouts import Row
    from jukebox.serving.routes import Way
    from jukebox.stores import OnlineStore, RegisteredFeature, Registry


class FeatureReader:
    """Reads features by name, and knows from the registry where they lie.

    ``registry`` is a registry or its URI. ``store``, a store or its URI, is read instead of the stores that the
    registry names. Where a feature lies is asked once: ``refresh`` asks again. Usable from several threads.
    """

    def __init__(self, registry: Registry | str, *, store: OnlineStore | str | None = None) -> None:
        self._registry = open_registry(registry) if isinstance(registry, str) else registry
        self._store = open_online(store) if isinstance(store, str) else store
        self._opened: dict[str, OnlineStore] = {}
        self._routes: dict[str, Route] = {}

    def read(self, entity: Mapping[str, Any], features: Sequence[str], *, at: datetime | None = None) -> FeatureVector:
        """Return the features of one entity, in the order asked; see ``read_many``."""
        return self.read_many([entity], features, at=at)[0]

    def read_many(
        self, entities: Sequence[Mapping[str, Any]], features: Sequence[str], *, at: datetime | None = None
    ) -> list[FeatureVector]:
        """Return a vector for each entity, in order, as of ``at`` or of now; each table is read once.

        A feature's name is canonical or short, and may end in ``@version``; the newest version otherwise. An entity
        maps key columns to values; a sole key may go by its primitive entity or its entity's name; what is not
        needed is passed over, and a null key matches nothing. The store holds the newest row alone: one that is
        later than ``at``, in event or created time, was not known, and is missing.

        Raises UnknownFeature with the nearest names, NotRegistered for a feature that is not loaded online,
        MissingColumn for a key that is not there, InvalidType, InvalidValue and NameClash for a request that makes no
        sense, StorageError and CorruptData.
        """
        now = datetime.now(timezone.utc)
        _check(entities, features, at)
        routes = self._routed(features)
        moments = [moment(at, now, each) for each in routes]
        found = self._rows(routes, entities)
        plan = list(zip(features, routes, moments, strict=True))
        return [
            FeatureVector(tuple(judged(name, each, found[_place(each)][i], then) for name, each, then in plan))
            for i in range(len(entities))
        ]

    def refresh(self) -> None:
        """Forget where features lie: the next read asks the registry again."""
        self._routes = {}

    def close(self) -> None:
        """Let go of the connections to online stores that this reader opened; the next read opens them again."""
        for store in self._opened.values():
            store.close()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the reader."""
        self.close()

    def _routed(self, features: Sequence[str]) -> list[Route]:
        routes = self._routes
        new = [name for name in features if name not in routes]
        for name, feature in zip(new, registered(self._registry, new), strict=True):
            routes[name] = self._route(feature)
        return [routes[name] for name in features]

    def _route(self, feature: RegisteredFeature) -> Route:
        source = self._registry.online_source(feature.versioned)
        return route(feature, source, self._online(source.store).layout(source.table))

    def _rows(
        self, routes: Sequence[Route], entities: Sequence[Mapping[str, Any]]
    ) -> dict[_Place, Sequence[Row | None]]:
        tables: dict[tuple[str, str], dict[Way, None]] = defaultdict(dict)
        for each in routes:
            tables[each.source.store, each.source.table][each.way] = None
        rows: dict[_Place, Sequence[Row | None]] = {}
        asked = {place: [way.key(entity) for way in ways for entity in entities] for place, ways in tables.items()}
        for (store, table), keys in asked.items():
            answers = self._online(store).read(table, keys)
            for count, way in enumerate(tables[store, table]):
                rows[store, table, way] = answers[count * len(entities) : (count + 1) * len(entities)]
        return rows

    def _online(self, uri: str) -> OnlineStore:
        if self._store is not None:
            return self._store
        if uri not in self._opened:
            self._opened[uri] = open_online(uri)
        return self._opened[uri]


_Place = tuple[str, str, "Way"]


def _place(of: Route) -> _Place:
    return of.source.store, of.source.table, of.way


def _check(entities: Sequence[Mapping[str, Any]], features: Sequence[str], at: datetime | None) -> None:
    if isinstance(features, (str, bytes)):
        raise InvalidType(f"features is the text {features!r}; it takes a list of names")
    if len(features) == 0:
        raise InvalidValue("no feature is asked for")
    twice = next((name for place, name in enumerate(features) if name in features[:place]), None)
    if twice is not None:
        raise NameClash(f"feature '{twice}' is asked for twice")
    for entity in entities:
        if not isinstance(entity, Mapping):
            raise InvalidType(f"an entity maps key columns to values, such as {{'user': 7}}; {entity!r} does not")
    if at is not None and not isinstance(at, datetime):
        raise InvalidType(f"'at' is a datetime, not {at!r}")
