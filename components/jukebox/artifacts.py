"""The TFX artifact types of Jukebox: named so that every orchestrator can import them, facts in custom properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfx.types.artifact import Artifact

if TYPE_CHECKING:
    from jukebox.tables import Manifest


class DataSet(Artifact):
    """A folder of source data, as data endpoints name it."""

    TYPE_NAME = "jukebox.DataSet"


class FeatureSet(Artifact):
    """The features that a registration left in the registry, with their versions."""

    TYPE_NAME = "jukebox.FeatureSet"


class FeatureTable(Artifact):
    """Features of one data endpoint, partitioned by date."""

    TYPE_NAME = "jukebox.FeatureTable"


class OnlineTable(Artifact):
    """What was loaded into an online store."""

    TYPE_NAME = "jukebox.OnlineTable"


def describe(artifact: Artifact, manifest: Manifest) -> None:
    """Show the manifest's facts as string custom properties of ``artifact``."""
    for name, value in manifest.facts.items():
        artifact.set_string_custom_property(name, value)
