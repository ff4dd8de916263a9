"""Print one JSON line an encoder: CPU microseconds a row from Arrow to tf.Example, side by side.

Run: ``python tests/benchmarks/tfexample.py [rows a chunk] [chunks]``. The encoders take turns, so that the
machine's moods fall on both; ``best`` is the fastest chunk and ``mean`` all of them.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import formats_peers
import numpy as np
import pyarrow as pa

from jukebox.formats import tfexample

if TYPE_CHECKING:
    from collections.abc import Callable


def as_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the same batch as tfx_bsl takes it: every value in a list, text as bytes."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values = column.cast(pa.binary()) if pa.types.is_string(column.type) else column
        offsets = np.concatenate([[0], np.cumsum(values.is_valid().to_numpy(zero_copy_only=False))])
        mask = values.is_null().to_numpy(zero_copy_only=False)
        ends = pa.array(offsets.astype(np.int32), mask=np.append(mask, False))
        columns[name] = pa.ListArray.from_arrays(ends, values.drop_null())
    return pa.RecordBatch.from_pydict(columns)


def encoders() -> dict[str, tuple[Callable[[pa.RecordBatch], pa.RecordBatch], Callable[[pa.RecordBatch], object]]]:
    """Return each encoder with what prepares a batch for it, which is not timed."""
    found = {"jukebox": (lambda batch: batch, tfexample.encode)}
    try:
        from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
    except ImportError:
        return found
    return found | {"tfx_bsl": (as_lists, RecordBatchToExamplesEncoder().encode)}


def main(rows: int = 100_000, chunks: int = 5) -> None:
    """Print the lines."""
    spent: dict[str, list[float]] = {name: [] for name in encoders()}
    for seed in range(chunks + 1):
        batch = formats_peers.batch(rows, seed)
        for name, (prepare, encode) in encoders().items():
            prepared = prepare(batch)
            start = time.process_time()
            encode(prepared)
            if seed > 0:  # the first warms up
                spent[name].append((time.process_time() - start) / rows * 1e6)
    for name, each in spent.items():
        line = {
            "encoder": name,
            "rows": rows,
            "columns": 10,
            "cpu_us_per_row": {"best": min(each), "mean": sum(each) / len(each)},
        }
        print(json.dumps(line))  # noqa: T201


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
