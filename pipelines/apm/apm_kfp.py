"""Artists on Kubeflow Pipelines: converted, loaded under another identifier, and online for those that users know."""

from kfp import dsl

from jukebox.kfp import consistency_check, convert, offline_load, online_load, register_features

ENDPOINT = "jukebox.examples.apm.artist_entities"
KEYS = [
    {
        "primitive_entity": "PRIMITIVE_ENTITY_ARTIST",
        "identifier": "IDENTIFIER_BASE62",
        "column_name": "artist_gid",
    }
]


@dsl.pipeline(name="apm")
def pipeline(
    source: str = "gs://bucket/apm",
    user_artist_keys: str = "gs://bucket/user_artist_keys",
    date: str = "2013-01-31",
    features: str = "pipelines/apm/features.yaml",
    registry: str = "mlmd+sqlite://.demo/apm/kfp/registry.db",
    store: str = "sqlite://.demo/apm/kfp/online.db",
):
    """Leaves a date's features of all artists offline, and of those with users online; sources have a folder a date."""
    registered = register_features(features=features, registry=registry)
    # KFP's cache sees the path of the file and the URI of the registry, not what changed in them.
    registered.set_caching_options(enable_caching=False)
    artists = dsl.importer(artifact_uri=source, artifact_class=dsl.Artifact)
    records = convert(
        source=artists.output,
        to_format="STORAGE_FORMAT_TF_EXAMPLE",
        columns=["artist_gid", "genres", "popularity_normalized"],
    )
    load = offline_load(
        endpoint=ENDPOINT,
        source=records.outputs["converted"],
        feature_set=registered.outputs["feature_set"],
        registry=registry,
        keys=KEYS,
        date=date,
    )
    online = online_load(
        feature_table=load.outputs["feature_table"],
        feature_set=registered.outputs["feature_set"],
        registry=registry,
        store=store,
        date=date,
        filter_keys=user_artist_keys,
        filter_columns=KEYS,
        filter_format="STORAGE_FORMAT_TF_EXAMPLE",
    )
    consistency_check(online_table=online.outputs["uri"], registry=registry)
