"""Running a Beam pipeline: its flags, and what a worker raised, as errors of Jukebox's own."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from jukebox import errors
from jukebox.errors import InvalidType, InvalidValue, JobFailed, JukeboxError, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_STEP = re.compile(r" \[while running '[^']*'\]$")
_RAISED = re.compile(r"jukebox\.errors\.(\w+): (.*?)(?: \[while running .*)?$", re.MULTILINE)


def pipeline(arguments: Sequence[str], *, local: str = LOCAL) -> beam.Pipeline:
    """Return an empty pipeline with these flags, which runs here, on the runner ``local``, unless they name another.

    Raises InvalidType and InvalidValue for flags that Beam cannot use.
    """
    if isinstance(arguments, str) or not all(isinstance(each, str) for each in arguments):
        raise InvalidType(f"beam_pipeline_args is {arguments!r}; it must be a list of texts such as '--runner=…'")
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            options = PipelineOptions(list(arguments))
            # A flag is looked at when it is first asked for, which may be too late.
            options.get_all_options()
            if options.view_as(StandardOptions).runner is None:
                options.view_as(StandardOptions).runner = local
            return beam.Pipeline(options=options)
    except SystemExit as exc:
        # So argparse refuses a flag, after pages of usage.
        told = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise InvalidValue(f"beam_pipeline_args cannot be used: {told}") from exc
    except (ValueError, ImportError, AttributeError) as exc:
        raise InvalidValue(f"beam_pipeline_args cannot be used: {' '.join(str(exc).split())}") from exc


def run(whole: beam.Pipeline) -> Any:
    """Run a pipeline to its end and return its result; raises what a worker raised, and JobFailed."""
    try:
        result = whole.run()
        result.wait_until_finish()
    except JukeboxError as exc:
        # Beam has added the step to its sentence.
        raise type(exc)(_STEP.sub("", str(exc))) from exc
    except Exception as exc:
        raise _told(exc) from exc
    return result


def _told(exc: Exception) -> JukeboxError:
    """Return the error that a worker raised, found in what the runner says, or what the runner says."""
    found = _RAISED.findall(str(exc))
    for name, message in found:
        kind: Any = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, JukeboxError):
            raised: JukeboxError = kind(message)
            return raised
    return JobFailed(f"the Beam pipeline did not finish: {reason(exc)}")
