"""The point-in-time join of the flights beside Polars' as-of join, in one run: CPU seconds, as JSON lines.

Both join the five feature tables of the flights example to all 336,776 labels, from Arrow in memory to Arrow in memory,
with the same limits of age. Polars knows no created time: the weather is given to it by the time at which it is known,
and its limit of age counts from there, so that its answers are not the same; its work is.

    python tests/benchmarks/flights_join.py [REPEATS]
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

from jukebox.core.asof import Features, join
from jukebox.examples.flights import history, raw, sources
from jukebox.examples.flights.labels import scheduled
from jukebox.formats import parquet

TABLES = {
    "weather": (["origin"], "time_hour", "known_at", timedelta(hours=2)),
    "aircraft": (["tailnum"], "arrived_at", None, timedelta(days=2)),
    "routes": (["origin", "dest"], "arrived_at", None, timedelta(days=1)),
    "carriers": (["carrier"], "arrived_at", None, timedelta(days=1)),
}


def tables(folder: str) -> tuple[pa.Table, dict[str, pl.DataFrame]]:
    """Return the labels and the feature tables, with values of their own names."""
    sources.run(out=folder)
    labels = pa.Table.from_batches(parquet.read(Path(folder) / "labels.parquet"))
    arrived = history.arrivals(scheduled(raw.flights(), raw.time_zones()))
    frames = {
        "weather": sources.weather(raw.weather()),
        "aircraft": history.aircraft(arrived),
        "routes": history.delays(arrived, ["origin", "dest"]),
        "carriers": history.delays(arrived, ["carrier"]),
    }
    return labels, {name: _own_names(name, frame) for name, frame in frames.items()}


def ours(labels: pa.Table, frames: dict[str, pa.Table]) -> int:
    """Join with Jukebox; return the rows."""
    asked = [
        Features(
            frames[name],
            keys={key: key for key in keys},
            event_time=event,
            created_time=created,
            values={value: value for value in frames[name].column_names if value.startswith(name)},
            max_age=age,
        )
        for name, (keys, event, created, age) in TABLES.items()
    ]
    return join(labels, asked, label_time="sched_dep").num_rows


def polars(labels: pl.DataFrame, frames: dict[str, pl.DataFrame]) -> int:
    """Join with Polars, labels back in their order; return the rows."""
    joined = labels.with_row_index("_row").sort("sched_dep")
    for name, (keys, event, created, age) in TABLES.items():
        time_column = created or event
        right = frames[name].sort(time_column)
        joined = joined.join_asof(
            right,
            left_on="sched_dep",
            right_on=time_column,
            by=keys,
            strategy="backward",
            tolerance=age,
            coalesce=False,
            check_sortedness=False,
        ).drop(time_column, *([event] if created else []))
    return joined.sort("_row").height


def _own_names(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    keys, event, created, _ = TABLES[name]
    kept = {*keys, event, created}
    return frame.rename({column: f"{name}_{column}" for column in frame.columns if column not in kept})


def main(repeats: int = 5) -> None:
    """Print the median CPU seconds of each, turn by turn."""
    with tempfile.TemporaryDirectory() as folder:
        labels, frames = tables(folder)
        arrow = {name: frame.to_arrow(compat_level=pl.CompatLevel.oldest()) for name, frame in frames.items()}
        spine = pl.from_arrow(labels)
        runs = {"jukebox": lambda: ours(labels, arrow), "polars": lambda: polars(spine, frames)}
        spent: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                before = time.process_time()
                rows = run()
                spent[name].append(time.process_time() - before)
    for name, seconds in spent.items():
        median = round(statistics.median(seconds), 2)
        sys.stdout.write(json.dumps({"engine": name, "rows": rows, "cpu_seconds": median}) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
