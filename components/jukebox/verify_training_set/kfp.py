"""The KFP face of verify_training_set."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def verify_training_set(
    training_set: dsl.Input[dsl.Dataset],
    verification: dsl.Output[dsl.Artifact],
    rows: int = 1000,
    seed: int = 0,
    registry: Optional[str] = None,
):
    """Derives rows of a training set again by brute force; fails where they differ, for example by a leak.

    Args:
        training_set: The training set.
        verification: The report on what was compared.
        rows: How many labels are derived again.
        seed: A number that scatters them otherwise over the training set.
        registry: The URI of the registry that records the run.
    """
    from jukebox import verify_training_set

    manifest = verify_training_set.run(
        training_set=training_set.path,
        out=verification.path,
        rows=rows,
        seed=seed,
        registry=registry,
    )
    verification.metadata.update(manifest.facts)
