"""The preprocessing of the flights: what Transform learns from the training split and freezes into a graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft

from jukebox.examples.flights import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Inputs = Mapping[str, tf.Tensor | tf.SparseTensor]

# A sensor once reported a wind of 1,048 mph: beyond this many standard deviations a number says no more.
_FAR = 4.0
_HOURS_BETWEEN_PARTS = [6, 9, 12, 15, 18, 21]


def preprocessing_fn(inputs: Inputs) -> dict[str, tf.Tensor]:
    """Return the transformed columns: two vectors of numbers, a vocabulary index for each category, the label.

    A missing number becomes the mean (0 after scaling) and sets its indicator to 1; a missing category is the
    empty word; a missing label becomes -1, so that no row is lost here.
    """
    numbers, joined = (_scaled(_numbers(inputs, names)) for names in (columns.SCHEDULE, columns.JOINED))
    missing = tf.cast(tf.math.is_nan(_numbers(inputs, columns.JOINED)), tf.float32)
    hour = _dense(inputs["sched_dep_hour"], 0)
    clock = _on_circle(hour, 24) + _on_circle(_dense(inputs["sched_dep_weekday"], 1), 7)
    return {
        columns.SCHEDULE_VECTOR: tf.concat([numbers, tf.stack(clock, axis=1)], axis=1),
        columns.JOINED_VECTOR: tf.concat([joined, missing], axis=1),
        columns.PART_OF_DAY: tft.apply_buckets(hour, tf.constant([_HOURS_BETWEEN_PARTS])),
        **{name: _index(inputs, name) for name in columns.CATEGORIES + columns.JOINED_CATEGORIES},
        columns.LABEL: _dense(inputs[columns.LABEL], columns.MISSING_LABEL),
    }


def _numbers(inputs: Inputs, names: Sequence[str]) -> tf.Tensor:
    # One matrix with NaN for what is missing, so that one pass over the data analyses every column.
    return tf.stack([_float(inputs[name]) for name in names], axis=1)


def _scaled(numbers: tf.Tensor) -> tf.Tensor:
    # The analysis leaves NaN out of mean and variance.
    scaled = tft.scale_to_z_score(numbers, elementwise=True)
    return tf.where(tf.math.is_nan(scaled), 0.0, tf.clip_by_value(scaled, -_FAR, _FAR))


def _on_circle(value: tf.Tensor, period: int) -> list[tf.Tensor]:
    angle = tf.cast(value, tf.float32) * (2 * math.pi / period)
    return [tf.sin(angle), tf.cos(angle)]


def _index(inputs: Inputs, name: str) -> tf.Tensor:
    return tft.compute_and_apply_vocabulary(_dense(inputs[name], ""), vocab_filename=name, num_oov_buckets=1)


def _float(column: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    return _dense(tf.cast(column, tf.float32), math.nan)


def _dense(column: tf.Tensor | tf.SparseTensor, default: float | str) -> tf.Tensor:
    """Return one value a row, ``default`` where there is none."""
    if not isinstance(column, tf.SparseTensor):
        return tf.reshape(column, [-1])
    one_a_row = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(one_a_row, tf.cast(default, column.dtype)), axis=1)
