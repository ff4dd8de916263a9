"""Artists on Kubeflow Pipelines: converted to tf.Example, and loaded under another identifier than theirs."""

from kfp import dsl

from jukebox.kfp import convert, offline_load, register_features

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
    date: str = "2013-01-31",
    features: str = "pipelines/apm/features.yaml",
    registry: str = "mlmd+sqlite://.demo/apm/kfp/registry.db",
):
    """Leaves the artists' features of a date in a feature table; the source has one folder a date."""
    registered = register_features(features=features, registry=registry)
    # KFP's cache sees the path of the file and the URI of the registry, not what changed in them.
    registered.set_caching_options(enable_caching=False)
    artists = dsl.importer(artifact_uri=source, artifact_class=dsl.Artifact)
    records = convert(
        source=artists.output,
        to_format="STORAGE_FORMAT_TF_EXAMPLE",
        columns=["artist_gid", "genres", "popularity_normalized"],
    )
    offline_load(
        endpoint=ENDPOINT,
        source=records.outputs["converted"],
        feature_set=registered.outputs["feature_set"],
        registry=registry,
        keys=KEYS,
        date=date,
    )
