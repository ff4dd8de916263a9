"""The TFX face of convert."""

import json

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from jukebox import convert
from jukebox.artifacts import DataSet, describe


class Spec(ComponentSpec):
    """The parameters and channels of Convert."""

    PARAMETERS = {
        "from_format": ExecutionParameter(type=str, optional=True),
        "to_format": ExecutionParameter(type=str, optional=True),
        "columns": ExecutionParameter(type=str),
        "types": ExecutionParameter(type=str),
        "rows_per_file": ExecutionParameter(type=int),
    }
    INPUTS = {"source": ChannelParameter(type=DataSet)}
    OUTPUTS = {"converted": ChannelParameter(type=DataSet)}


class Executor(BaseExecutor):
    """Runs convert in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Convert the files and describe the data set."""
        [converted], [source] = output_dict["converted"], input_dict["source"]
        told = {name: json.loads(exec_properties[name]) for name in ("columns", "types")}
        manifest = convert.run(**{**exec_properties, **told}, source=source.uri, out=converted.uri)
        describe(converted, manifest)


class Convert(BaseComponent):
    """Converts files of one storage format into a folder of files of another; gives the channel ``converted``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        source: BaseChannel,
        from_format: str | None = None,
        to_format: str | None = None,
        columns: list[str] | None = None,
        types: dict[str, str] | None = None,
        rows_per_file: int = 1_000_000,
    ):
        """Take a data set, the formats by name, the columns to keep, and the types that a format does not tell."""
        texts = {"from_format": from_format, "to_format": to_format, "rows_per_file": rows_per_file}
        texts |= {"columns": json.dumps(columns), "types": json.dumps(types)}
        super().__init__(Spec(source=source, converted=Channel(type=DataSet), **texts))
