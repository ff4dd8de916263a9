"""Artists on TFX: converted, loaded under another identifier than theirs, and online for those that users know."""

from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from jukebox.tfx import ConsistencyCheck, Convert, DataSet, OfflineLoad, OnlineLoad, RegisterFeatures

ENDPOINT = "jukebox.examples.apm.artist_entities"
KEYS = {
    "primitive_entity": "PRIMITIVE_ENTITY_ARTIST",
    "identifier": "IDENTIFIER_BASE62",
    "column_name": "artist_gid",
}


def pipeline(
    *,
    source: str = "gs://bucket/apm",
    user_artist_keys: str = "gs://bucket/user_artist_keys",
    date: str = "2013-01-31",
    features: str = "pipelines/apm/features.yaml",
    root: str = ".demo/apm/pipeline",
    metadata: str = ".demo/apm/metadata.db",
    store: str = "sqlite://.demo/apm/online.db",
) -> Pipeline:
    """Return the pipeline, which leaves a date's features of all artists offline, and of those with users online."""
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
    known = Importer(source_uri=user_artist_keys, artifact_type=DataSet, reimport=True).with_id("UserArtistKeys")
    online = OnlineLoad(
        feature_table=load.outputs["feature_table"],
        feature_set=register.outputs["feature_set"],
        registry=registry,
        store=store,
        date=date,
        filter_keys=known.outputs["result"],
        filter_columns=[KEYS],
        filter_format="STORAGE_FORMAT_TF_EXAMPLE",
    )
    read_back = ConsistencyCheck(online_table=online.outputs["online_table"], registry=registry)
    return Pipeline(
        pipeline_name="apm",
        pipeline_root=root,
        components=[artists, register, records, load, known, online, read_back],
        metadata_connection_config=sqlite_metadata_connection_config(metadata),
        enable_cache=True,
    )
