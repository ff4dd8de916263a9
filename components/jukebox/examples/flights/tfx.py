"""The flights' own steps as TFX components: the producer of the sources, and the metric step."""

# Without `from __future__ import annotations`: TFX reads the annotations when the module is imported.

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation

from jukebox.artifacts import DataSet
from jukebox.examples.flights import evaluation as metric_step
from jukebox.examples.flights import sources as producer


@component
def FlightSources(sources: OutputArtifact[DataSet], labels: OutputArtifact[DataSet]) -> None:
    """Leave the dated feature sources in ``sources`` and every flight at its scheduled departure in ``labels``."""
    producer.run(out=sources.uri, labels=labels.uri)


@component
def EvaluateModels(
    model: InputArtifact[Model],
    baseline: InputArtifact[Model],
    examples: InputArtifact[Examples],
    evaluation: OutputArtifact[ModelEvaluation],
    blessing: OutputArtifact[ModelBlessing],
) -> None:
    """Leave metrics.json in ``evaluation``, and in ``blessing`` what a Pusher asks for."""
    metrics = metric_step.run(model=model.uri, baseline=baseline.uri, examples=examples.uri, out=evaluation.uri)
    metric_step.bless(blessing.uri, blessed=metrics["blessed"])
    blessing.set_int_custom_property("blessed", int(metrics["blessed"]))
