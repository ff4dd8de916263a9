"""The KFP face of register_features."""

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register_features(
    features: str,
    registry: str,
    feature_set: dsl.Output[dsl.Artifact],
):
    """Registers the features of a features.yaml; what the registry holds already stays as it is.

    Args:
        features: The path of the features.yaml.
        registry: The URI of the registry.
        feature_set: The features with their versions.
    """
    from jukebox import register_features

    manifest = register_features.run(features=features, registry=registry, out=feature_set.path)
    feature_set.metadata.update(manifest.facts)
