"""The TFX artifact types of Jukebox: named so that every orchestrator can import them, facts in custom properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfx.types.artifact import Artifact

if TYPE_CHECKING:
    from tfx.dsl.components.base.base_executor import BaseExecutor

    from jukebox.tables import Manifest


class DataSet(Artifact):  # type: ignore[misc]
    """A folder of source data, as data endpoints name it."""

    TYPE_NAME = "jukebox.DataSet"


class FeatureSet(Artifact):  # type: ignore[misc]
    """The features that a registration left in the registry, with their versions."""

    TYPE_NAME = "jukebox.FeatureSet"


class FeatureTable(Artifact):  # type: ignore[misc]
    """Features of one data endpoint, partitioned by date."""

    TYPE_NAME = "jukebox.FeatureTable"


class OnlineTable(Artifact):  # type: ignore[misc]
    """What was loaded into an online store."""

    TYPE_NAME = "jukebox.OnlineTable"


class Consistency(Artifact):  # type: ignore[misc]
    """The statistics of what was served beside what training would have had."""

    TYPE_NAME = "jukebox.Consistency"


class Verification(Artifact):  # type: ignore[misc]
    """The report on a training set that was derived again."""

    TYPE_NAME = "jukebox.Verification"


class ModelRecord(Artifact):  # type: ignore[misc]
    """What a model was trained on, as ``record_model`` recorded it."""

    TYPE_NAME = "jukebox.ModelRecord"


class Deployment(Artifact):  # type: ignore[misc]
    """A model at an endpoint; the custom property ``active`` tells whether it serves there."""

    TYPE_NAME = "jukebox.Deployment"


def describe(artifact: Artifact, manifest: Manifest) -> None:
    """Show the manifest's facts as string custom properties of ``artifact``."""
    for name, value in manifest.facts.items():
        artifact.set_string_custom_property(name, value)


def execution_id(executor: BaseExecutor) -> str | None:
    """Return the id of the MLMD execution that an executor runs in, None where its orchestrator gives none."""
    # TFX has no public name for it; the folder for temporary files is made of it.
    identity = getattr(executor._context, "_unique_id", None)  # noqa: SLF001
    return str(identity) if identity else None
