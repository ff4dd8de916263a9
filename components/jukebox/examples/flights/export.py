"""A SavedModel that takes raw examples: the transformation travels with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from jukebox.examples.flights import columns

if TYPE_CHECKING:
    import tensorflow_transform as tft


class Served(tf.Module):  # type: ignore[misc]
    """Serialized tf.Examples in, probabilities out; whole as a SavedModel, vocabularies included."""

    def __init__(self, model: Any, transform: tft.TFTransformOutput) -> None:
        super().__init__()
        self._model = model
        self._inputs = tuple(model.input)
        # The layer belongs to the older Keras: inside a model of Keras 3 its files would not be tracked.
        self._transform = transform.transform_features_layer()
        self._spec = transform.raw_feature_spec()
        del self._spec[columns.LABEL]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])  # type: ignore[untyped-decorator]
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return ``late``: for each example the probability that the flight arrives late."""
        transformed = self._transform(tf.io.parse_example(examples, self._spec))
        inputs = {name: transformed[name] for name in self._inputs}
        return {columns.LABEL: tf.squeeze(self._model(inputs, training=False), axis=1)}


def export(model: Any, transform: tft.TFTransformOutput, folder: str) -> None:
    """Leave ``model`` behind its transformation in ``folder``, with the signature ``serving_default``."""
    served = Served(model, transform)
    tf.saved_model.save(served, folder, signatures={"serving_default": served.serve})
