"""How many cells of two outputs of the point-in-time benchmark differ, by position or by the column ``_row``.

python tests/benchmarks/pit_compare.py EXPECTED.parquet FOUND.parquet
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def compared(expected: str, found: str) -> dict[str, int]:
    """Return the number of cells and of those that differ; a missing row or column differs in all of its cells."""
    wanted, given = pq.ParquetFile(expected), pq.ParquetFile(found)
    names = [name for name in wanted.schema_arrow.names if name != "_row"]
    rows = wanted.metadata.num_rows
    cells = rows * len(names)
    if given.metadata.num_rows != rows:
        return {"rows": given.metadata.num_rows, "cells": cells, "cells_differ": cells}
    orders = [_order(file) for file in (wanted, given)]
    differ = sum(_differ(name, wanted, given, orders) for name in names)
    return {"rows": rows, "cells": cells, "cells_differ": differ}


def _order(file: pq.ParquetFile) -> pa.Array | None:
    if "_row" not in file.schema_arrow.names:
        return None
    return pc.sort_indices(file.read(columns=["_row"])["_row"])


def _differ(name: str, wanted: pq.ParquetFile, given: pq.ParquetFile, orders: list[pa.Array | None]) -> int:
    if name not in given.schema_arrow.names:
        return wanted.metadata.num_rows
    left, right = (_column(file, name, order) for file, order in zip((wanted, given), orders, strict=True))
    right = right.cast(left.type)
    return sum(_unequal(*pair) for pair in _aligned(left, right))


def _column(file: pq.ParquetFile, name: str, order: pa.Array | None) -> pa.ChunkedArray:
    column = file.read(columns=[name])[name]
    return column if order is None else column.take(order)


def _aligned(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Iterator[tuple[pa.ChunkedArray, pa.ChunkedArray]]:
    for start in range(0, len(left), 2**20):
        yield left.slice(start, 2**20), right.slice(start, 2**20)


def _unequal(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    gaps = pc.not_equal(pc.is_null(left), pc.is_null(right))
    values = pc.fill_null(pc.not_equal(left, right), False)
    return pc.sum(pc.or_(gaps, values)).as_py() or 0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compared(*sys.argv[1:])) + "\n")
