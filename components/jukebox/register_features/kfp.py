"""The KFP face of register_features."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register_features(
    features: str,
    registry: str,
    feature_set: dsl.Output[dsl.Artifact],
    force: Optional[list] = None,
):
    """Registers the features of a features.yaml; what the registry holds already stays as it is.

    Args:
        features: The path of the features.yaml.
        registry: The URI of the registry.
        feature_set: The features with their versions.
        force: Names of features whose type, keys or life cycle may change in ways that are refused otherwise.
    """
    from jukebox import register_features

    manifest = register_features.run(features=features, registry=registry, force=force, out=feature_set.path)
    feature_set.metadata.update(manifest.facts)
