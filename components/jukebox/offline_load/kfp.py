"""The KFP face of offline_load."""

from typing import NamedTuple, Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def offline_load(
    endpoint: str,
    source: dsl.Input[dsl.Artifact],
    feature_set: dsl.Input[dsl.Artifact],
    registry: str,
    feature_table: dsl.Output[dsl.Dataset],
    features: Optional[dict] = None,
    keys: Optional[list] = None,
    storage_format: Optional[str] = None,
    date: Optional[str] = None,
    start: Optional[str] = None,
    end: Optional[str] = None,
) -> NamedTuple("Outputs", [("uri", str)]):
    """Loads features of a data endpoint for a date or a range into a feature table.

    Args:
        endpoint: The name of the data endpoint.
        source: The folder below which the endpoint's uri lies.
        feature_set: The registered features, which pin the versions.
        registry: The URI of the registry.
        feature_table: Dated Parquet partitions.
        features: The source map, from feature name to source column or path; by default all features of the endpoint.
        keys: Where a key is in another column, or written in another way, than the endpoint declares: a list of
            mappings with primitive_entity, identifier and column_name.
        storage_format: The format of the files, where it is not the endpoint's.
        date: One date.
        start: The first date of a range.
        end: The last date of a range.

    Returns:
        uri: Where the feature table lies, for the list that point_in_time_join takes.
    """
    from jukebox import offline_load

    manifest = offline_load.run(
        endpoint=endpoint,
        source=source.path,
        feature_set=feature_set.path,
        registry=registry,
        out=feature_table.path,
        features=features,
        keys=keys,
        storage_format=storage_format,
        date=date,
        start=start,
        end=end,
    )
    feature_table.metadata.update(manifest.facts)
    return (feature_table.path,)
