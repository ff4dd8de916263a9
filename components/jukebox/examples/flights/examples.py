"""The training set as the trainer wants it: transformed, in memory, rows without a label left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from jukebox.errors import NoPartition
from jukebox.examples.flights import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import tensorflow_transform as tft

    Arrays = dict[str, npt.NDArray[np.float64]]

_BATCH = 4096


def labelled(
    files: Sequence[str], transform: tft.TFTransformOutput, names: tuple[str, ...]
) -> tuple[Arrays, npt.NDArray[np.float64]]:
    """Return the transformed columns ``names`` and the labels of gzip files of examples, in their order.

    ``files`` are patterns. Raises NoPartition where no row has a label.
    """
    spec, layer = transform.raw_feature_spec(), transform.transform_features_layer()

    def transformed(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        row = layer(tf.io.parse_example(batch, spec))
        known = row[columns.LABEL] != columns.MISSING_LABEL
        return {name: tf.boolean_mask(row[name], known) for name in (*names, columns.LABEL)}

    paths = tf.data.Dataset.list_files(list(files), shuffle=False)
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP").batch(_BATCH)
    parts = list(records.map(transformed, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    if sum(len(part[columns.LABEL]) for part in parts) == 0:
        raise NoPartition(f"no row of {', '.join(files)} has a label to train on")
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in (*names, columns.LABEL)}
    return arrays, arrays.pop(columns.LABEL)
