"""Where features lie: offline and online sources as MLMD contexts, which hold them as JSON."""

from __future__ import annotations

import json
import time
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from jukebox.errors import NotRegistered
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
from jukebox.stores.nouns import OfflineSource, OnlineSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jukebox.stores.mlmd.connection import Store
    from jukebox.stores.mlmd.ledger import Ledger
    from jukebox.stores.nouns import RegisteredFeature


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
    type_id = context_type(store, OFFLINE_SOURCE)

    def attempt() -> int:
        (context,) = store.call("put_contexts", [_context(store, OFFLINE_SOURCE, type_id, source.uri, value)])
        return int(context)

    context = store.unmet(attempt)
    ties = [pb.Attribution(context_id=context, artifact_id=artifact) for artifact in features]
    store.call("put_attributions_and_associations", ties, [])


def offline_of(store: Store, versioned: str, feature: int) -> tuple[OfflineSource, ...]:
    """Return the offline sources of a feature artifact, the newest registration last."""
    found = [context for context in contexts_of(store, feature) if context.type == OFFLINE_SOURCE]
    found.sort(key=lambda context: int(text_of(context, "registered")))
    every = (_offline(json.loads(text_of(context, "source"))) for context in found)
    return tuple(source for source in every if versioned in source.features)


def all_offline(store: Store) -> tuple[OfflineSource, ...]:
    """Return every offline source that its features find, the newest registration last."""
    found = store.call("get_contexts_by_type", OFFLINE_SOURCE)
    found.sort(key=lambda context: int(text_of(context, "registered")))
    pairs = ((context.id, _offline(json.loads(text_of(context, "source")))) for context in found)
    return tuple(source for context, source in pairs if _is_tied(store, context, source))


def _is_tied(store: Store, context: int, source: OfflineSource) -> bool:
    # A writer that died before it tied them has left no source, and the next one makes up for it.
    tied = {artifact.name for artifact in store.call("get_artifacts_by_context", context)}
    return tied.issuperset(node_name(versioned) for versioned in source.features)


def set_online(store: Store, ledger: Ledger, source: OnlineSource, features: Iterable[RegisteredFeature]) -> None:
    """Make ``source`` the one that serves ``features``, all of them at once, with the ledger's next entry."""
    value = {
        "store": source.store,
        "table": source.table,
        "features": source.features,
        "rows": source.rows,
        "fingerprint": source.fingerprint,
        "loaded_at": source.loaded_at.isoformat(),
    }
    _serve(store, ledger, value, features)


def unset_online(store: Store, ledger: Ledger, features: Iterable[RegisteredFeature]) -> None:
    """Make features served nowhere, all of them at once, with the ledger's next entry.

    MLMD takes no context away, so theirs hold nothing.
    """
    _serve(store, ledger, {}, features)


def _serve(store: Store, ledger: Ledger, value: dict[str, Any], features: Iterable[RegisteredFeature]) -> None:
    type_id, versioned = context_type(store, ONLINE_SOURCE), [feature.versioned for feature in features]

    def attempt() -> None:
        entry = ledger.entry(ledger.latest() + 1)
        contexts = [_context(store, ONLINE_SOURCE, type_id, name, value) for name in versioned]
        store.call("put_lineage_subgraph", [], [entry], contexts, [])

    store.unmet(attempt)


def all_online(store: Store) -> dict[str, OnlineSource]:
    """Return every online source by the MLMD name of the version that it serves."""
    found = ((context.name, _online(context)) for context in store.call("get_contexts_by_type", ONLINE_SOURCE))
    return {name: source for name, source in found if source is not None}


def online_of(store: Store, versioned: str) -> OnlineSource:
    """Return where a versioned feature is served; raises NotRegistered."""
    context = store.call("get_context_by_type_and_name", ONLINE_SOURCE, node_name(versioned))
    if context is None:
        raise NotRegistered(f"'{versioned}' has not been loaded online")
    source = _online(context)
    if source is None:
        raise NotRegistered(f"'{versioned}' has not been loaded online since it was unloaded")
    return source


def _online(context: pb.Context) -> OnlineSource | None:
    value = json.loads(text_of(context, "source"))
    if not value:
        return None
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


def _context(store: Store, kind: str, type_id: int, name: str, value: dict[str, Any]) -> pb.Context:
    there = store.call("get_context_by_type_and_name", kind, node_name(name))
    context = pb.Context(type_id=type_id, name=node_name(name))
    if there is not None:
        context.id = there.id
    set_texts(context, {"source": to_json(value), "registered": str(time.time_ns())})
    return context
