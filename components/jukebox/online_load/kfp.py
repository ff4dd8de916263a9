"""The KFP face of online_load."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def online_load(
    feature_table: dsl.Input[dsl.Dataset],
    feature_set: dsl.Input[dsl.Artifact],
    registry: str,
    store: str,
    online_table: dsl.Output[dsl.Artifact],
    features: Optional[list] = None,
    table: Optional[str] = None,
    filter_keys: Optional[str] = None,  # text: kfp.local fails for an artifact left out (kubeflow/pipelines#13061)
):
    """Loads the newest row of every key into an online store; newer values there stay.

    Args:
        feature_table: The feature table.
        feature_set: The registered features, which pin the versions.
        registry: The URI of the registry.
        store: The URI of the online store.
        online_table: What was loaded.
        features: The names to load; by default all that the table holds.
        table: The table in the store; by default it is named after the endpoint.
        filter_keys: The path of a data set whose keys are the only ones to load.
    """
    from jukebox import online_load

    manifest = online_load.run(
        feature_table=feature_table.path,
        feature_set=feature_set.path,
        registry=registry,
        store=store,
        out=online_table.path,
        features=features,
        table=table,
        filter_keys=filter_keys,
    )
    online_table.metadata.update(manifest.facts)
