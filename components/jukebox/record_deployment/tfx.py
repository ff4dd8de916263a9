"""The TFX face of record_deployment."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Model

from jukebox import record_deployment
from jukebox.artifacts import Deployment, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of RecordDeployment."""

    PARAMETERS = {
        "endpoint": ExecutionParameter(type=str),
        "registry": ExecutionParameter(type=str),
        "active": ExecutionParameter(type=bool),
    }
    INPUTS = {"model": ChannelParameter(type=Model)}
    OUTPUTS = {"deployment": ChannelParameter(type=Deployment)}


def spec_for(model: BaseChannel) -> type[Spec]:
    """Return the spec for what is deployed: a Trainer's Model or a Pusher's PushedModel."""
    return type("Spec", (Spec,), {"INPUTS": {"model": ChannelParameter(type=model.type)}})


class Executor(BaseExecutor):
    """Runs record_deployment in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Record the deployment and describe it."""
        [model], [deployment] = input_dict["model"], output_dict["deployment"]
        manifest = record_deployment.run(
            model=model.uri,
            endpoint=exec_properties["endpoint"],
            registry=exec_properties["registry"],
            active=bool(exec_properties["active"]),
            out=deployment.uri,
            execution=execution_id(self),
        )
        describe(deployment, manifest)
        deployment.set_string_custom_property("endpoint", manifest.details["endpoint"])
        deployment.set_string_custom_property("active", manifest.details["active"])


class RecordDeployment(BaseComponent):
    """Records that a model serves at an endpoint, or serves there no longer; gives the channel ``deployment``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, *, model: BaseChannel, endpoint: str, registry: str, active: bool = True):
        """Take a Model or a PushedModel, the name of the endpoint, and whether it serves there from now on."""
        about = {"endpoint": endpoint, "registry": registry, "active": active}
        super().__init__(spec_for(model)(model=model, **about, deployment=Channel(type=Deployment)))
