"""The trainer: a small network that says how likely a flight is to arrive late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow_transform as tft

from jukebox.errors import InvalidValue
from jukebox.examples.flights import columns
from jukebox.examples.flights.examples import labelled
from jukebox.examples.flights.export import export

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

_BATCH = 1024
_EPOCHS = 3
_SEED = 20130101

_VECTORS = {"all": (columns.SCHEDULE_VECTOR, columns.JOINED_VECTOR), "labels_only": (columns.SCHEDULE_VECTOR,)}
_CATEGORIES = {"all": columns.CATEGORIES + columns.JOINED_CATEGORIES, "labels_only": columns.CATEGORIES}


def run_fn(fn_args: FnArgs) -> None:
    """Leave a trained SavedModel in ``fn_args.serving_model_dir``.

    The files of ``fn_args`` are the training set's own examples, not transformed ones: the graph of Transform is
    applied here, as it will be when serving. ``custom_config["columns"]`` is ``all`` (the default) or
    ``labels_only``, the same model without what the join brought. Raises InvalidValue for another choice.
    """
    chosen = (fn_args.custom_config or {}).get("columns", "all")
    if chosen not in _VECTORS:
        known = ", ".join(_VECTORS)
        raise InvalidValue(f"columns '{chosen}' is not known to the flights model; there are {known}")
    tf.keras.utils.set_random_seed(_SEED)
    transform = tft.TFTransformOutput(fn_args.transform_output)
    model = network(transform, chosen)
    inputs, late = labelled(fn_args.train_files, transform, tuple(model.input))
    unseen = labelled(fn_args.eval_files, transform, tuple(model.input))
    model.fit(inputs, late, batch_size=_BATCH, epochs=_EPOCHS, validation_data=unseen, verbose=0)
    export(model, transform, fn_args.serving_model_dir)


def network(transform: tft.TFTransformOutput, chosen: str) -> Any:
    """Return a compiled Keras model over the transformed columns of the choice ``all`` or ``labels_only``."""
    spec = transform.transformed_feature_spec()
    sizes = {name: transform.vocabulary_size_by_name(name) + 1 for name in _CATEGORIES[chosen]}
    sizes[columns.PART_OF_DAY] = columns.PARTS_OF_DAY
    vectors = {name: tf.keras.Input(spec[name].shape, name=name) for name in _VECTORS[chosen]}
    indices = {name: tf.keras.Input((), dtype="int64", name=name) for name in sizes}
    embedded = [tf.keras.layers.Embedding(size, 8)(indices[name]) for name, size in sizes.items()]
    layer = tf.keras.layers.Concatenate()([*vectors.values(), *embedded])
    for units in (64, 32):
        layer = tf.keras.layers.Dense(units, activation="relu")(layer)
    model = tf.keras.Model(vectors | indices, tf.keras.layers.Dense(1, activation="sigmoid")(layer))
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=[tf.keras.metrics.AUC(name="auc")])
    return model
