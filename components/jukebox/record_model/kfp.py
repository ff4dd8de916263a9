"""The KFP face of record_model."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def record_model(
    model: dsl.Input[dsl.Model],
    training_set: dsl.Input[dsl.Dataset],
    registry: str,
    model_record: dsl.Output[dsl.Artifact],
    features: Optional[list] = None,
    facts: Optional[dict] = None,
):
    """Records a model of any trainer as trained on a training set, and so on its features.

    Args:
        model: The model.
        training_set: What it was trained on.
        registry: The URI of the registry.
        model_record: The model's URI, its training set and its features.
        features: Names of those that the trainer used, where it left some of the training set's out.
        facts: What else is worth knowing of the model, such as framework and metrics.
    """
    from jukebox import record_model

    manifest = record_model.run(
        model=model.path,
        training_set=training_set.path,
        registry=registry,
        features=features,
        facts=facts,
        out=model_record.path,
    )
    model_record.metadata.update(manifest.facts)
