"""The TFX face of point_in_time_join."""

import json
from typing import Any

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types.artifact_utils import encode_split_names
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples

from jukebox import point_in_time_join
from jukebox.artifacts import DataSet, FeatureSet, FeatureTable, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of PointInTimeJoin; its feature tables are added by ``spec_for``."""

    PARAMETERS = {
        "label_time": ExecutionParameter(type=str),
        "registry": ExecutionParameter(type=str),
        "features": ExecutionParameter(type=str),
        "split": ExecutionParameter(type=str),
        "keys": ExecutionParameter(type=str),
        "allow_exact": ExecutionParameter(type=bool),
        "as_known": ExecutionParameter(type=bool),
        "proof": ExecutionParameter(type=str),
    }
    INPUTS = {
        "labels": ChannelParameter(type=DataSet),
        "feature_set": ChannelParameter(type=FeatureSet),
    }
    OUTPUTS = {"training_set": ChannelParameter(type=Examples)}


def spec_for(tables: dict[str, BaseChannel]) -> type[Spec]:
    """Return the spec with an input for each feature table: on KFP an input is one channel, never a union."""
    inputs = {**Spec.INPUTS, **{name: ChannelParameter(type=FeatureTable) for name in tables}}
    return type("Spec", (Spec,), {"INPUTS": inputs})


class Executor(BaseBeamExecutor):
    """Runs point_in_time_join in a TFX pipeline, on Beam where the pipeline or the component has arguments for it."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Join the features to the labels and describe the training set."""
        [training_set], inputs = output_dict["training_set"], dict(input_dict)
        [labels], [feature_set] = inputs.pop("labels"), inputs.pop("feature_set")
        texts = {name: json.loads(exec_properties[name]) for name in ("features", "keys")}
        manifest = point_in_time_join.run(
            **{**exec_properties, **texts},
            labels=labels.uri,
            feature_tables=[table.uri for tables in inputs.values() for table in tables],
            feature_set=feature_set.uri,
            out=training_set.uri,
            beam_pipeline_args=self._beam_pipeline_args,
            execution=execution_id(self),
        )
        training_set.split_names = encode_split_names(list(manifest.details["splits"]))
        describe(training_set, manifest)


class PointInTimeJoin(BaseBeamComponent):
    """Joins features to labels as they were known at each label's time; gives the channel ``training_set``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        labels: BaseChannel,
        label_time: str,
        features: dict[str, Any] | list[str],
        feature_tables: list[BaseChannel],
        feature_set: BaseChannel,
        registry: str,
        split: str = "time:0.8",
        keys: dict[str, str | dict[str, str]] | None = None,
        allow_exact: bool = True,
        as_known: bool = True,
        proof: str = "sample",
    ):
        """Take the labels, the request, and the channels that say which tables and versions it may use."""
        tables = {f"feature_table_{index}": table for index, table in enumerate(feature_tables)}
        channels = {"labels": labels, "feature_set": feature_set, "training_set": Channel(type=Examples), **tables}
        rules = {"split": split, "allow_exact": allow_exact, "as_known": as_known, "proof": proof}
        texts = {"features": json.dumps(features), "keys": json.dumps(keys)}
        super().__init__(spec_for(tables)(label_time=label_time, registry=registry, **rules, **texts, **channels))
