"""Reads of one and of many entities with three feature sets, side by side in one process, and Feast's in its own.

    python tests/benchmarks/online_reads.py jukebox 7 300

The peers take turns, so that a busy machine is busy for all of them: ``bare`` is one ``ReadRows`` of the very rows
through a raw stub on a plain channel, its chunks put together and no value decoded; ``waiting`` the same on a channel
with our options, whose streams are read by the thread that waits; ``library`` the client library's ``read_rows``;
``reader`` and ``model`` are Jukebox's, by names and for a model. Times are microseconds a read.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from functools import partial

warnings.simplefilter("ignore")

from online_data import INSTANCE, PROJECT, rows_of  # noqa: E402

SETS = ("plays", "skips", "likes")
USERS, MANY = 5_000, 100


def rows_of_set(name: str, seed: int):
    """Return the rows of one feature set, its features under names of its own."""
    rows = rows_of(USERS, seed + SETS.index(name))
    return rows.rename_columns([f"{name}_{each}" if each.startswith("f") else each for each in rows.column_names])


def loaded(uri: str, registry, seed: int) -> list[str]:
    """Load three feature sets of one entity, and make them known; return the features' names."""
    from jukebox.features import Endpoint, Feature, FeatureName, Key
    from jukebox.stores import OnlineSource, open_online

    store, names = open_online(uri), []
    kinds = {"double": "float64", "int64": "int64", "string": "string"}
    for name in SETS:
        rows = rows_of_set(name, seed)
        store.write(name, rows, keys=["user"], event_time="at", entity="user")
        endpoint = Endpoint(name, name, "parquet", (Key("user", "user", "int64"),), "at", time_zone="UTC")
        fields = [each for each in rows.schema if each.name.startswith(name)]
        features = [
            Feature(FeatureName.parse(f"/user/{name}/{each.name}"), endpoint, each.name, kinds[str(each.type)])
            for each in fields
        ]
        versions = tuple(each.versioned for each in registry.register(features))
        registry.set_online_source(OnlineSource(uri, name, versions, USERS, "", rows["at"][0].as_py()))
        names += [str(each.name) for each in features]
    return names


def peers(seed: int) -> dict[str, object]:
    """Return the peers: functions from users to how many were read, over the same loaded rows."""
    from google.cloud.bigtable.data import BigtableDataClient, ReadRowsQuery

    from jukebox.core.coordinates import column, row_key, rowkeys
    from jukebox.serving import FeatureReader
    from jukebox.stores import Recorded, open_registry
    from jukebox.stores.bigtable import cells
    from jukebox.stores.bigtable.connection import EMULATOR, Connection, grpc
    from jukebox.stores.bigtable.places import parsed

    uri, home = f"bigtable://{PROJECT}/{INSTANCE}/reads", tempfile.mkdtemp()
    registry = open_registry(f"mlmd+sqlite://{home}/registry.db")
    names = loaded(uri, registry, seed)
    there = [Recorded("jukebox.TrainingSet", home)]
    registry.record("join", reads=[f"{name}@1" for name in names], outputs=there)
    registry.record("trainer", inputs=there, outputs=[Recorded("Model", "model://one")])
    reader = FeatureReader(registry)
    model = FeatureReader.for_model("model://one", f"mlmd+sqlite://{home}/registry.db")
    key = {user: row_key("user", rowkeys.encode_one([user])) for user in range(USERS)}
    columns = cells.columns_filter([column(name, 1) for name in SETS])
    waiting, plain = Connection(parsed(uri)), Connection(parsed(uri))
    plain.use(grpc.insecure_channel(os.environ[EMULATOR]))
    table = BigtableDataClient(project=PROJECT).get_table(INSTANCE, "reads")

    def bare(users: list[int], connection: Connection = plain) -> int:
        return len(cells.read(connection, [([key[user] for user in users], columns)], 20.0))

    def library(users: list[int]) -> int:
        return len(table.read_rows(ReadRowsQuery(row_keys=[key[user] for user in users])))

    def read(users: list[int]) -> int:
        return len(reader.read_many([{"user": user} for user in users], names))

    def read_for_model(users: list[int]) -> int:
        return len(model.read_many([{"user": user} for user in users]))

    ours = partial(bare, connection=waiting)
    return {"bare": bare, "waiting": ours, "library": library, "reader": read, "model": read_for_model}


def measured(found: dict[str, object], rounds: int, seed: int) -> list[dict]:
    """Return the median and 99th percentile of wall time, and the mean of client CPU, of each peer and size."""
    import random

    draw, told = random.Random(seed), []
    gc.collect()
    gc.freeze()
    for size, count in ((1, rounds), (MANY, max(100, rounds // 4))):
        walls: dict[str, list[float]] = {name: [] for name in found}
        spent = dict.fromkeys(found, 0.0)
        for turn in range(-10, count):
            users = draw.sample(range(USERS), size)
            for name, call in found.items():
                cpu, wall = time.process_time(), time.perf_counter()
                assert call(users) == size
                if turn >= 0:
                    walls[name].append((time.perf_counter() - wall) * 1e6)
                    spent[name] += time.process_time() - cpu
        for name, each in walls.items():
            parts = statistics.quantiles(each, n=100)
            figures = {"p50_us": parts[49], "p99_us": parts[98], "cpu_us": spent[name] / count * 1e6}
            told.append({"peer": name, "entities": size, **{kind: round(value, 1) for kind, value in figures.items()}})
    return told


def bars(told: list[dict]) -> list[dict]:
    """Return the bars on what was measured, and what was found beside them."""
    at = {(one["peer"], one["entities"]): one for one in told}
    mine, many = at["reader", 1], at["reader", MANY]
    found = [
        ("p50 of 1 entity, times one bare read_rows", 1.25, mine["p50_us"] / at["bare", 1]["p50_us"]),
        ("p50 of 100 entities, times a bare packed read", 1.5, many["p50_us"] / at["bare", MANY]["p50_us"]),
        ("p50 of 1 entity, times the same on our channel", None, mine["p50_us"] / at["waiting", 1]["p50_us"]),
        ("p50 of 100 entities, times the same on our channel", None, many["p50_us"] / at["waiting", MANY]["p50_us"]),
        ("p99 of 100 entities, times their p50", 3, many["p99_us"] / many["p50_us"]),
    ]
    if ("feast", 1) in at:
        found.append(("client CPU of 1 entity, times Feast's", 0.5, mine["cpu_us"] / at["feast", 1]["cpu_us"]))
    return [{"bar": bar, "at_most": most, "found": round(ratio, 3)} for bar, most, ratio in found]


def main() -> None:
    """Measure jukebox, with bare and library, or feast: name, seed, rounds; print lines of JSON."""
    name, seed, rounds = sys.argv[1], *map(int, sys.argv[2:])
    if name == "feast":
        from online_feast import reader

        found = {"feast": reader({name: rows_of_set(name, seed) for name in SETS})}
    else:
        found = peers(seed)
    # The library's client works on in a thread of its own when it has answered, at the cost of who comes next.
    alone = {name: found.pop(name) for name in ("library",) if name in found}
    told = measured(found, rounds, seed) + (measured(alone, rounds, seed) if alone else [])
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
