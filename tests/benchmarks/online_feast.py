"""Feast's Bigtable online store as a peer of the online benchmark."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType, types
from google.cloud import bigtable
from online_data import INSTANCE, PROJECT

OF_ARROW = {"double": types.Float64, "int64": types.Int64, "string": types.String}


def store_of(rows) -> FeatureStore:
    """Return a store with one feature view of the rows' columns, its table made."""
    folder = tempfile.mkdtemp()
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(Path(folder) / "registry.db"),
            offline_store={"type": "file"},
            online_store={"type": "bigtable", "project_id": PROJECT, "instance": INSTANCE},
            entity_key_serialization_version=3,
        )
    )
    user = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
    columns = [(name, rows.schema.field(name).type) for name in rows.column_names if name.startswith("f")]
    view = FeatureView(
        name="features",
        entities=[user],
        ttl=timedelta(days=365),
        schema=[Field(name="user", dtype=types.Int64), *(Field(name=n, dtype=OF_ARROW[str(t)]) for n, t in columns)],
        source=FileSource(name="rows", path=str(Path(folder) / "rows.parquet"), timestamp_field="at"),
    )
    frame = rows.slice(0, 1).to_pandas()
    frame.to_parquet(Path(folder) / "rows.parquet")
    store.apply([user, view])
    # The store makes its table with production's admin; on the emulator it is made here where it is not.
    table = bigtable.Client(project=PROJECT, admin=True).instance(INSTANCE).table("benchmark.user.features")
    if not table.exists():
        table.create(column_families={"features": None})
    return store


def loader(rows):
    """Return a function that writes all rows."""
    store, frame = store_of(rows), rows.to_pandas()
    return lambda: store.write_to_online_store("features", frame)
