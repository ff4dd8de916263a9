"""The KFP face of consistency_check."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def consistency_check(
    registry: str,
    consistency: dsl.Output[dsl.Artifact],
    log: Optional[str] = None,  # text: kfp.local fails for an artifact left out (kubeflow/pipelines#13061)
    online_table: Optional[str] = None,
    features: Optional[list] = None,
    feature_tables: Optional[list] = None,
    rows: int = 0,
    seed: int = 0,
    tolerance: float = 0.0,
    thresholds: Optional[dict] = None,
):
    """Holds what was served against the offline tables, cell by cell; fails where too much differs.

    Args:
        registry: The URI of the registry.
        consistency: The statistics by feature, with examples.
        log: The path of a log of served features.
        online_table: The path of what an online load left; without it and a log the features' own tables are read.
        features: The names to check; by default all of the log.
        feature_tables: The uri of every feature table that may be used; by default all that the registry knows.
        rows: How many vectors or keys are looked at; 0 for all.
        seed: A number that scatters them otherwise.
        tolerance: How far numbers may be apart, as a share of the greater one.
        thresholds: Kind of difference to the greatest share of a feature's cells.
    """
    from jukebox import consistency_check

    manifest = consistency_check.run(
        registry=registry,
        out=consistency.path,
        log=log,
        online_table=online_table,
        features=features,
        feature_tables=feature_tables,
        rows=rows,
        seed=seed,
        tolerance=tolerance,
        thresholds=thresholds,
    )
    consistency.metadata.update(manifest.facts)
