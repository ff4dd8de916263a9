"""The data of the point-in-time benchmark: drawn from a seed, written as Parquet, described by a JSON file beside it.

W1  1 M labels x 10 M rows x 10 floats (float32) of one table; 100,000 users of sparse 64-bit ids, Zipf in both.
W2  1 M labels x 5 tables of 2 M rows; the keys are strings, 100,000 users and 20,000 items, Zipf in all (where a row
    has both, its item is one of eight of its user's):
    plays by user (3 float64), profile by user (an int64, an int32, one of 200 strings),
    heat by item (2 float64, an int32), catalogue by item (one of 2,000 strings, a float32),
    affinity by user and item (2 float64, a bool); 2 % of profile's and catalogue's values are null.
W3  10 k labels x 100 k rows x 4 floats, 1,000 users.

Event times are whole minutes of 30 days, rows in no order (so that no engine gains from one), and a row is created in
the first half of its minute; labels fall in the second halves. A row that is on time is thus known to each label that
its event time admits, and engines that know no created time give the same answers; what they need it for is the tie:
the newest created of equal event times. A late row is created between a minute and a day after its event.

    python tests/benchmarks/pit_data.py FOLDER W1 [--labels-scale 4] [--features-scale 4] [--late 0.1] [--seed 7]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 262_144
MINUTE, DAY = 60_000_000, 86_400_000_000
START, DAYS = 1_704_067_200_000_000, 30  # 2024-01-01
FIRST_LABEL_DAY = 5
M2 = 2_000_000
KEYS = {"user": 100_000, "item": 20_000}


class Drawn(NamedTuple):
    """A feature table: its keys, its columns (name: how it is drawn), its rows and its limit of age in days."""

    name: str
    keys: tuple[str, ...]
    columns: dict[str, str]
    rows: int
    max_age_days: int


WORKLOADS: dict[str, tuple[int, bool, dict[str, int], list[Drawn]]] = {
    "W1": (1_000_000, False, KEYS, [Drawn("f", ("user",), {f"f{at}": "float32" for at in range(10)}, 10_000_000, 7)]),
    "W2": (
        1_000_000,
        True,
        KEYS,
        [
            Drawn("plays", ("user",), {"mean": "float64", "peak": "float64", "share": "float64"}, M2, 2),
            Drawn("profile", ("user",), {"days": "int64", "level": "int32", "country": "string200"}, M2, 14),
            Drawn("heat", ("item",), {"day": "float64", "week": "float64", "rank": "int32"}, M2, 7),
            Drawn("catalogue", ("item",), {"genre": "string2000", "price": "float32"}, M2, 10),
            Drawn("affinity", ("user", "item"), {"score": "float64", "decay": "float64", "liked": "bool"}, M2, 20),
        ],
    ),
    "W3": (
        10_000,
        False,
        {"user": 1_000, "item": 100},
        [Drawn("f", ("user",), {f"f{at}": "float32" for at in range(4)}, 100_000, 7)],
    ),
}


def described(
    folder: Path, name: str, *, labels_scale: int = 1, features_scale: int = 1, late: float = 0.0, seed: int = 7
) -> Path:
    """Return the description of a workload, which is generated where the folder does not have it yet."""
    labels, text, sizes, tables = WORKLOADS[name]
    home = folder / f"{name}-{labels_scale}x{features_scale}-late{late:g}-seed{seed}"
    if (home / "workload.json").exists():
        return home / "workload.json"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    keys = sorted({key for table in tables for key in table.keys}, reverse=True)
    zipf = {key: _zipf(sizes[key]) for key in keys}
    _write(home / "labels.parquet", labels * labels_scale, [seed, 0], lambda rng, rows: _labels(rng, rows, zipf, text))
    for number, table in enumerate(tables, 1):
        _write(
            home / f"{table.name}.parquet",
            table.rows * features_scale,
            [seed, number],
            lambda rng, rows, table=table: _features(rng, rows, table, zipf, text=text, late=late),
        )
    found = {
        "name": home.name,
        "labels": "labels.parquet",
        "rows": labels * labels_scale,
        "label_time": "at",
        "label_columns": [*keys, "at", "label"],
        "late": late,
        "tables": [_declared(table, features_scale) for table in tables],
    }
    (home / "workload.json").write_text(json.dumps(found, indent=1))
    return home / "workload.json"


def _declared(table: Drawn, features_scale: int) -> dict[str, object]:
    return {
        "path": f"{table.name}.parquet",
        "rows": table.rows * features_scale,
        "keys": list(table.keys),
        "event_time": "event",
        "created_time": "created",
        "values": {f"{table.name}_{column}": column for column in table.columns},
        "max_age_seconds": table.max_age_days * 86_400,
    }


def _write(path, rows, seed, drawn) -> None:
    # A row group has its own seed: the memory is a row group's, whatever the scale.
    writer = None
    for number, start in enumerate(range(0, rows, ROW_GROUP)):
        table = drawn(np.random.default_rng([*seed, number]), min(ROW_GROUP, rows - start))
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, compression="zstd", version="2.6")
        writer.write_table(table, row_group_size=ROW_GROUP)
    if writer is not None:
        writer.close()


def _zipf(size: int) -> np.ndarray:
    weights = 1 / np.arange(1, size + 1)
    return np.cumsum(weights / weights.sum())


def _ranks(rng, zipf: np.ndarray, rows: int) -> np.ndarray:
    return np.minimum(np.searchsorted(zipf, rng.random(rows)), len(zipf) - 1)


def _ids(key: str, ranks: np.ndarray, size: int, *, text: bool) -> pa.Array:
    # A rank says how often an id is seen; its number says nothing.
    names = np.random.default_rng([len(key), size]).permutation(size)
    if not text:
        return pa.array(names[ranks].astype(np.int64) * 9_176_514_863_027 + 11)
    spelled = pa.array([f"{key}-{number * 7_919:010d}" for number in names])
    return spelled.take(pa.array(ranks))


def _keys(rng, rows: int, keys: tuple[str, ...], zipf: dict[str, np.ndarray], *, text: bool) -> dict[str, pa.Array]:
    ranks = {key: _ranks(rng, zipf[key], rows) for key in keys}
    if len(keys) > 1:
        # Users return to few items: a pair is seen again.
        ranks["item"] = (ranks["user"] * 31 + rng.integers(0, 8, rows) ** 2) % len(zipf["item"])
    return {key: _ids(key, ranks[key], len(zipf[key]), text=text) for key in keys}


def _labels(rng, rows: int, zipf: dict[str, np.ndarray], text: bool) -> pa.Table:
    minutes = rng.integers(FIRST_LABEL_DAY * 1440, DAYS * 1440, rows)
    at = START + minutes * MINUTE + rng.integers(MINUTE // 2, MINUTE, rows)
    keys = _keys(rng, rows, tuple(zipf), zipf, text=text)
    label = pa.array(rng.integers(0, 2, rows), pa.int8())
    return pa.table({**keys, "at": pa.array(at, pa.timestamp("us")), "label": label})


def _features(rng, rows: int, table: Drawn, zipf: dict[str, np.ndarray], *, text: bool, late: float) -> pa.Table:
    event = START + rng.integers(0, DAYS * 1440, rows) * MINUTE
    delay = rng.integers(0, MINUTE // 2, rows)
    behind = rng.random(rows) < late
    delay[behind] = rng.integers(MINUTE, DAY, int(behind.sum()))
    columns = {column: _values(rng, rows, kind, table.name) for column, kind in table.columns.items()}
    times = {"event": pa.array(event, pa.timestamp("us")), "created": pa.array(event + delay, pa.timestamp("us"))}
    return pa.table({**_keys(rng, rows, table.keys, zipf, text=text), **times, **columns})


def _values(rng, rows: int, kind: str, table: str) -> pa.Array:
    missing = rng.random(rows) < 0.02 if table in {"profile", "catalogue"} else None
    if kind.startswith("float"):
        return pa.array(rng.standard_normal(rows).astype(kind), mask=missing)
    if kind.startswith("int"):
        return pa.array(rng.integers(0, 100_000, rows).astype(kind), mask=missing)
    if kind == "bool":
        return pa.array(rng.random(rows) < 0.3)
    size = int(kind.removeprefix("string"))
    names = pa.array([f"{table} number {number}" for number in range(size)])
    return names.take(pa.array(rng.integers(0, size, rows), mask=missing))


def main() -> None:
    """Generate one workload and print where its description is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--labels-scale", type=int, default=1)
    parser.add_argument("--features-scale", type=int, default=1)
    parser.add_argument("--late", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=7)
    asked = vars(parser.parse_args())
    found = described(asked.pop("folder"), asked.pop("workload"), **asked)
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main()
