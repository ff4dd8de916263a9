"""What the benchmark of the formats runs, each in a process of its own: our conversions, and those of the peers.

A converter is called with the path to read and the path to write. Imports stand in the functions, for a process shall
hold what its converter needs and nothing else; ``WARM`` names what is imported before the clock starts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = {
    "user": pa.int64(),
    "plays": pa.int64(),
    "premium": pa.int64(),
    "at": pa.int64(),
    "score_0": pa.float32(),
    "score_1": pa.float32(),
    "score_2": pa.float32(),
    "rate": pa.float32(),
    "artist": pa.string(),
    "country": pa.string(),
}
SUFFIXES = {"parquet": ".parquet", "avro": ".avro", "csv": ".csv", "jsonl": ".jsonl", "tfrecord": ".tfrecord"}


def batch(rows: int, seed: int) -> pa.RecordBatch:
    """Return ten columns: four integers (one a time), four floats, two texts; a tenth of two columns is null."""
    random = np.random.default_rng(seed)
    nulls = random.random(rows) < 0.1
    words = np.array([f"word-{number}" for number in range(5_000)])
    columns = {
        "user": pa.array(random.integers(0, 1 << 40, rows)),
        "plays": pa.array(random.integers(0, 300, rows), mask=nulls),
        "premium": pa.array(random.integers(0, 2, rows)),
        "at": pa.array(random.integers(1_600_000_000_000_000, 1_700_000_000_000_000, rows)),
        **{f"score_{each}": pa.array(random.random(rows).astype(np.float32)) for each in range(3)},
        "rate": pa.array(random.random(rows).astype(np.float32), mask=nulls),
        "artist": pa.array(words[random.integers(0, len(words), rows)]),
        "country": pa.array(np.array(["SE", "DE", "FR", "US"])[random.integers(0, 4, rows)]),
    }
    return pa.RecordBatch.from_pydict(columns)


def make(path: Path, rows: int, size: int = 100_000) -> None:
    """Write the Parquet file that all others are made from."""
    from jukebox.formats import parquet

    sizes = [min(size, rows - start) for start in range(0, rows, size)]
    parquet.write(path, (batch(each, seed) for seed, each in enumerate(sizes)), schema=pa.schema(TYPES))


def jukebox(source: Path, target: Path) -> None:
    """Convert by the endings of the two paths."""
    from jukebox.formats import Options, format_of

    options = Options(types=TYPES)
    reader, writer = format_of(source), import_module(_module(target))
    plain = {".tfrecord": {"gzip_level": None}, ".avro": {"codec": "null"}}
    batches = reader.read(source, columns=list(TYPES), options=options)
    writer.write(target, batches, schema=pa.schema(TYPES), **plain.get(target.suffix, {}))


def _module(path: Path) -> str:
    return f"jukebox.formats.{next(name for name, suffix in SUFFIXES.items() if suffix == path.suffix)}"


def polars(source: Path, target: Path) -> None:
    """Convert whole files in memory, as Polars does it."""
    import polars as pl

    read = {".parquet": pl.read_parquet, ".avro": pl.read_avro, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}
    frame = read[source.suffix](source)
    if target.suffix == ".avro":
        frame.write_avro(target)
    elif target.suffix == ".parquet":
        frame.write_parquet(target)
    elif target.suffix == ".csv":
        frame.write_csv(target)
    else:
        frame.write_ndjson(target)


def fastavro(source: Path, target: Path) -> None:
    """Convert a record at a time."""
    import fastavro as library
    import pyarrow.parquet as pq

    kinds = {pa.int64(): "long", pa.float32(): "float", pa.string(): "string"}
    fields = [{"name": name, "type": ["null", kinds[kind]]} for name, kind in TYPES.items()]
    if target.suffix == ".avro":
        rows = (row for each in pq.ParquetFile(source).iter_batches() for row in each.to_pylist())
        with target.open("wb") as stream:
            library.writer(stream, {"type": "record", "name": "row", "fields": fields}, rows)
        return
    schema = pa.schema(TYPES)
    with source.open("rb") as stream, pq.ParquetWriter(target, schema) as writer:
        held = []
        for row in library.reader(stream):
            held.append(row)
            if len(held) == 100_000:
                writer.write_batch(pa.RecordBatch.from_pylist(held, schema))
                held = []
        writer.write_batch(pa.RecordBatch.from_pylist(held, schema))


def tfx_bsl(source: Path, target: Path) -> None:
    """Encode or decode by tfx_bsl's coders, with TensorFlow's reader and writer of records."""
    import pyarrow.parquet as pq
    import tensorflow as tf
    from tfexample import as_lists
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder, RecordBatchToExamplesEncoder

    if target.suffix == ".tfrecord":
        encoder = RecordBatchToExamplesEncoder()
        with tf.io.TFRecordWriter(str(target)) as writer:
            for each in pq.ParquetFile(source).iter_batches():
                for record in encoder.encode(as_lists(each)):
                    writer.write(record)
        return
    decoder = ExamplesToRecordBatchDecoder()
    writer = None
    for records in tf.data.TFRecordDataset(str(source)).batch(65_536).as_numpy_iterator():
        lists = decoder.DecodeBatch(list(records))
        writer = writer or pq.ParquetWriter(target, lists.schema)
        writer.write_batch(lists)
    writer.close()


def tf_data(source: Path, target: Path) -> None:
    """Parse batches of examples by ``tf.data``."""
    import pyarrow.parquet as pq
    import tensorflow as tf

    kinds = {pa.int64(): (tf.int64, 0), pa.float32(): (tf.float32, 0.0), pa.string(): (tf.string, "")}
    features = {name: tf.io.FixedLenFeature([], kinds[kind][0], kinds[kind][1]) for name, kind in TYPES.items()}
    data = tf.data.TFRecordDataset(str(source)).batch(65_536).map(lambda each: tf.io.parse_example(each, features))
    with pq.ParquetWriter(target, pa.schema(TYPES)) as writer:
        for each in data.as_numpy_iterator():
            columns = {name: pa.array(each[name]).cast(kind) for name, kind in TYPES.items()}
            writer.write_batch(pa.RecordBatch.from_pydict(columns, pa.schema(TYPES)))


CONVERTERS: dict[str, Callable[[Path, Path], None]] = {
    "jukebox": jukebox,
    "polars": polars,
    "fastavro": fastavro,
    "tfx_bsl": tfx_bsl,
    "tf_data": tf_data,
}
WARM = {
    "jukebox": ["jukebox.formats.parquet", "jukebox.formats.avro", "jukebox.formats.csv", "jukebox.formats.tfrecord"],
    "polars": ["polars"],
    "fastavro": ["fastavro", "pyarrow.parquet"],
    "tfx_bsl": ["tensorflow", "pyarrow.parquet", "tfx_bsl.coders.example_coder"],
    "tf_data": ["tensorflow", "pyarrow.parquet"],
}


def main(name: str, source: str, target: str) -> None:
    """Convert, and print the CPU seconds of the work and the process's peak memory."""
    for module in WARM[name]:
        import_module(module)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    CONVERTERS[name](Path(source), Path(target))
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"cpu_seconds": spent, "peak_mb": peak / 1024, "imports_mb": before / 1024}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
