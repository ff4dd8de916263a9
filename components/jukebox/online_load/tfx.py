"""The TFX face of online_load."""

import json
from typing import Any

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from jukebox import online_load
from jukebox.artifacts import DataSet, FeatureSet, FeatureTable, OnlineTable, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of OnlineLoad."""

    PARAMETERS = {
        "registry": ExecutionParameter(type=str),
        "store": ExecutionParameter(type=str),
        "features": ExecutionParameter(type=str),
        "table": ExecutionParameter(type=str, optional=True),
        "date": ExecutionParameter(type=str, optional=True),
        "start": ExecutionParameter(type=str, optional=True),
        "end": ExecutionParameter(type=str, optional=True),
        "filter_columns": ExecutionParameter(type=str),
        "filter_format": ExecutionParameter(type=str, optional=True),
        "replace": ExecutionParameter(type=bool),
    }
    INPUTS = {
        "feature_table": ChannelParameter(type=FeatureTable),
        "feature_set": ChannelParameter(type=FeatureSet),
        "filter_keys": ChannelParameter(type=DataSet, optional=True),
    }
    OUTPUTS = {"online_table": ChannelParameter(type=OnlineTable)}


class Executor(BaseBeamExecutor):
    """Runs online_load in a TFX pipeline, on Beam where the pipeline or the component has arguments for it."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Load the newest rows and describe the online table."""
        [online_table], [feature_table] = output_dict["online_table"], input_dict["feature_table"]
        [feature_set] = input_dict["feature_set"]
        texts = {name: json.loads(exec_properties[name]) for name in ("features", "filter_columns")}
        manifest = online_load.run(
            **{**exec_properties, **texts},
            feature_table=feature_table.uri,
            feature_set=feature_set.uri,
            filter_keys=next((keys.uri for keys in input_dict.get("filter_keys", [])), None),
            beam_pipeline_args=self._beam_pipeline_args,
            out=online_table.uri,
            execution=execution_id(self),
        )
        describe(online_table, manifest)


class OnlineLoad(BaseBeamComponent):
    """Loads the newest row of every key into an online store; gives the channel ``online_table``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        feature_table: BaseChannel,
        feature_set: BaseChannel,
        registry: str,
        store: str,
        features: list[str] | None = None,
        table: str | None = None,
        date: str | None = None,
        start: str | None = None,
        end: str | None = None,
        filter_keys: BaseChannel | None = None,
        filter_columns: list[dict[str, Any]] | None = None,
        filter_format: str | None = None,
        replace: bool = False,
    ):
        """Take a feature table, the online store's URI, and a data set of the only keys to load, if any."""
        channels = {"feature_table": feature_table, "feature_set": feature_set, "filter_keys": filter_keys}
        texts = {"registry": registry, "store": store, "table": table, "features": json.dumps(features)}
        dates = {"date": date, "start": start, "end": end, "replace": replace}
        filtered = {"filter_columns": json.dumps(filter_columns), "filter_format": filter_format}
        made = Channel(type=OnlineTable)
        super().__init__(Spec(**channels, **texts, **dates, **filtered, online_table=made))
