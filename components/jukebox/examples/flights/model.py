"""The trainer: a small network that says how likely a flight is to arrive late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow_transform as tft

from jukebox.errors import InvalidValue
from jukebox.examples.flights import columns
from jukebox.examples.flights.export import export

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfx.components.trainer.fn_args_utils import FnArgs

_BATCH = 1024
_EPOCHS = 3
_SEED = 20130101

_VECTORS = {"all": (columns.SCHEDULE_VECTOR, columns.JOINED_VECTOR), "labels_only": (columns.SCHEDULE_VECTOR,)}
_CATEGORIES = {"all": columns.CATEGORIES + columns.JOINED_CATEGORIES, "labels_only": columns.CATEGORIES}


def run_fn(fn_args: FnArgs) -> None:
    """Leave a trained SavedModel in ``fn_args.serving_model_dir``.

    ``custom_config["columns"]`` is ``all`` (the default) or ``labels_only``, the same model without what the
    join brought. The same examples give the same model. Raises InvalidValue for another choice.
    """
    chosen = (fn_args.custom_config or {}).get("columns", "all")
    if chosen not in _VECTORS:
        raise InvalidValue(f"columns '{chosen}' is not known to the flights model; there are {', '.join(_VECTORS)}")
    tf.keras.utils.set_random_seed(_SEED)
    transform = tft.TFTransformOutput(fn_args.transform_output)
    model = network(transform, chosen)
    training, evaluation = (labelled(f, transform, model) for f in (fn_args.train_files, fn_args.eval_files))
    shuffled = training.unbatch().shuffle(1 << 16, seed=_SEED).batch(_BATCH)
    model.fit(shuffled, epochs=_EPOCHS, validation_data=evaluation, verbose=2)
    export(model, transform, fn_args.serving_model_dir)


def network(transform: tft.TFTransformOutput, chosen: str) -> Any:
    """Return a compiled Keras model over the transformed columns of the choice ``all`` or ``labels_only``."""
    spec = transform.transformed_feature_spec()
    inputs = {name: tf.keras.Input(spec[name].shape, name=name) for name in _VECTORS[chosen]}
    sizes = {name: transform.vocabulary_size_by_name(name) + 1 for name in _CATEGORIES[chosen]}
    sizes[columns.PART_OF_DAY] = 7
    inputs |= {name: tf.keras.Input((), dtype="int64", name=name) for name in sizes}
    embedded = [tf.keras.layers.Embedding(size, 8)(inputs[name]) for name, size in sizes.items()]
    layer = tf.keras.layers.Concatenate()([*(inputs[name] for name in _VECTORS[chosen]), *embedded])
    for units in (64, 32):
        layer = tf.keras.layers.Dense(units, activation="relu")(layer)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1, activation="sigmoid")(layer))
    model.compile(tf.keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=[tf.keras.metrics.AUC(name="auc")])
    return model


def labelled(files: Sequence[str], transform: tft.TFTransformOutput, model: Any) -> tf.data.Dataset:
    """Return batches of (inputs of ``model``, label) of the transformed examples, those without a label left out."""
    spec = transform.transformed_feature_spec()
    wanted = {name: spec[name] for name in (*model.input, columns.LABEL)}

    def parse(batch: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        row = tf.io.parse_example(batch, wanted)
        known = row[columns.LABEL] != columns.MISSING_LABEL
        row = {name: tf.boolean_mask(value, known) for name, value in row.items()}
        return row, row.pop(columns.LABEL)

    paths = tf.data.Dataset.list_files(list(files), shuffle=False)
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP").batch(4 * _BATCH)
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).cache().prefetch(tf.data.AUTOTUNE)
