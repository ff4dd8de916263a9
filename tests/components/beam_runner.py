"""Beam's local runner, which writes down what it ran."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.pipeline import Pipeline

NAME = f"{__name__}.Noting"


class Noting(FnApiRunner):
    """Leaves the names of a pipeline's steps in the file that ``--temp_location`` names."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> Any:
        """Run the pipeline."""
        steps = [part.full_label for part in pipeline.transforms_stack[0].parts]
        Path(options.view_as(GoogleCloudOptions).temp_location).write_text("\n".join(steps))
        return super().run_pipeline(pipeline, options)
