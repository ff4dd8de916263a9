"""One engine, one join, one process: what the point-in-time benchmark starts, with any environment's Python.

Every engine reads the same columns of the same Parquet files and writes the labels, in their order, with the asked
values as zstd Parquet in row groups of 262,144 rows. Each peer is given the cheapest of its forms that was found to
answer rightly, and the newest created of equal event times must win:

floor         PyArrow reads the columns a row group at a time and writes an output of the same shape; nothing is joined.
floor_plain   the same, written as Jukebox writes.
floor_polars  the same with Polars.
polars        two stable sorts (cheaper than one by two columns), join_asof with its tolerance, a sort back by row.
duckdb        ASOF over one number made of event and created time (cheaper than GROUP BY, QUALIFY or a struct); the
              limit of age as a CASE, as it has no tolerance; ORDER BY the row.
duckdb_plain  ASOF by event time alone: cheaper, and wrong at ties.
feast_duckdb, feast_file   get_historical_features; rows sorted back by a number of their own.
beam_naive    CoGroupByKey by entity, features sorted and searched; rows in no order, numbered.
jukebox_beam  Jukebox's join on the same runner, in one process.

Neither Polars nor DuckDB knows of arrival time: they are compared where nothing is late.

    python tests/benchmarks/pit_peers.py ENGINE WORKLOAD.json OUT.parquet FIGURES.json [REPEATS]
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

ROW_GROUP = 262_144


def columns_of(table: dict) -> list[str]:
    """Return the columns of a feature table that a join reads."""
    return [*table["keys"], table["event_time"], table["created_time"], *table["values"].values()]


def floor(work: dict, out: str) -> None:
    """Read with PyArrow and write with it as it comes, but for the compression, which is the same everywhere."""
    import pyarrow.parquet as pq

    pq.write_table(_read_only(work), out, compression="zstd", row_group_size=ROW_GROUP)


def floor_plain(work: dict, out: str) -> None:
    """Read with PyArrow and write with the writer that Jukebox writes with: no dictionaries of floats and instants."""
    from jukebox.formats import parquet

    joined = _read_only(work)
    parquet.write(out, joined.to_batches(max_chunksize=ROW_GROUP), schema=joined.schema)


def _read_only(work: dict):
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pq.read_table(work["labels"])
    written = {name: labels[name] for name in work["label_columns"]}
    for table in work["tables"]:
        file = pq.ParquetFile(table["path"])
        kept, rows = [], 0
        for group in range(file.num_row_groups):
            read = file.read_row_group(group, columns=columns_of(table))
            if rows < work["rows"]:
                kept.append(read.select(list(table["values"].values())))
            rows += read.num_rows
        shown = pa.concat_tables(kept).slice(0, work["rows"])
        written |= {output: shown[column] for output, column in table["values"].items()}
    return pa.table(written)


def floor_polars(work: dict, out: str) -> None:
    """Read and write with Polars."""
    import polars as pl

    written = pl.read_parquet(work["labels"])
    for table in work["tables"]:
        values = [pl.col(column).alias(output) for output, column in table["values"].items()]
        read = pl.read_parquet(table["path"], columns=columns_of(table))
        written = written.hstack(read.head(work["rows"]).select(values))
    _polars_written(written, out)


def polars(work: dict, out: str) -> None:
    """Join with Polars' join_asof."""
    import polars as pl

    at = work["label_time"]
    joined = pl.read_parquet(work["labels"]).with_row_index("_row").sort(at)
    for table in work["tables"]:
        values = [pl.col(column).alias(output) for output, column in table["values"].items()]
        event, created = table["event_time"], table["created_time"]
        right = pl.read_parquet(table["path"], columns=columns_of(table)).select(
            *table["keys"], event, created, *values
        )
        right = right.sort(created).sort(event, maintain_order=True).drop(created)
        joined = joined.join_asof(
            right,
            left_on=at,
            right_on=event,
            by=table["keys"],
            strategy="backward",
            tolerance=timedelta(seconds=table["max_age_seconds"]),
            coalesce=True,
            check_sortedness=False,
        )
        joined = joined.drop(event, strict=False)
    _polars_written(joined.sort("_row").drop("_row"), out)


def _polars_written(table, out: str) -> None:
    # The level that PyArrow takes where none is named.
    table.write_parquet(out, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)


def duckdb(work: dict, out: str, *, ties: bool = True) -> None:
    """Join with DuckDB's ASOF."""
    import duckdb as engine

    at, shown, joins = work["label_time"], [f"l.{name}" for name in work["label_columns"]], ""
    for number, table in enumerate(work["tables"]):
        event, created, source = table["event_time"], table["created_time"], f"t{number}"
        # A day of lateness, in microseconds, fits below the event time's digits.
        rank = f"epoch_us({event})::HUGEINT * 1000000000000 + epoch_us({created}) - epoch_us({event})"
        bound = f"epoch_us(l.{at})::HUGEINT * 1000000000000 + 999999999999"
        read = ", ".join(columns_of(table)) + (f", {rank} AS _rank" if ties else "")
        meets = [f"l.{key} = {source}.{key}" for key in table["keys"]]
        meets.append(f"{bound} >= {source}._rank" if ties else f"l.{at} >= {source}.{event}")
        joins += (
            f" ASOF LEFT JOIN (SELECT {read} FROM read_parquet('{table['path']}')) {source} ON {' AND '.join(meets)}"
        )
        young = f"l.{at} - {source}.{event} <= to_seconds({table['max_age_seconds']})"
        shown += [f"CASE WHEN {young} THEN {source}.{column} END AS {name}" for name, column in table["values"].items()]
    rows = f"(SELECT *, file_row_number FROM read_parquet('{work['labels']}', file_row_number = true)) l"
    engine.connect().execute(
        f"COPY (SELECT {', '.join(shown)} FROM {rows}{joins} ORDER BY l.file_row_number) TO '{out}' "
        f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP})"
    )


def duckdb_plain(work: dict, out: str) -> None:
    """Join with DuckDB's ASOF, leaving ties to chance."""
    duckdb(work, out, ties=False)


def features_of(work: dict) -> list:
    """Return the feature tables as Jukebox is asked for them, in the pieces of their Parquet files."""
    from jukebox.core.asof import Features
    from jukebox.formats.parquet import ParquetPieces

    return [
        Features(
            ParquetPieces([Path(table["path"])]),
            keys={key: key for key in table["keys"]},
            event_time=table["event_time"],
            created_time=table["created_time"],
            values=table["values"],
            max_age=timedelta(seconds=table["max_age_seconds"]),
        )
        for table in work["tables"]
    ]


def jukebox(work: dict, out: str, *, as_known: bool = True) -> None:
    """Join with Jukebox's engine, by the kernel that the environment has or $JUKEBOX_KERNEL names."""
    from jukebox.engine.joining import join_files

    join_files(work["labels"], features_of(work), out, label_time=work["label_time"], as_known=as_known)


def jukebox_all_known(work: dict, out: str) -> None:
    """Join with Jukebox's engine as if every row had been known at its event."""
    jukebox(work, out, as_known=False)


def elsewhere(module: str, name: str):
    """Return an engine of another file beside this one, which is imported when it is first run."""

    def run(work: dict, out: str) -> None:
        getattr(importlib.import_module(module), name)(work, out)

    return run


# What each engine imports before its work is timed, and the engine.
ENGINES = {
    "floor": (["pyarrow.parquet"], floor),
    "floor_plain": (["pyarrow.parquet", "jukebox.formats.parquet"], floor_plain),
    "floor_polars": (["polars"], floor_polars),
    "polars": (["polars"], polars),
    "duckdb": (["duckdb"], duckdb),
    "duckdb_plain": (["duckdb"], duckdb_plain),
    "jukebox": (["jukebox.engine.joining", "jukebox.formats.parquet"], jukebox),
    "jukebox_numpy": (["jukebox.engine.joining", "jukebox.formats.parquet"], jukebox),
    "jukebox_all_known": (["jukebox.engine.joining", "jukebox.formats.parquet"], jukebox_all_known),
    "jukebox_beam": (["pit_beam", "jukebox.engine.beam_join"], elsewhere("pit_beam", "ours")),
    "beam_naive": (["pit_beam"], elsewhere("pit_beam", "naive")),
    "feast_duckdb": (["pit_feast"], elsewhere("pit_feast", "feast_duckdb")),
    "feast_file": (["pit_feast"], elsewhere("pit_feast", "feast_file")),
}


def peak_mb() -> float:
    """Return the most memory that this process has held; what its parent held before it does not count, in MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def spent() -> float:
    """Return the CPU seconds of this process and of its finished children."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def main(engine: str, workload: str, out: str, figures: str, repeats: str = "1") -> None:
    """Run one engine and write its figures; the time of its imports is told apart."""
    home = Path(workload).resolve().parent
    work = json.loads(Path(workload).read_text())
    work["labels"] = str(home / work["labels"])
    for table in work["tables"]:
        table["path"] = str(home / table["path"])
    modules, run = ENGINES[engine]
    for module in modules:
        importlib.import_module(module)
    walls, imports = [], spent()
    for _ in range(int(repeats)):
        start = time.perf_counter()
        run(work, out)
        walls.append(time.perf_counter() - start)
    found = {"work_cpu_seconds": spent() - imports, "import_cpu_seconds": imports, "peak_mb": peak_mb(), "walls": walls}
    Path(figures).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
