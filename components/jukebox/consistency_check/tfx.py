"""The TFX face of consistency_check."""

import json

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from jukebox import consistency_check
from jukebox.artifacts import Consistency, DataSet, OnlineTable, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of ConsistencyCheck."""

    PARAMETERS = {
        "registry": ExecutionParameter(type=str),
        "features": ExecutionParameter(type=str),
        "feature_tables": ExecutionParameter(type=str),
        "thresholds": ExecutionParameter(type=str),
        "rows": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
        "tolerance": ExecutionParameter(type=float),
    }
    INPUTS = {
        "log": ChannelParameter(type=DataSet, optional=True),
        "online_table": ChannelParameter(type=OnlineTable, optional=True),
    }
    OUTPUTS = {"consistency": ChannelParameter(type=Consistency)}


class Executor(BaseExecutor):
    """Runs consistency_check in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Compare what was served with the offline tables and describe the statistics."""
        [consistency] = output_dict["consistency"]
        texts = {name: json.loads(exec_properties[name]) for name in ("features", "feature_tables", "thresholds")}
        uris = {name: next((each.uri for each in input_dict.get(name, [])), None) for name in Spec.INPUTS}
        manifest = consistency_check.run(
            **{**exec_properties, **texts, **uris}, out=consistency.uri, execution=execution_id(self)
        )
        describe(consistency, manifest)


class ConsistencyCheck(BaseComponent):
    """Holds what was served against the offline tables, fails where they differ; gives the channel ``consistency``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        registry: str,
        log: BaseChannel | None = None,
        online_table: BaseChannel | None = None,
        features: list[str] | None = None,
        feature_tables: list[str] | None = None,
        rows: int = 0,
        seed: int = 0,
        tolerance: float = 0.0,
        thresholds: dict[str, float] | None = None,
    ):
        """Take a log, an online table or features to read back, and how much may differ."""
        lists = {"features": features, "feature_tables": feature_tables, "thresholds": thresholds}
        texts = {name: json.dumps(value) for name, value in lists.items()}
        about = {"registry": registry, "rows": rows, "seed": seed, "tolerance": tolerance}
        channels = {"log": log, "online_table": online_table, "consistency": Channel(type=Consistency)}
        super().__init__(Spec(**about, **texts, **channels))
