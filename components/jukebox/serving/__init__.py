"""What a model server calls: features by name, as of now, as training had them."""

from jukebox.serving.reader import FeatureReader
from jukebox.serving.served import Served, ServedFeature
from jukebox.serving.vectors import FeatureValue, FeatureVector, FeatureVectors

__all__ = ["FeatureReader", "FeatureValue", "FeatureVector", "FeatureVectors", "Served", "ServedFeature"]
