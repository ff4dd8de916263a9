"""Feast's historical features as an engine of the point-in-time benchmark: its DuckDB and its file offline store."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, types
from feast.data_format import ParquetFormat

OF_ARROW = {
    pa.float32(): types.Float32,
    pa.float64(): types.Float64,
    pa.int32(): types.Int32,
    pa.int64(): types.Int64,
    pa.string(): types.String,
    pa.bool_(): types.Bool,
}


def feast_duckdb(work: dict, out: str) -> None:
    """Join with the DuckDB offline store."""
    _joined(work, out, "duckdb")


def feast_file(work: dict, out: str) -> None:
    """Join with the file offline store, which is Dask."""
    _joined(work, out, "file")


def _joined(work: dict, out: str, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(
            config=RepoConfig(
                project="pit",
                provider="local",
                registry=str(Path(folder) / "registry.db"),
                offline_store={"type": kind},
                online_store=None,
                entity_key_serialization_version=3,
            )
        )
        store.apply(_declared(work))
        labels = pq.read_table(work["labels"]).to_pandas().rename(columns={work["label_time"]: "event_timestamp"})
        labels["event_timestamp"] = labels["event_timestamp"].dt.tz_localize("UTC")
        labels["_row"] = range(len(labels))
        asked = [f"{_name(table)}:{column}" for table in work["tables"] for column in table["values"].values()]
        found = store.get_historical_features(labels, asked, full_feature_names=True).to_arrow().sort_by("_row")
    columns = {name: found["event_timestamp" if name == work["label_time"] else name] for name in work["label_columns"]}
    at = columns[work["label_time"]]
    columns[work["label_time"]] = at.cast(pa.timestamp("us", at.type.tz)).cast(pa.timestamp("us"))
    for table in work["tables"]:
        columns |= {output: found[f"{_name(table)}__{column}"] for output, column in table["values"].items()}
    pq.write_table(pa.table(columns), out, compression="zstd", row_group_size=262_144)


def _name(table: dict) -> str:
    return Path(table["path"]).stem


def _declared(work: dict) -> list:
    held = pq.read_schema(work["labels"])
    keys = {
        key: Entity(name=key, join_keys=[key], value_type=OF_ARROW[held.field(key).type].to_value_type())
        for table in work["tables"]
        for key in table["keys"]
    }
    views = []
    for table in work["tables"]:
        schema = pq.read_schema(table["path"])
        source = FileSource(
            name=f"{_name(table)}_source",
            path=table["path"],
            file_format=ParquetFormat(),
            timestamp_field=table["event_time"],
            created_timestamp_column=table["created_time"],
        )
        columns = [*table["keys"], *table["values"].values()]
        views.append(
            FeatureView(
                name=_name(table),
                entities=[keys[key] for key in table["keys"]],
                ttl=timedelta(seconds=table["max_age_seconds"]),
                schema=[Field(name=name, dtype=OF_ARROW[schema.field(name).type]) for name in columns],
                source=source,
            )
        )
    return [*keys.values(), *views]
