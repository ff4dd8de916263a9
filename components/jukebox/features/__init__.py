"""What the registry speaks of: features, their names, keys and data endpoints, and their YAML form.

``jukebox.features.file`` reads a features file; it stands apart, for it needs a YAML parser.
"""

from jukebox.features.definitions import Endpoint, Feature, Key
from jukebox.features.durations import format_duration, parse_duration
from jukebox.features.names import FeatureName

__all__ = [
    "Endpoint",
    "Feature",
    "FeatureName",
    "Key",
    "format_duration",
    "parse_duration",
]
