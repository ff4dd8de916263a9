"""Where features lie: offline and online sources as MLMD contexts, which hold them as JSON."""

from __future__ import annotations

import json
import time
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from jukebox.errors import NotRegistered
from jukebox.stores import OfflineSource, OnlineSource
from jukebox.stores.mlmd.kinds import (
    OFFLINE_SOURCE,
    ONLINE_SOURCE,
    context_type,
    contexts_of,
    node_name,
    set_texts,
    text_of,
    to_json,
)
from jukebox.stores.mlmd.library import pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jukebox.stores import RegisteredFeature
    from jukebox.stores.mlmd.connection import Store


def add_offline(store: Store, source: OfflineSource, features: Iterable[int]) -> None:
    """Make ``source`` the newest of the feature artifacts: they find it through their attribution, its last write."""
    value = {
        "uri": source.uri,
        "endpoint": source.endpoint,
        "features": source.features,
        "dates": [day.isoformat() for day in source.dates],
        "fingerprint": source.fingerprint,
        "delivered_at": source.delivered_at.isoformat(),
    }
    (context,) = _put(store, OFFLINE_SOURCE, {source.uri: value})
    ties = [pb.Attribution(context_id=context, artifact_id=artifact) for artifact in features]
    store.call("put_attributions_and_associations", ties, [])


def offline_of(store: Store, versioned: str, feature: int) -> tuple[OfflineSource, ...]:
    """Return the offline sources of a feature artifact, the newest registration last."""
    found = [context for context in contexts_of(store, feature) if context.type == OFFLINE_SOURCE]
    found.sort(key=lambda context: int(text_of(context, "registered")))
    every = (_offline(json.loads(text_of(context, "source"))) for context in found)
    return tuple(source for source in every if versioned in source.features)


def set_online(store: Store, source: OnlineSource, features: Iterable[RegisteredFeature]) -> None:
    """Make ``source`` the one that serves ``features``, all of them at once."""
    value = {
        "store": source.store,
        "table": source.table,
        "features": source.features,
        "rows": source.rows,
        "fingerprint": source.fingerprint,
        "loaded_at": source.loaded_at.isoformat(),
    }
    _put(store, ONLINE_SOURCE, {feature.versioned: value for feature in features})


def unset_online(store: Store, features: Iterable[RegisteredFeature]) -> None:
    """Make features served nowhere: MLMD takes no context away, so theirs hold nothing."""
    _put(store, ONLINE_SOURCE, {feature.versioned: {} for feature in features})


def online_of(store: Store, versioned: str) -> OnlineSource:
    """Return where a versioned feature is served; raises NotRegistered."""
    context = store.call("get_context_by_type_and_name", ONLINE_SOURCE, node_name(versioned))
    value = {} if context is None else json.loads(text_of(context, "source"))
    if not value:
        raise NotRegistered(
            f"'{versioned}' has not been loaded online{'' if context is None else ' since it was unloaded'}"
        )
    loaded_at = datetime.fromisoformat(value["loaded_at"])
    return OnlineSource(**{**value, "features": tuple(value["features"]), "loaded_at": loaded_at})


def _offline(value: dict[str, Any]) -> OfflineSource:
    return OfflineSource(
        uri=value["uri"],
        endpoint=value["endpoint"],
        features=tuple(value["features"]),
        dates=tuple(date.fromisoformat(day) for day in value["dates"]),
        fingerprint=value["fingerprint"],
        delivered_at=datetime.fromisoformat(value["delivered_at"]),
    )


def _put(store: Store, kind: str, values: dict[str, dict[str, Any]]) -> Sequence[int]:
    type_id = context_type(store, kind)

    def attempt() -> Sequence[int]:
        contexts = [_context(store, kind, type_id, name, value) for name, value in values.items()]
        return store.call("put_contexts", contexts)  # type: ignore[no-any-return]

    return store.unmet(attempt)


def _context(store: Store, kind: str, type_id: int, name: str, value: dict[str, Any]) -> pb.Context:
    there = store.call("get_context_by_type_and_name", kind, node_name(name))
    context = pb.Context(type_id=type_id, name=node_name(name))
    if there is not None:
        context.id = there.id
    set_texts(context, {"source": to_json(value), "registered": str(time.time_ns())})
    return context
