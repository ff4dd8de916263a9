"""Artists on TFX: converted to tf.Example, and loaded under another identifier than theirs."""

from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from jukebox.tfx import Convert, DataSet, OfflineLoad, RegisterFeatures

ENDPOINT = "jukebox.examples.apm.artist_entities"
KEYS = {
    "primitive_entity": "PRIMITIVE_ENTITY_ARTIST",
    "identifier": "IDENTIFIER_BASE62",
    "column_name": "artist_gid",
}


def pipeline(
    *,
    source: str = "gs://bucket/apm",
    date: str = "2013-01-31",
    features: str = "pipelines/apm/features.yaml",
    root: str = ".demo/apm/pipeline",
    metadata: str = ".demo/apm/metadata.db",
) -> Pipeline:
    """Return the pipeline, which leaves the artists' features of a date in a feature table."""
    registry = f"mlmd+sqlite://{metadata}"
    artists = Importer(source_uri=source, artifact_type=DataSet, reimport=True).with_id("Artists")
    register = RegisterFeatures(features=features, registry=registry)
    records = Convert(
        source=artists.outputs["result"],
        to_format="STORAGE_FORMAT_TF_EXAMPLE",
        columns=["artist_gid", "genres", "popularity_normalized"],
    )
    load = OfflineLoad(
        endpoint=ENDPOINT,
        source=records.outputs["converted"],
        feature_set=register.outputs["feature_set"],
        registry=registry,
        keys=KEYS,
        date=date,
    )
    return Pipeline(
        pipeline_name="apm",
        pipeline_root=root,
        components=[artists, register, records, load],
        metadata_connection_config=sqlite_metadata_connection_config(metadata),
        enable_cache=True,
    )
