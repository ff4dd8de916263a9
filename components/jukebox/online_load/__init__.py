"""Load the newest row of every key into an online store, from which features are served by name."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox import formats
from jukebox.core.fingerprints import fingerprint_of
from jukebox.engine.catalog import features_of_table, grouped, registered
from jukebox.engine.feature_tables import read_partitions
from jukebox.engine.newest import newest_per_key
from jukebox.errors import InvalidValue, MissingColumn
from jukebox.stores import OnlineSource, Recorded, open_online, open_registry
from jukebox.tables import Manifest, Source, combined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.engine.catalog import Partition
    from jukebox.stores import OnlineStore, RegisteredFeature


def run(  # noqa: PLR0913 - the parts of a load
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
    to ``out`` where that is given; the table becomes the features' online source.

    Raises InvalidValue when neither features nor a table is named, UnknownFeature, NoPartition, CorruptData,
    MissingColumn for a filter without the key columns, and StorageError.
    """
    known = open_registry(registry)
    if features is None and feature_table is None:
        raise InvalidValue("an online load names features or a feature table, and here is neither")
    names = features_of_table(feature_table) if features is None else features
    members = registered(known, names, feature_set)
    groups = grouped(known, members, None if feature_table is None else [feature_table])
    if table is not None and len(groups) > 1:
        raise InvalidValue(f"the features lie in {len(groups)} feature tables; the online table '{table}' can hold one")
    online = open_online(store)
    loads = [_load(online, parts, group, table, filter_keys) for parts, group in groups]
    now = datetime.now(timezone.utc)
    for load in loads:
        known.set_online_source(
            OnlineSource(store, load["table"], tuple(load["features"]), load["rows"], load["fingerprint"], now)
        )
    known.record(
        "online_load",
        reads=[member.versioned for member in members],
        inputs=[Recorded("jukebox.FeatureTable", root) for root in sorted({p.table for parts, _ in groups for p in parts})],
        outputs=[Recorded("jukebox.OnlineTable", out or f"{store}#{load['table']}") for load in loads],
        execution=execution,
    )
    manifest = _manifest(store, loads, now)
    return manifest if out is None else manifest.write(out)


def _load(
    online: OnlineStore,
    parts: Sequence[Partition],
    members: Sequence[RegisteredFeature],
    table: str | None,
    filter_keys: str | None,
) -> dict[str, Any]:
    about = parts[0].manifest
    columns = [member.name.name for member in members]
    times = [name for name in (about.event_time, about.created_time) if name is not None]
    only = None if filter_keys is None else _keys(filter_keys, about.keys)
    batches = read_partitions(parts, [*about.keys, *times, *columns])
    times_of = {"event_time": about.event_time, "created_time": about.created_time}
    rows = newest_per_key(batches, keys=about.keys, only=only, **times_of).rows
    versions = sorted(member.versioned for member in members)
    name = table or f"{about.details['endpoint']}-{combined(versions)[:8]}"
    counts = online.write(name, rows, keys=about.keys, **times_of)
    return {
        "table": name,
        "features": versions,
        "rows": rows.num_rows,
        "written": counts.written,
        "older": counts.older,
        "fingerprint": fingerprint_of(rows, rows.schema),
        "partitions": [asdict(Source(str(part.path), part.manifest.fingerprint)) for part in parts],
    }


def _keys(path: str, names: Sequence[str]) -> pa.Table:
    reader = formats.format_of(path)
    schema = reader.schema(path)
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise MissingColumn(f"the filter {path} lacks the key '{missing[0]}'; it has {', '.join(schema.names)}")
    return pa.Table.from_batches(reader.read(path, columns=list(names)))


def _manifest(store: str, loads: Sequence[dict[str, Any]], now: datetime) -> Manifest:
    parts = [Source(**part) for load in loads for part in load.pop("partitions")]
    return Manifest(
        kind="online_table",
        rows=sum(load["rows"] for load in loads),
        fingerprint=combined(load["fingerprint"] for load in loads),
        inputs=tuple(parts),
        details={"store": store, "tables": loads, "loaded_at": now.isoformat(timespec="milliseconds")},
    )
