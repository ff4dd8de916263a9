"""The KFP face of online_load."""

from typing import NamedTuple, Optional

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
    date: Optional[str] = None,
    start: Optional[str] = None,
    end: Optional[str] = None,
    filter_keys: Optional[str] = None,  # text: kfp.local fails for an artifact left out (kubeflow/pipelines#13061)
    filter_columns: Optional[list] = None,
    filter_format: Optional[str] = None,
    replace: bool = False,
    beam_pipeline_args: Optional[list] = None,
) -> NamedTuple("Outputs", [("uri", str)]):
    """Loads the newest row of every key into an online store; newer values there stay.

    Args:
        feature_table: The feature table.
        feature_set: The registered features, which pin the versions.
        registry: The URI of the registry.
        store: The URI of the online store.
        online_table: What was loaded.
        features: The names to load; by default all that the table holds.
        table: The table in the store; by default it is named after the endpoint.
        date: The only date to load.
        start: The first of a range of dates to load.
        end: The last of a range of dates to load.
        filter_keys: The path of a data set whose keys are the only ones to load.
        filter_columns: Its keys, each with primitive_entity, identifier, column_name; by default the table's.
        filter_format: Its storage format, where its files' ending does not tell.
        replace: Whether the rows take the place of all that the table held.
        beam_pipeline_args: Flags of a Beam pipeline that does the load, such as its runner.

    Returns:
        uri: Where what was loaded is told, for the consistency_check that reads it back.
    """
    from jukebox import online_load

    asked = {"features": features, "table": table, "date": date, "start": start, "end": end, "replace": replace}
    filtered = {"filter_keys": filter_keys, "filter_columns": filter_columns, "filter_format": filter_format}
    manifest = online_load.run(
        **asked,
        **filtered,
        feature_table=feature_table.path,
        feature_set=feature_set.path,
        registry=registry,
        store=store,
        beam_pipeline_args=beam_pipeline_args,
        out=online_table.path,
    )
    online_table.metadata.update(manifest.facts)
    return (online_table.path,)
