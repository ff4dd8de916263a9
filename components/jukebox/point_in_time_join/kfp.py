"""The KFP face of point_in_time_join."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def point_in_time_join(
    labels: dsl.Input[dsl.Artifact],
    label_time: str,
    features: dict,
    feature_tables: list,
    feature_set: dsl.Input[dsl.Artifact],
    registry: str,
    training_set: dsl.Output[dsl.Dataset],
    split: str = "time:0.8",
    keys: Optional[dict] = None,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: str = "sample",
    beam_pipeline_args: Optional[list] = None,
):
    """Joins features to labels as they were known at each label's time.

    Args:
        labels: The labels, a Parquet or CSV file or a folder of them.
        label_time: The column of the labels' time.
        features: From name to output column, to column, max_age, last_non_null and keys, or to a list; in names' order.
        feature_tables: The uri of every feature table that may be used.
        feature_set: The registered features, which pin the versions.
        registry: The URI of the registry.
        training_set: tf.Examples in Split-train and Split-eval, Parquet, and a manifest with the proof.
        split: time:0.8, hash:0.8 or hash:0.8:column,column.
        keys: Label column to key column, where they differ; or to column and identifier, where its ids are converted.
        allow_exact: Whether a row exactly at the label's time is used.
        as_known: Whether rows count only from their created time on.
        proof: sample or full.
        beam_pipeline_args: Flags of a Beam pipeline that does the join, such as its runner.
    """
    from jukebox import point_in_time_join

    manifest = point_in_time_join.run(
        labels=labels.path,
        label_time=label_time,
        features=dict(sorted(features.items())),
        feature_tables=feature_tables,
        feature_set=feature_set.path,
        registry=registry,
        out=training_set.path,
        split=split,
        keys=keys,
        allow_exact=allow_exact,
        as_known=as_known,
        proof=proof,
        beam_pipeline_args=beam_pipeline_args,
    )
    training_set.metadata.update(manifest.facts)
