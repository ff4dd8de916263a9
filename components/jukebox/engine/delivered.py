"""What a feature table's manifests say of the endpoint that fills it, and how the registry comes to know the table."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

from jukebox.engine.feature_tables import describe_table, is_described
from jukebox.stores import OfflineSource
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from jukebox.engine.sources import Delivery
    from jukebox.stores import Registry


def about_delivery(delivery: Delivery) -> Manifest:
    """Return what the manifests of partitions say of a delivery: columns, keys, times and features."""
    endpoint = delivery.endpoint
    names = [*endpoint.entity_keys, delivery.event_time]
    names += [delivery.created_time] if delivery.created_time is not None else []
    columns = {feature.versioned: feature.name.name for feature in delivery.features}
    converted = {k.key.column: [k.column, k.identifier, k.key.identifier] for k in delivery.key_sources if k.converted}
    return Manifest(
        kind="partition",
        schema=dict.fromkeys([*names, *columns.values()], "null"),
        keys=endpoint.entity_keys,
        event_time=delivery.event_time,
        created_time=delivery.created_time,
        details={
            "endpoint": endpoint.name,
            "static": endpoint.static,
            "features": columns,
            "converted": converted,
            "delivered_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        },
    )


def make_known(store: Registry, out: str, about: Manifest) -> Manifest:
    """Make the feature table at ``out``, as its partitions are now, an offline source; return its manifest."""
    # Another load of other dates may end at the same time: whoever writes last must have seen both.
    while True:
        table = describe_table(out, about)
        store.add_offline_source(_offline_source(table))
        if is_described(table):
            return table


def _offline_source(table: Manifest) -> OfflineSource:
    return OfflineSource(
        uri=table.uri,
        endpoint=table.details["endpoint"],
        features=tuple(table.details["features"]),
        dates=tuple(date.fromisoformat(text) for text in table.details["dates"]),
        fingerprint=table.fingerprint,
        delivered_at=datetime.fromisoformat(table.details["delivered_at"]),
    )
