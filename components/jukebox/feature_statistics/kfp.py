"""The KFP face of feature_statistics."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def feature_statistics(
    data: dsl.Input[dsl.Dataset],
    statistics: dsl.Output[dsl.Artifact],
    inferred_schema: dsl.Output[dsl.Artifact],
    anomalies: dsl.Output[dsl.Artifact],
    schema: Optional[str] = None,  # text: kfp.local fails for an artifact left out (kubeflow/pipelines#13061)
    registry: Optional[str] = None,
):
    """Computes TFDV statistics, infers a schema and looks for anomalies.

    Args:
        data: A training set or a feature table.
        statistics: The statistics of each split, and a page to read them on.
        inferred_schema: The schema that the statistics suggest.
        anomalies: What breaks the given schema, or the inferred one.
        schema: The path of the schema that the data should meet.
        registry: The URI of the registry that records the run.
    """
    from jukebox import feature_statistics

    manifest = feature_statistics.run(
        data=data.path,
        out=statistics.path,
        schema_out=inferred_schema.path,
        anomalies_out=anomalies.path,
        schema=schema,
        registry=registry,
    )
    statistics.metadata.update(manifest.facts)
