"""Beam engines of the point-in-time benchmark, on the Python runner in one process.

``naive`` is what a pipeline's author writes: labels and features keyed by entity, CoGroupByKey, and for each entity
its rows sorted and searched. It leaves rows in no order, numbered by ``_row``. ``ours`` is Jukebox's join on Beam.
"""

from __future__ import annotations

import bisect
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from pit_peers import features_of

from jukebox.engine.beam_join import join_files


def naive(work: dict, out: str) -> None:
    """Join one feature table by CoGroupByKey."""
    (table,) = work["tables"]
    with tempfile.TemporaryDirectory() as folder:
        labels = pq.read_table(work["labels"])
        labels = labels.append_column("_row", pa.array(range(labels.num_rows)))
        pq.write_table(labels, f"{folder}/labels.parquet")
        values = [
            pa.field(output, pq.read_schema(table["path"]).field(column).type)
            for output, column in table["values"].items()
        ]
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            sides = {
                "labels": pipeline
                | "labels" >> beam.io.ReadFromParquet(f"{folder}/labels.parquet")
                | "by entity" >> beam.Map(_keyed, keys=table["keys"]),
                "features": pipeline
                | "features" >> beam.io.ReadFromParquet(table["path"])
                | "features by entity" >> beam.Map(_keyed, keys=table["keys"]),
            }
            joined = sides | beam.CoGroupByKey() | beam.FlatMap(_answered, table=table, at=work["label_time"])
            joined | beam.io.WriteToParquet(f"{folder}/out", pa.schema([*labels.schema, *values]), codec="zstd")
        _one_file(Path(folder), out)


def ours(work: dict, out: str) -> None:
    """Join with Jukebox, on the runner that it names itself: the same one, in one process."""
    join_files(work["labels"], features_of(work), out, label_time=work["label_time"])


def _keyed(row: dict, keys: list[str]) -> tuple[tuple, dict]:
    return tuple(row[key] for key in keys), row


def _answered(grouped: tuple, table: dict, at: str):
    _, sides = grouped
    event, created = table["event_time"], table["created_time"]
    rows = sorted(sides["features"], key=lambda row: (row[event], row[created]))
    events = [row[event] for row in rows]
    limit = timedelta(seconds=table["max_age_seconds"])
    for label in sides["labels"]:
        place = bisect.bisect_right(events, label[at]) - 1
        while place >= 0 and rows[place][created] > label[at]:
            place -= 1
        known = place >= 0 and label[at] - events[place] <= limit
        yield label | {name: rows[place][column] if known else None for name, column in table["values"].items()}


def _one_file(folder: Path, out: str) -> None:
    parts = sorted(folder.glob("out*"))
    if len(parts) == 1:
        shutil.move(parts[0], out)
        return
    with pq.ParquetWriter(out, pq.read_schema(parts[0]), compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))
