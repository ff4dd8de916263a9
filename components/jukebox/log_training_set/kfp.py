"""The KFP face of log_training_set."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def log_training_set(
    log: dsl.Input[dsl.Artifact],
    labels: dsl.Input[dsl.Artifact],
    features: dict,
    feature_tables: list,
    feature_set: dsl.Input[dsl.Artifact],
    registry: str,
    training_set: dsl.Output[dsl.Dataset],
    request_id: str = "request_id",
    position: Optional[str] = None,
    label_time: Optional[str] = None,
    split: str = "time:0.8",
    proof: str = "sample",
):
    """Joins logged features to labels by request, and fills in point-in-time what was not logged.

    Args:
        log: The log of served features.
        labels: The labels, a Parquet or CSV file or a folder of them.
        features: From name to output column, to column, max_age, last_non_null and keys, or to a list; in names' order.
        feature_tables: The uri of every feature table that may be used.
        feature_set: The registered features, which pin the versions.
        registry: The URI of the registry.
        training_set: tf.Examples in Split-train and Split-eval, Parquet, and a manifest with the proof.
        request_id: The label column of the request that a label is about.
        position: The label column of the entity's place in the request, where requests had several.
        label_time: The label column of the time of labels that were not logged.
        split: time:0.8, hash:0.8 or hash:0.8:column,column.
        proof: sample or full.
    """
    from jukebox import log_training_set

    manifest = log_training_set.run(
        log=log.path,
        labels=labels.path,
        features=dict(sorted(features.items())),
        feature_tables=feature_tables,
        feature_set=feature_set.path,
        registry=registry,
        out=training_set.path,
        request_id=request_id,
        position=position,
        label_time=label_time,
        split=split,
        proof=proof,
    )
    training_set.metadata.update(manifest.facts)
