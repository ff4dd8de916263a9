"""The KFP face of record_deployment."""

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def record_deployment(
    model: dsl.Input[dsl.Model],
    endpoint: str,
    registry: str,
    deployment: dsl.Output[dsl.Artifact],
    active: bool = True,
):
    """Records that a model serves at an endpoint, or serves there no longer.

    Args:
        model: The model, as it was recorded.
        endpoint: The endpoint's name.
        registry: The URI of the registry.
        deployment: The model, the endpoint, and whether it serves there.
        active: False ends the deployment.
    """
    from jukebox import record_deployment

    manifest = record_deployment.run(
        model=model.path,
        endpoint=endpoint,
        registry=registry,
        active=active,
        out=deployment.path,
    )
    deployment.metadata.update(manifest.facts)
