"""The container image that every KFP face names."""

from __future__ import annotations

import os
from importlib.metadata import version

IMAGE = os.environ.get("JUKEBOX_IMAGE", f"jukebox:{version('jukebox')}")
