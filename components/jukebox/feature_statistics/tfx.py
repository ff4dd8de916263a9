"""The TFX face of feature_statistics."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.artifact_utils import encode_split_names
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, ExampleStatistics, Schema

from jukebox import feature_statistics
from jukebox.artifacts import describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of FeatureStatistics."""

    PARAMETERS = {"registry": ExecutionParameter(type=str, optional=True)}
    INPUTS = {
        "data": ChannelParameter(type=Examples),
        "schema": ChannelParameter(type=Schema, optional=True),
    }
    OUTPUTS = {
        "statistics": ChannelParameter(type=ExampleStatistics),
        "inferred_schema": ChannelParameter(type=Schema),
        "anomalies": ChannelParameter(type=ExampleAnomalies),
    }


class Executor(BaseExecutor):
    """Runs feature_statistics in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Compute the statistics and describe the three artifacts."""
        [data], [statistics] = input_dict["data"], output_dict["statistics"]
        [inferred_schema], [anomalies] = output_dict["inferred_schema"], output_dict["anomalies"]
        manifest = feature_statistics.run(
            data=data.uri,
            schema=next((schema.uri for schema in input_dict.get("schema", [])), None),
            out=statistics.uri,
            schema_out=inferred_schema.uri,
            anomalies_out=anomalies.uri,
            registry=exec_properties.get("registry"),
            execution=execution_id(self),
        )
        statistics.split_names = anomalies.split_names = encode_split_names(list(manifest.details["splits"]))
        describe(statistics, manifest)


class FeatureStatistics(BaseComponent):
    """Computes statistics, schema and anomalies; gives ``statistics``, ``inferred_schema`` and ``anomalies``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, *, data: BaseChannel, schema: BaseChannel | None = None, registry: str | None = None):
        """Take a training set and, to look for anomalies in it, a schema that it should meet.

        TFX records the run by itself; ``registry`` is there because the KFP face has it.
        """
        outs = {"statistics": Channel(type=ExampleStatistics), "inferred_schema": Channel(type=Schema)}
        anomalies = Channel(type=ExampleAnomalies)
        super().__init__(Spec(data=data, schema=schema, registry=registry, anomalies=anomalies, **outs))
