"""The TFX face of verify_training_set."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples

from jukebox import verify_training_set
from jukebox.artifacts import Verification, describe, execution_id


class Spec(ComponentSpec):
    """The parameters and channels of VerifyTrainingSet."""

    PARAMETERS = {
        "rows": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
        "registry": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"training_set": ChannelParameter(type=Examples)}
    OUTPUTS = {"verification": ChannelParameter(type=Verification)}


class Executor(BaseExecutor):
    """Runs verify_training_set in a TFX pipeline."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Verify the training set and describe what was compared."""
        [training_set], [verification] = input_dict["training_set"], output_dict["verification"]
        manifest = verify_training_set.run(
            training_set=training_set.uri,
            out=verification.uri,
            rows=exec_properties["rows"],
            seed=exec_properties["seed"],
            registry=exec_properties.get("registry"),
            execution=execution_id(self),
        )
        describe(verification, manifest)


class VerifyTrainingSet(BaseComponent):
    """Derives rows of a training set again and fails where they differ; gives the channel ``verification``."""

    SPEC_CLASS = Spec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, *, training_set: BaseChannel, rows: int = 1000, seed: int = 0, registry: str | None = None):
        """Take a training set that PointInTimeJoin made, and how many of its labels to look at.

        TFX records the run by itself; ``registry`` is there because the KFP face has it.
        """
        about = {"rows": rows, "seed": seed, "registry": registry}
        super().__init__(Spec(training_set=training_set, **about, verification=Channel(type=Verification)))
