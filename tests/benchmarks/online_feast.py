"""Feast's Bigtable online store as a peer of the online benchmark."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType, types
from google.cloud import bigtable
from online_data import INSTANCE, PROJECT

OF_ARROW = {"double": types.Float64, "int64": types.Int64, "string": types.String}


def store_of(rows, name: str = "features", store: FeatureStore | None = None) -> FeatureStore:
    """Return a store, a new one by default, with one more feature view of the rows' columns, its table made."""
    folder = tempfile.mkdtemp()
    store = store or FeatureStore(
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
    columns = [(each, rows.schema.field(each).type) for each in rows.column_names if each not in ("user", "at")]
    view = FeatureView(
        name=name,
        entities=[user],
        ttl=timedelta(days=365),
        schema=[Field(name="user", dtype=types.Int64), *(Field(name=n, dtype=OF_ARROW[str(t)]) for n, t in columns)],
        source=FileSource(name=f"rows-{name}", path=str(Path(folder) / "rows.parquet"), timestamp_field="at"),
    )
    frame = rows.slice(0, 1).to_pandas()
    frame.to_parquet(Path(folder) / "rows.parquet")
    store.apply([user, view])
    # The store makes its table with production's admin; on the emulator it is made here where it is not.
    table = bigtable.Client(project=PROJECT, admin=True).instance(INSTANCE).table(f"benchmark.user.{name}")
    if not table.exists():
        table.create(column_families={name: None})
    return store


def loader(rows):
    """Return a function that writes all rows."""
    store, frame = store_of(rows), rows.to_pandas()
    return lambda: store.write_to_online_store("features", frame)


def reader(sets):
    """Return a function that reads all features of each of some users, from a view for each set of rows."""
    store = None
    names = []
    for name, rows in sets.items():
        store = store_of(rows, name, store)
        store.write_to_online_store(name, rows.to_pandas())
        names += [f"{name}:{each}" for each in rows.column_names if each not in ("user", "at")]

    def read(users):
        found = store.get_online_features(features=names, entity_rows=[{"user": user} for user in users]).to_dict()
        return len(found["user"])

    return read
