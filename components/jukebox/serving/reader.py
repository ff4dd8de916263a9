"""Reading features by name for entities: the online half of what training sets are made of."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from jukebox.errors import InvalidType, InvalidValue, NotRegistered, SourceChanged
from jukebox.serving.answers import Request, answered, checked, served
from jukebox.serving.fetching import Stores
from jukebox.serving.lookups import entries_of, looked_up
from jukebox.serving.models import trained
from jukebox.serving.rounds import left
from jukebox.serving.threads import Threads
from jukebox.stores import DEFAULT_REGISTRY, open_lineage, open_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from jukebox.core.lineage_nodes import LineageSource
    from jukebox.engine.requests import Entry
    from jukebox.serving.lookups import Lookup
    from jukebox.serving.models import Trained
    from jukebox.serving.served import Served
    from jukebox.serving.vectors import FeatureVector, FeatureVectors
    from jukebox.stores import OnlineStore, Registry

    Features = Mapping[str, Any] | Sequence[str]
    Entity = Mapping[str, Any]

_NOTHING: Mapping[str, Any] = {}
_WAITING = 32  # asyncio's reads at once
_MOST_LOOKUPS = 1_000  # kept, so that ever other requests do not fill the memory


class FeatureReader:
    """Reads features by name, and knows from the registry where they lie.

    ``registry`` is a registry or its URI. ``store``, a store or its URI, is read instead of the stores that the
    registry names. ``timeout`` is how many seconds a read has where it is not given others; a store that has not
    answered after ``hedge_after`` seconds is asked a second time, and the first answer counts. ``told`` is called
    with every round that was served, in the thread of the reader: it must neither wait nor raise.
    Where a feature lies is asked once, in the seconds of the first read unless ``lookup`` was called before it, and
    again where its table has changed; ``refresh`` asks again. Connections are kept. Usable from several threads, and
    after a fork in both processes.
    """

    def __init__(
        self,
        registry: Registry | str = DEFAULT_REGISTRY,
        *,
        store: OnlineStore | str | None = None,
        timeout: float | None = None,
        hedge_after: float | None = None,
        told: Callable[[Served], None] | None = None,
    ) -> None:
        self._registry = open_registry(registry) if isinstance(registry, str) else registry
        self._stores = Stores(store, _seconds("hedge_after", hedge_after))
        self._timeout, self._told = _seconds("timeout", timeout), told
        self._lookups: dict[Any, Lookup] = {}
        self._waiting = Threads(_WAITING, "jukebox-asyncio")
        self._asked: Callable[[], Trained] | None = None
        self._trained: Trained | None = None
        self.model: str | None = None

    @classmethod
    def for_model(
        cls,
        model: str,
        registry: Registry | str = DEFAULT_REGISTRY,
        *,
        lineage: LineageSource | None = None,
        **options: Any,
    ) -> Self:
        """Return a reader of the features that went into the model at a URI, under the columns it was trained on.

        Versions, columns, roles and limits of age are those of its training set; a read need not name them. They are
        asked of the lineage now, not at reads; ``refresh`` asks again. ``lineage`` is by default the registry's, which
        then is a URI. ``options`` are the reader's. Raises NotRegistered for a model that the lineage does not know,
        or one that no feature went into.
        """
        source = lineage
        if source is None:
            if not isinstance(registry, str):
                raise InvalidType("the registry is no URI; give the lineage of its models too")
            source = open_lineage(registry)
        reader = cls(registry, **options)
        reader.model, reader._asked = model, partial(trained, source, model)
        reader._find(None)
        return reader

    @property
    def trained(self) -> Trained | None:
        """What the model was trained on, of a reader for a model: its features and columns."""
        if self._trained is None and self._asked is not None:
            self._trained = self._asked()
        return self._trained

    def lookup(self, features: Features | None = None) -> Lookup:
        """Return where features lie and what they are read by, as it is known; raises what ``read_many`` does.

        It waits for the registry and the stores as long as they take, so that the first read need not.
        """
        return self._find(features)

    def check(self) -> None:
        """Ask each online store that was opened whether it is there; raises its errors, and TimedOut as a read does."""
        self._stores.within(self._timeout, self._stores.check)

    @property
    def hedged(self) -> int:
        """How many questions were asked a second time."""
        return self._stores.hedged

    def read(self, entity: Entity, features: Features | None = None, **options: Any) -> FeatureVector:
        """Return the features of one entity, in the order asked; ``options`` are those of ``read_many``."""
        return self.read_many([entity], features, **options)[0]

    def read_many(
        self,
        entities: Sequence[Entity],
        features: Features | None = None,
        *,
        at: datetime | None = None,
        context: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> FeatureVectors:
        """Return a vector for each entity, in order, as of ``at`` or of now; all tables are read in one round.

        ``features`` are names, or a mapping from name to what its value is called, or to ``{"column", "max_age",
        "keys"}``, as a training set takes it. A name is canonical or short, and may end in ``@version``; the newest
        version otherwise. An entity maps key columns to values; a sole key may go by its primitive entity or its
        entity's name; what is not needed is passed over, and a null key matches nothing. Contextual features are
        taken from the entity, or from the ``context`` of all. The store holds the newest row alone: one that is
        later than ``at``, in event or created time, was not known, and is missing. ``request_id`` is by default new.

        Raises UnknownFeature with the nearest names, NotRegistered for a feature that is not loaded online,
        SourceChanged for one whose table does not hold it any more, MissingColumn for a key or a contextual feature
        that is not there, InvalidType, InvalidValue and NameClash for a request that makes no sense, TimedOut after
        ``timeout`` seconds, StorageError and CorruptData.
        """
        now = datetime.now(timezone.utc)
        _check(entities, at, context)
        patience = self._patience(timeout)
        request = Request(
            entities, _NOTHING if context is None else context, at, now, request_id or os.urandom(16).hex()
        )
        lookup, vectors = self._vectors(features, request, patience)
        if self._told is not None:
            self._told(served(lookup, request, self.model, vectors))
        return vectors

    async def aread(self, entity: Entity, features: Features | None = None, **options: Any) -> FeatureVector:
        """Return what ``read`` returns, without holding up the event loop."""
        return (await self.aread_many([entity], features, **options))[0]

    async def aread_many(
        self, entities: Sequence[Entity], features: Features | None = None, **options: Any
    ) -> FeatureVectors:
        """Return what ``read_many`` returns, without holding up the event loop: the store is asked in a thread.

        The seconds that a read has are counted from the call, and to wait for a thread is part of them.
        """
        seconds = self._patience(options.get("timeout"))
        return await self._waiting.awaited(partial(self.read_many, entities, features, **options), seconds)

    def refresh(self) -> None:
        """Forget where features lie, and what a model was trained on: the next read asks again."""
        self._lookups, self._trained = {}, None

    def close(self) -> None:
        """Let go of threads and of connections to online stores; the next read opens them again."""
        self._stores.close()
        self._waiting.close()

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the reader."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the reader."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the reader."""
        self.close()

    def _vectors(
        self, features: Features | None, request: Request, timeout: float | None
    ) -> tuple[Lookup, FeatureVectors]:
        end = None if timeout is None else time.monotonic() + timeout
        lookup = self._find(features, end)
        try:
            return lookup, self._answered(lookup, request, left(end))
        except (NotRegistered, SourceChanged):
            # What the registry said has changed: a table was loaded anew, under another name or with other columns.
            self._lookups.pop(_key(features), None)
            now = self._find(features, end)
            if now == lookup:
                raise
        return now, self._answered(now, request, left(end))

    def _answered(self, lookup: Lookup, request: Request, timeout: float | None) -> FeatureVectors:
        given = checked(lookup, request)
        return answered(lookup, request, given, self._stores.rows(lookup, request.entities, timeout))

    def _find(self, features: Features | None, end: float | None = None) -> Lookup:
        """Return the lookup of a request; what its lists and mappings hold is compared, not where they stand."""
        key = _key(features)
        found = self._lookups.get(key)
        # What comes too late for this read is there for the next.
        return self._stores.within(left(end), partial(self._look_up, key, features)) if found is None else found

    def _look_up(self, key: Any, features: Features | None) -> Lookup:
        lookups = self._lookups
        found = looked_up(self._entries(features), self._registry, self._stores.open)
        if len(lookups) >= _MOST_LOOKUPS:
            lookups.clear()
        lookups[key] = found
        return found

    def _patience(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else _seconds("timeout", timeout)

    def _entries(self, features: Features | None) -> tuple[Entry, ...]:
        if features is not None:
            return entries_of(features)
        if self.trained is None:
            raise InvalidValue("no feature is asked for; a reader that is for no model takes their names")
        return self.trained.entries


def _key(features: Features | None) -> Any:
    if features is None:
        return None
    # The text "ab" is not the list of "a" and "b".
    if isinstance(features, str | bytes | Mapping):
        return entries_of(features)
    try:
        key = tuple(features)
        hash(key)
    except TypeError as exc:
        raise InvalidType(f"features is {features!r}; it takes a list of names, or a mapping from them") from exc
    return key


def _seconds(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(f"{name} is {value!r}; it is a number of seconds")
    if not value > 0:
        raise InvalidValue(f"{name} is {value}; it is more than 0 seconds")
    return float(value)


def _check(entities: Sequence[Entity], at: datetime | None, context: Entity | None) -> None:
    if isinstance(entities, str | bytes | Mapping) or not isinstance(entities, Sequence):
        raise InvalidType(f"entities is {entities!r}; it takes a list of mappings from key columns to values")
    for entity in entities:
        if not isinstance(entity, Mapping):
            raise InvalidType(f"an entity maps key columns to values, such as {{'user': 7}}; {entity!r} does not")
    if context is not None and not isinstance(context, Mapping):
        raise InvalidType(f"the context maps names to values; {context!r} does not")
    if at is not None and not isinstance(at, datetime):
        raise InvalidType(f"'at' is a datetime, not {at!r}")
