"""The TFX face of log_training_set."""

import json
from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.artifact_utils import encode_split_names
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples

from jukebox import log_training_set
from jukebox.artifacts import DataSet, FeatureSet, FeatureTable, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of LogTrainingSet; its feature tables are added by ``spec_for``."""

    PARAMETERS = {
        "registry": ExecutionParameter(type=str),
        "features": ExecutionParameter(type=str),
        "request_id": ExecutionParameter(type=str),
        "position": ExecutionParameter(type=str, optional=True),
        "label_time": ExecutionParameter(type=str, optional=True),
        "split": ExecutionParameter(type=str),
        "proof": ExecutionParameter(type=str),
    }
    INPUTS = {
        "log": ChannelParameter(type=DataSet),
        "labels": ChannelParameter(type=DataSet),
        "feature_set": ChannelParameter(type=FeatureSet),
    }
    OUTPUTS = {"training_set": ChannelParameter(type=Examples)}


def spec_for(tables: dict[str, BaseChannel]) -> type[Spec]:
    """Return the spec with an input for each feature table: on KFP an input is one channel, never a union."""
    inputs = {**Spec.INPUTS, **{name: ChannelParameter(type=FeatureTable) for name in tables}}
    return type("Spec", (Spec,), {"INPUTS": inputs})


class Executor(BaseExecutor):
    """Runs log_training_set in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Stitch the log to the labels and describe the training set."""
        [training_set], inputs = output_dict["training_set"], dict(input_dict)
        [log], [labels], [feature_set] = (inputs.pop(name) for name in Spec.INPUTS)
        manifest = log_training_set.run(
            **{**exec_properties, "features": json.loads(exec_properties["features"])},
            log=log.uri,
            labels=labels.uri,
            feature_tables=[table.uri for tables in inputs.values() for table in tables],
            feature_set=feature_set.uri,
            out=training_set.uri,
            execution=execution_id(self),
        )
        training_set.split_names = encode_split_names(list(manifest.details["splits"]))
        describe(training_set, manifest)


class LogTrainingSet(BaseComponent):
    """Joins logged features to labels by request and fills in what was not logged; gives ``training_set``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        log: BaseChannel,
        labels: BaseChannel,
        features: dict[str, Any] | list[str],
        feature_tables: list[BaseChannel],
        feature_set: BaseChannel,
        registry: str,
        request_id: str = "request_id",
        position: str | None = None,
        label_time: str | None = None,
        split: str = "time:0.8",
        proof: str = "sample",
    ):
        """Take a log, the labels of its requests, and what point_in_time_join takes to fill in what was not logged."""
        tables = {f"feature_table_{index}": table for index, table in enumerate(feature_tables)}
        channels = {"log": log, "labels": labels, "feature_set": feature_set, **tables}
        columns = {"request_id": request_id, "position": position, "label_time": label_time}
        texts = {"registry": registry, "features": json.dumps(features), "split": split, "proof": proof}
        super().__init__(spec_for(tables)(**columns, **texts, **channels, training_set=Channel(type=Examples)))
