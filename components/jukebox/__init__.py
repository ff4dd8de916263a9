"""Features for TFX and Kubeflow Pipelines: registered once, joined point-in-time, served by name.

The nouns stand here; a component is ``from jukebox import offline_load`` and its ``run``; pipelines import the faces
from ``jukebox.tfx`` and ``jukebox.kfp``.
"""

from __future__ import annotations

from typing import Any

from jukebox.errors import JukeboxError
from jukebox.features import Endpoint, Feature, FeatureName, Key

__all__ = ["Endpoint", "Feature", "FeatureName", "JukeboxError", "Key"]

_ARTIFACTS = ("DataSet", "FeatureSet", "FeatureTable", "OnlineTable", "Verification")


def __getattr__(name: str) -> Any:
    # TFX on KFP finds an artifact's class by its TYPE_NAME, jukebox.FeatureTable, in the top package.
    if name in _ARTIFACTS:
        from jukebox import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module 'jukebox' has no attribute '{name}'")
