"""The TFX face of register_features."""

import json

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from jukebox import register_features
from jukebox.artifacts import FeatureSet, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of RegisterFeatures."""

    PARAMETERS = {
        "features": ExecutionParameter(type=str),
        "registry": ExecutionParameter(type=str),
        "force": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {}
    OUTPUTS = {"feature_set": ChannelParameter(type=FeatureSet)}


class Executor(BaseExecutor):
    """Runs register_features in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Register the features and describe the feature set."""
        [feature_set] = output_dict["feature_set"]
        manifest = register_features.run(
            features=exec_properties["features"],
            registry=exec_properties["registry"],
            force=json.loads(exec_properties["force"]),
            out=feature_set.uri,
            execution=execution_id(self),
        )
        describe(feature_set, manifest)


class RegisterFeatures(BaseComponent):
    """Registers the features of a features.yaml; gives the channel ``feature_set``.

    It runs again when the file, or what the registry holds of its features, has changed since the cached run.
    """

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, *, features: str, registry: str, force: list[str] | None = None):
        """Take the path of a features.yaml, the URI of the registry, and names whose changes are forced."""
        fingerprint = register_features.fingerprint(features=features, registry=registry)
        texts = {"features": features, "registry": registry, "force": json.dumps(force), "fingerprint": fingerprint}
        super().__init__(Spec(**texts, feature_set=Channel(type=FeatureSet)))
