"""The TFX face of online_load."""

import json

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
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
    }
    INPUTS = {
        "feature_table": ChannelParameter(type=FeatureTable),
        "feature_set": ChannelParameter(type=FeatureSet),
        "filter_keys": ChannelParameter(type=DataSet, optional=True),
    }
    OUTPUTS = {"online_table": ChannelParameter(type=OnlineTable)}


class Executor(BaseExecutor):
    """Runs online_load in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Load the newest rows and describe the online table."""
        [online_table], [feature_table] = output_dict["online_table"], input_dict["feature_table"]
        [feature_set] = input_dict["feature_set"]
        manifest = online_load.run(
            **{**exec_properties, "features": json.loads(exec_properties["features"])},
            feature_table=feature_table.uri,
            feature_set=feature_set.uri,
            filter_keys=next((keys.uri for keys in input_dict.get("filter_keys", [])), None),
            out=online_table.uri,
            execution=execution_id(self),
        )
        describe(online_table, manifest)


class OnlineLoad(BaseComponent):
    """Loads the newest row of every key into an online store; gives the channel ``online_table``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        feature_table: BaseChannel,
        feature_set: BaseChannel,
        registry: str,
        store: str,
        features: list[str] | None = None,
        table: str | None = None,
        filter_keys: BaseChannel | None = None,
    ):
        """Take a feature table, the online store's URI, and a data set of the only keys to load, if any."""
        channels = {"feature_table": feature_table, "feature_set": feature_set, "filter_keys": filter_keys}
        texts = {"registry": registry, "store": store, "table": table, "features": json.dumps(features)}
        super().__init__(Spec(**channels, **texts, online_table=Channel(type=OnlineTable)))
