"""Load the newest row of every key into an online store, from which features are served by name."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from jukebox.engine.catalog import features_of_table, grouped, registered
from jukebox.engine.online_tables import OnlineLoad, load_table
from jukebox.errors import InvalidValue
from jukebox.stores import OnlineSource, Recorded, open_online, open_registry
from jukebox.tables import Manifest, combined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.stores import Registry


def run(
    *,
    store: str,
    registry: str,
    feature_table: str | None = None,
    feature_set: str | None = None,
    features: Sequence[str] | None = None,
    table: str | None = None,
    filter_keys: str | None = None,
    out: str | None = None,
    execution: str | None = None,
) -> Manifest:
    """Make the online store at ``store`` serve features: the newest row of every key, never an older over a newer.

    ``features`` names them, by default all that ``feature_table`` holds; without a table the registry says where
    they lie. ``table`` names the table in the store, by default the endpoint with a digest of the feature versions.
    ``filter_keys`` is a file or folder whose keys are the only ones to load. Returns the manifest, which is written
    to ``out`` where that is given; the table becomes the features' online source, unless there were no rows at all.

    Raises InvalidValue when neither features nor a table is named, UnknownFeature, NoPartition, CorruptData,
    MissingColumn for a filter without the key columns, and StorageError.
    """
    known = open_registry(registry, writes="online_load")
    names = _names(features, feature_table)
    groups = grouped(known, registered(known, names, feature_set), None if feature_table is None else [feature_table])
    if table is not None and len(groups) > 1:
        raise InvalidValue(f"the features lie in {len(groups)} feature tables; the online table '{table}' can hold one")
    with closing(open_online(store)) as online:
        loads = [load_table(online, parts, group, table=table, filter_keys=filter_keys) for parts, group in groups]
    now = datetime.now(timezone.utc)
    for load in loads:
        _make_known(known, store, load, now, out=out, execution=execution)
    manifest = _manifest(store, loads, now)
    return manifest if out is None else manifest.write(out)


def _names(features: Sequence[str] | None, feature_table: str | None) -> Sequence[str]:
    if features is None and feature_table is None:
        raise InvalidValue("an online load names features or a feature table, and here is neither")
    names = features_of_table(str(feature_table)) if features is None else features
    if not names:
        raise InvalidValue("an online load names at least one feature")
    return names


def _make_known(
    known: Registry, store: str, load: OnlineLoad, now: datetime, *, out: str | None, execution: str | None
) -> None:
    if load.read > 0:
        known.set_online_source(OnlineSource(store, load.table, load.features, load.rows, load.fingerprint, now))
    known.record(
        "online_load",
        reads=load.features,
        inputs=[Recorded("jukebox.FeatureTable", root) for root in load.roots],
        outputs=[Recorded("jukebox.OnlineTable", out or f"{store}#{load.table}")],
        execution=execution,
    )


def _manifest(store: str, loads: Sequence[OnlineLoad], now: datetime) -> Manifest:
    shown = ("table", "features", "read", "rows", "written", "older", "fingerprint")
    tables = [{name: getattr(load, name) for name in shown} | {"features": list(load.features)} for load in loads]
    return Manifest(
        kind="online_table",
        rows=sum(load.rows for load in loads),
        fingerprint=combined(load.fingerprint for load in loads),
        inputs=tuple(source for load in loads for source in load.partitions),
        details={"store": store, "tables": tables, "loaded_at": now.isoformat(timespec="milliseconds")},
    )
