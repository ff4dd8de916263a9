"""Predictions for entities: what an instance does not give is fetched, under the columns the model was trained on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.errors import InvalidType, InvalidValue, MissingColumn, reason
from jukebox.formats import tfexample
from jukebox.serving.passed_values import checked_value, named_type
from jukebox.serving.server.values import plain, reader, understood, unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.serving.reader import FeatureReader
    from jukebox.serving.server.saved_models import SavedModel
    from jukebox.serving.vectors import FeatureVectors

    Row = Mapping[str, Any]


class Predictor:
    """A SavedModel with the reader of its features."""

    def __init__(self, model: SavedModel, reader: FeatureReader) -> None:
        self.model, self._reader = model, reader

    def rows(self, signature: str | None, instances: Sequence[Any], **options: Any) -> list[Any]:
        """Return a prediction for each instance: a value, or a mapping of them where the model has several outputs.

        An instance maps columns to values, entity keys among them, or is the value of the sole input. ``options`` are
        those of the reader's ``read_many``. Raises its errors, and InvalidType and InvalidValue for what the model
        cannot take.
        """
        if len(instances) == 0:
            raise InvalidValue("there is no instance; a prediction takes one or more")
        outputs = self._run(signature, instances, options)
        lengths = {name: len(values) if values.ndim > 0 else None for name, values in outputs.items()}
        if set(lengths.values()) != {len(instances)}:
            raise InvalidValue(f"the model gives outputs of {lengths} rows for {len(instances)} instances; use inputs")
        columns = {name: _listed(name, values) for name, values in outputs.items()}
        if len(columns) == 1:
            return next(iter(columns.values()))
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def columns(self, signature: str | None, inputs: Any, **options: Any) -> Any:
        """Return the outputs by name, or the sole one, for inputs by name, columns of equal length, or the sole one."""
        names = list(self.model.inputs(signature))
        given = inputs if isinstance(inputs, dict) else {names[0]: inputs} if len(names) == 1 else None
        if given is None:
            raise InvalidType(f"inputs is no mapping, and the model has the inputs {', '.join(names)}")
        lengths = {len(column) if isinstance(column, list) else None for column in given.values()}
        if len(lengths) != 1 or None in lengths:
            raise InvalidValue("inputs are not columns of equal length")
        count = lengths.pop() or 0
        rows = [{name: column[place] for name, column in given.items()} for place in range(count)]
        outputs = self._run(signature, rows, options)
        told = {name: _listed(name, values) for name, values in outputs.items()}
        return next(iter(told.values())) if len(told) == 1 else told

    def _run(
        self, signature: str | None, instances: Sequence[Any], options: Mapping[str, Any]
    ) -> dict[str, np.ndarray[Any, Any]]:
        examples, names = self.model.takes_examples(signature), list(self.model.inputs(signature))
        rows = [self._row(each, names) for each in instances]
        if examples is not None and not all(examples in row for row in rows):
            return self.model.run(signature, {examples: self._examples(rows, options)})
        fetched = self._fetched(rows, names, options)
        dtypes = {name: self.model.dtype(signature, name) for name in names}
        return self.model.run(signature, {name: _input(name, dtypes[name], rows, fetched) for name in names})

    @staticmethod
    def _row(instance: Any, inputs: Sequence[str]) -> Row:
        value = unwrapped(instance)
        if isinstance(value, dict):
            return {name: unwrapped(each) for name, each in value.items()}
        if len(inputs) == 1:
            return {inputs[0]: value}
        raise InvalidType(
            f"an instance maps the inputs {', '.join(inputs)} or entity keys to values; {instance!r} does not"
        )

    def _fetched(self, rows: Sequence[Row], wanted: Sequence[str], options: Mapping[str, Any]) -> FeatureVectors | None:
        """Return the features of all rows, None where each row gives what is wanted itself."""
        missing = {name for name in wanted for row in rows if name not in row}
        lookup = self._reader.lookup()
        if not missing & {entry.column for entry in lookup.entries}:
            return None
        return self._reader.read_many(understood(rows, lookup), **options)

    def _examples(self, rows: Sequence[Row], options: Mapping[str, Any]) -> list[bytes]:
        """Return each row as a serialized example: its columns, and features, as a training set has them."""
        features = [entry.column for entry in self._reader.lookup().entries]
        fetched = self._fetched(rows, features, options)
        table = None if fetched is None else fetched.to_arrow()
        columns = {} if table is None else {name: table[name].combine_chunks() for name in table.column_names}
        for name in dict.fromkeys(name for row in rows for name in row):
            columns[name] = self._column(name, rows, columns.get(name))
        # In the older Arrow a batch has no columns of pieces.
        batch = pa.RecordBatch.from_arrays([*map(_whole, columns.values())], names=list(columns))
        examples: list[bytes] = tfexample.encode(batch).to_pylist()
        return examples

    def _column(self, name: str, rows: Sequence[Row], fetched: pa.Array | None) -> pa.Array:
        trained = self._reader.trained
        told = None if trained is None else named_type(trained.schema.get(name, ""))
        of = told if fetched is None else fetched.type
        read = (None if of is None else reader(of)) or (lambda value: value)
        values = []
        for place, row in enumerate(rows):
            if name in row:
                values.append(checked_value(read(row[name]), of, f"'{name}'"))
            else:
                values.append(None if fetched is None else fetched[place].as_py())
        try:
            return pa.array(values, of)
        except (pa.ArrowException, TypeError, OverflowError) as exc:
            raise InvalidType(f"the values of '{name}' make no column: {reason(exc)}") from exc


def _whole(array: Any) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _input(name: str, dtype: np.dtype[Any], rows: Sequence[Row], fetched: FeatureVectors | None) -> list[Any]:
    """Return the values of one input: as given, or as fetched; a null is NaN or the empty text, and no integer."""
    column = None if fetched is None else next((each for each in fetched.columns if each.name == name), None)
    found = None if column is None else column.values()
    values = []
    for place, row in enumerate(rows):
        if name not in row and found is None:
            there = ", ".join(map(repr, row)) or "nothing"
            raise MissingColumn(f"input '{name}' is no feature of the model and not in the instance, which has {there}")
        value = row[name] if name in row else found[place]  # type: ignore[index]
        values.append(_or_missing(name, dtype) if value is None else value)
    return values


def _or_missing(name: str, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return math.nan
    if dtype.kind == "O":
        return b""
    raise InvalidValue(f"'{name}' has no value for an instance, and the model's input of type {dtype} takes no null")


def _listed(name: str, values: np.ndarray[Any, Any]) -> Any:
    if values.dtype == object and not name.endswith("_bytes"):
        # TensorFlow Serving tells text from bytes by the name of an output.
        texts = [value.decode("utf-8", "replace") for value in values.reshape(-1).tolist()]
        return np.array(texts, object).reshape(values.shape).tolist()
    return plain(values.tolist())
