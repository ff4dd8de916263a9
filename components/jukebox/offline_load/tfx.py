"""The TFX face of offline_load."""

import json

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from jukebox import offline_load
from jukebox.artifacts import DataSet, FeatureSet, FeatureTable, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of OfflineLoad."""

    PARAMETERS = {
        "endpoint": ExecutionParameter(type=str),
        "registry": ExecutionParameter(type=str),
        "features": ExecutionParameter(type=str),
        "keys": ExecutionParameter(type=str),
        "storage_format": ExecutionParameter(type=str, optional=True),
        "date": ExecutionParameter(type=str, optional=True),
        "start": ExecutionParameter(type=str, optional=True),
        "end": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"source": ChannelParameter(type=DataSet), "feature_set": ChannelParameter(type=FeatureSet)}
    OUTPUTS = {"feature_table": ChannelParameter(type=FeatureTable)}


class Executor(BaseExecutor):
    """Runs offline_load in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Load the endpoint and describe the feature table."""
        [feature_table], [source] = output_dict["feature_table"], input_dict["source"]
        [feature_set] = input_dict["feature_set"]
        told = {name: json.loads(exec_properties[name]) for name in ("features", "keys")}
        manifest = offline_load.run(
            **{**exec_properties, **told},
            source=source.uri,
            feature_set=feature_set.uri,
            out=feature_table.uri,
            execution=execution_id(self),
        )
        describe(feature_table, manifest)


class OfflineLoad(BaseComponent):
    """Loads features of a data endpoint for a date or a range; gives the channel ``feature_table``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        endpoint: str,
        source: BaseChannel,
        feature_set: BaseChannel,
        registry: str,
        features: dict[str, str] | None = None,
        keys: dict[str, str] | list[dict[str, str]] | None = None,
        storage_format: str | None = None,
        date: str | None = None,
        start: str | None = None,
        end: str | None = None,
    ):
        """Take an endpoint's name, its data set, the source map, how keys are written there, and a date or a range."""
        texts = {"endpoint": endpoint, "registry": registry, "date": date, "start": start, "end": end}
        texts |= {"features": json.dumps(features), "keys": json.dumps(keys), "storage_format": storage_format}
        channels = {"source": source, "feature_set": feature_set, "feature_table": Channel(type=FeatureTable)}
        super().__init__(Spec(**texts, **channels))
