"""Reading back what the producer of the flights example wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jukebox.formats import Options, tfrecord

if TYPE_CHECKING:
    from pathlib import Path


def dated(folder: Path) -> pl.DataFrame:
    """Every row of a folder of dated Parquet files, by date."""
    return pl.concat([pl.from_arrow(pq.read_table(file)) for file in sorted(folder.glob("*.parquet"))])


def routes_of(folder: Path) -> pl.DataFrame:
    """Every row of the routes, which are TFRecords."""
    types = {"origin": pa.string(), "dest": pa.string(), "arrived_at": pa.timestamp("us", "UTC")}
    types |= {"arrivals_1d": pa.int64(), "mean_arr_delay_1d": pa.float64(), "late_share_1d": pa.float64()}
    batches = tfrecord.read(folder / "routes", columns=list(types), options=Options(types=types))
    return pl.from_arrow(pa.Table.from_batches(batches))
