"""The statistics pass: TFDV's own combiners over Arrow batches, in this process and without Beam.

What TFDV takes is lists of integers, floats and bytes. Columns of other types come to it as

=========================  ====================================================
column                     what is described
=========================  ====================================================
a scalar                   a list of one value; a null is a missing list
bool                       0 and 1
timestamp                  microseconds since 1970-01-01 (UTC), as in tf.Example
date                       days since 1970-01-01, as in tf.Example
time of day, duration      the count of their unit
decimal, float16           a float
dictionary, extension      what it stands for
a null inside of a list    nothing: it is left out of its list
struct, map, nested list   nothing at all
=========================  ====================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.errors import CorruptData, InvalidType, InvalidValue, MissingDependency, StorageError, reason
from jukebox.storage import place_of
from jukebox.tables import combined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies
    from tensorflow_metadata.proto.v0.schema_pb2 import Schema
    from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

    from jukebox.engine.datasets import Rows
    from jukebox.storage import Place

# The combiners are four times faster on batches of this size than on a thousand rows.
BATCH_ROWS = 100_000
SCHEMA_FILE = "schema.pbtxt"


@dataclass(frozen=True)
class Findings:
    """What is found out: statistics and anomalies by split, and the schema that the data suggest."""

    statistics: Mapping[str, DatasetFeatureStatisticsList]
    schema: Schema
    anomalies: Mapping[str, Anomalies]

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each split."""
        return {name: found.datasets[0].num_examples for name, found in self.statistics.items()}

    @property
    def fingerprint(self) -> str:
        """That of all findings."""
        messages = (*self.statistics.values(), *self.anomalies.values(), self.schema)
        return combined(sha256(message.SerializeToString(deterministic=True)).hexdigest() for message in messages)


def examine(splits: Mapping[str, Rows], schema: Schema | None = None) -> Findings:
    """Return the findings about the rows of each split.

    The first split that has rows suggests the schema; anomalies are judged by ``schema``, else by that one.
    Raises InvalidValue where no split has a row, and what reading and ``statistics_of`` raise.
    """
    statistics = {name: statistics_of(rows(), schema) for name, rows in splits.items()}
    filled = [found for found in statistics.values() if found.datasets[0].num_examples]
    if not filled:
        raise InvalidValue(f"there are no rows to describe in {', '.join(splits)}")
    suggested = inferred_schema(filled[0])
    judge = suggested if schema is None else schema
    return Findings(statistics, suggested, {name: anomalies_of(found, judge) for name, found in statistics.items()})


def statistics_of(batches: Iterable[pa.RecordBatch], schema: Schema | None = None) -> DatasetFeatureStatisticsList:
    """Return TFDV's statistics of all rows; of ``schema`` TFDV takes which integers are categories.

    Memory does not grow with the rows: quantiles, top values and counts of unique values are sketches, exact
    while a column has fewer values than a sketch has places. Raises InvalidType where a column changes its
    type.
    """
    tfdv, implementation = _tfdv()
    generators = implementation.get_generators(tfdv.StatsOptions(schema=schema), in_memory=True)
    for generator in generators:
        generator.setup()
    totals = [generator.create_accumulator() for generator in generators]
    for batch in _gathered(listed(batch) for batch in batches):
        totals = _added(generators, totals, batch)
    return implementation.extract_statistics_output(totals, generators)


def _added(generators: list[Any], totals: list[Any], batch: pa.RecordBatch) -> list[Any]:
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # of NaN and infinity, which are values
            return [each.add_input(total, batch) for each, total in zip(generators, totals, strict=True)]
    except (TypeError, ValueError) as exc:
        raise InvalidType(f"TFDV cannot describe the data: {exc}") from exc


def inferred_schema(statistics: DatasetFeatureStatisticsList) -> Schema:
    """Return the schema that the statistics suggest: types, presence, shapes and small domains."""
    tfdv, _ = _tfdv()
    return tfdv.infer_schema(statistics)


def anomalies_of(statistics: DatasetFeatureStatisticsList, schema: Schema) -> Anomalies:
    """Return in what the statistics break the schema."""
    tfdv, _ = _tfdv()
    return tfdv.validate_statistics(statistics, schema)


def read_schema(path: str | Place) -> Schema:
    """Return the schema in a text proto file, or in ``schema.pbtxt`` of a folder.

    Raises StorageError when there is none, CorruptData when it is no schema.
    """
    _tfdv()
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0.schema_pb2 import Schema

    given = place_of(path)
    file = given / SCHEMA_FILE if given.is_dir() else given
    try:
        return text_format.Parse(file.read_text(), Schema())
    except OSError as exc:
        raise StorageError(f"the schema {file} cannot be read: {reason(exc)}") from exc
    except (text_format.ParseError, UnicodeDecodeError) as exc:
        raise CorruptData(f"{file} is no TFDV schema: {exc}") from exc


def schema_text(schema: Schema) -> str:
    """Return the schema as the text proto that TFX reads."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(schema))


def listed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch as TFDV takes it: every column a list of integers, floats or bytes."""
    taken = [at for at, column in enumerate(batch.schema) if _plain(_element(column.type)) is not None]
    columns = [_listed(batch.column(at)) for at in taken]
    return pa.RecordBatch.from_arrays(columns, names=[batch.schema.names[at] for at in taken])


def _listed(column: pa.Array) -> pa.LargeListArray:
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    dense = column.drop_null() if column.null_count else column
    lengths, values = _lengths_and_values(dense)
    offsets = np.zeros(len(column) + 1, np.int64)
    offsets[1:][valid] = lengths
    np.cumsum(offsets, out=offsets)
    missing = None if column.null_count == 0 else np.append(~valid, False)
    return pa.LargeListArray.from_arrays(pa.array(offsets, mask=missing), _cast(values))


def _lengths_and_values(dense: pa.Array) -> tuple[Any, pa.Array]:
    if not _is_list(dense.type):
        return 1, dense
    values = dense.flatten()
    if pa.types.is_fixed_size_list(dense.type):
        lengths = np.full(len(dense), dense.type.list_size)
    else:
        lengths = pc.list_value_length(dense).to_numpy(zero_copy_only=False)
    if values.null_count:
        kept = values.is_valid().to_numpy(zero_copy_only=False)
        parents = np.repeat(np.arange(len(dense)), lengths)[kept]
        lengths, values = np.bincount(parents, minlength=len(dense)), values.drop_null()
    return lengths, values


def _cast(values: pa.Array) -> pa.Array:
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    kind, plain = values.type, _plain(values.type)
    if kind == plain:
        return values
    if pa.types.is_float16(kind):
        return pa.array(values.to_numpy(zero_copy_only=False).astype(np.float32))
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", kind.tz), safe=False)
    elif pa.types.is_date(kind):
        values = values.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_time32(kind):
        values = values.cast(pa.int32())
    return values.cast(plain)


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """Return the type that TFDV takes for values of ``kind``, None where it has none."""
    test = pa.types
    if test.is_boolean(kind) or test.is_temporal(kind):
        return pa.int64()
    if test.is_decimal(kind):
        return pa.float64()
    if test.is_float16(kind):
        return pa.float32()
    if test.is_fixed_size_binary(kind):
        return pa.binary()
    takes = (test.is_integer, test.is_floating, test.is_string, test.is_binary, test.is_null)
    large = (test.is_large_string, test.is_large_binary)
    return kind if any(check(kind) for check in (*takes, *large)) else None


def _element(kind: pa.DataType) -> pa.DataType:
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    kind = kind.value_type if _is_list(kind) else kind
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of at least BATCH_ROWS, the last of what is left."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= BATCH_ROWS:
            yield _one(held)
            held, rows = [], 0
    if rows:
        yield _one(held)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    from tfx_bsl.arrow.table_util import MergeRecordBatches

    if len(batches) == 1:
        return batches[0]
    try:
        return MergeRecordBatches(batches)
    except (RuntimeError, ValueError, TypeError) as exc:
        raise InvalidType(f"a column changes its type from one part of the data to the next: {exc}") from exc


def _tfdv() -> tuple[Any, Any]:
    # Importing TFDV takes seconds: nothing but the pass itself may do so.
    try:
        import tensorflow_data_validation as tfdv
        from tensorflow_data_validation.statistics import stats_impl
    except ImportError as exc:
        raise MissingDependency.of("tensorflow-data-validation", "tfx") from exc
    return tfdv, stats_impl
