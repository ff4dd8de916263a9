"""A SavedModel as TensorFlow Serving runs one: rows or columns in by the names of a signature's inputs, outputs out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jukebox.errors import InvalidValue, StorageError, importing, reason

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "serving_default"
_FILES = ("saved_model.pb", "saved_model.pbtxt")


def version_folder(path: str) -> str:
    """Return the folder of a SavedModel: ``path``, or the numbered folder in it of the highest number.

    Raises StorageError where there is none.
    """
    folder = Path(path)
    if any((folder / file).exists() for file in _FILES):
        return path
    versions = [each for each in folder.glob("*") if each.name.isascii() and each.name.isdigit()]
    whole = [each for each in versions if any((each / file).exists() for file in _FILES)]
    if not whole:
        raise StorageError(f"there is no SavedModel in {path}, nor in a numbered folder of it")
    return str(max(whole, key=lambda each: int(each.name)))


class SavedModel:
    """A SavedModel in memory; raises StorageError where it cannot be read, MissingDependency without TensorFlow."""

    def __init__(self, path: str) -> None:
        # Its libraries in C++ tell of missing graphics cards; what fails is raised besides.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with importing("tensorflow", "tfx"):
            import tensorflow as tf
        self._tf = tf
        self.folder = version_folder(path)
        name = Path(self.folder).name
        self.version = name if name.isascii() and name.isdigit() else "1"
        try:
            self._loaded = tf.saved_model.load(self.folder)
        except (OSError, ValueError, tf.errors.OpError) as exc:
            raise StorageError(f"the SavedModel in {self.folder} cannot be loaded: {reason(exc)}") from exc

    @property
    def signatures(self) -> tuple[str, ...]:
        """The names of its signatures."""
        return tuple(self._loaded.signatures)

    def inputs(self, signature: str | None) -> dict[str, Any]:
        """Return the inputs of a signature as TensorFlow's specs, by name; raises InvalidValue for one not there."""
        name = DEFAULT if signature is None else signature
        if name not in self.signatures:
            raise InvalidValue(f"the model has no signature '{name}'; it has {', '.join(self.signatures) or 'none'}")
        inputs: dict[str, Any] = self._loaded.signatures[name].structured_input_signature[1]
        return inputs

    def takes_examples(self, signature: str | None) -> str | None:
        """Return the name of the sole input where that takes serialized records, one a row, None otherwise."""
        inputs = self.inputs(signature)
        name, spec = next(iter(inputs.items()), (None, None))
        one = len(inputs) == 1 and spec is not None and spec.dtype == self._tf.string and spec.shape.rank == 1
        return name if one else None

    def dtype(self, signature: str | None, name: str) -> np.dtype[Any]:
        """Return the NumPy type of an input; texts are objects."""
        return np.dtype(self.inputs(signature)[name].dtype.as_numpy_dtype)

    def run(self, signature: str | None, inputs: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Return the outputs by name; raises InvalidValue for inputs that the model cannot take."""
        specs = self.inputs(signature)
        tf = self._tf
        try:
            given = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
            found = self._loaded.signatures[DEFAULT if signature is None else signature](**given)
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as exc:
            raise InvalidValue(f"the model cannot take what it is given: {_said(exc)}") from exc
        return {name: tensor.numpy() for name, tensor in found.items()}


def _said(error: Exception) -> str:
    """Return what an error of a graph says, without the places in the graph that it tells before and after."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("[[")), type(error).__name__)
