"""The TFX face of record_model."""

import json
from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model

from jukebox import record_model
from jukebox.artifacts import ModelRecord, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of RecordModel."""

    PARAMETERS = {
        "registry": ExecutionParameter(type=str),
        "features": ExecutionParameter(type=str),
        "facts": ExecutionParameter(type=str),
    }
    INPUTS = {"model": ChannelParameter(type=Model), "training_set": ChannelParameter(type=Examples)}
    OUTPUTS = {"model_record": ChannelParameter(type=ModelRecord)}


class Executor(BaseExecutor):
    """Runs record_model in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Record the model and describe the record."""
        [model], [training_set] = input_dict["model"], input_dict["training_set"]
        [model_record] = output_dict["model_record"]
        manifest = record_model.run(
            model=model.uri,
            training_set=training_set.uri,
            registry=exec_properties["registry"],
            features=json.loads(exec_properties["features"]),
            facts=json.loads(exec_properties["facts"]),
            out=model_record.uri,
            execution=execution_id(self),
        )
        describe(model_record, manifest)


class RecordModel(BaseComponent):
    """Records a model of any trainer as trained on a training set; gives the channel ``model_record``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        training_set: BaseChannel,
        registry: str,
        features: list[str] | None = None,
        facts: dict[str, Any] | None = None,
    ):
        """Take the model, as an Importer brings it, what it was trained on, and what else is worth knowing of it."""
        texts = {"registry": registry, "features": json.dumps(features), "facts": json.dumps(facts)}
        channels = {"model": model, "training_set": training_set, "model_record": Channel(type=ModelRecord)}
        super().__init__(Spec(**texts, **channels))
