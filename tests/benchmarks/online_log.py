"""What a log of served features costs the reads: the same reads without one, and with one of either format.

    python tests/benchmarks/online_log.py 7 400

Readers take turns by blocks of reads, and a block's log is flushed behind it, so that no other pays for its files.
``p50_us`` is the wall time of a read, ``thread_us`` the CPU of the thread that reads, ``cpu_us`` the CPU of the whole
process with the writing of the files: microseconds a read. ``vectors_a_second`` is how many a core could log.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack

from online_data import INSTANCE, PROJECT
from online_reads import MANY, USERS, loaded

BLOCK = 50
LOGS = {"none": None, "parquet": "parquet", "tfrecord": "tfrecord"}


def measured(seed: int, rounds: int) -> list[dict]:
    """Return the figures of each reader for reads of one and of many entities, of 30 features."""
    from jukebox.serving import FeatureReader
    from jukebox.serving.feature_log import FeatureLog
    from jukebox.stores import open_registry

    home, told = tempfile.mkdtemp(), []
    registry = open_registry(f"mlmd+sqlite://{home}/registry.db")
    names = loaded(f"bigtable://{PROJECT}/{INSTANCE}/reads", registry, seed)
    with ExitStack() as stack:
        logs = {
            name: None
            if kept is None
            else stack.enter_context(FeatureLog(f"{home}/{name}", storage_format=kept, capacity=10**6))
            for name, kept in LOGS.items()
        }
        readers = {name: stack.enter_context(FeatureReader(registry, told=log)) for name, log in logs.items()}
        gc.collect()
        gc.freeze()
        for size, count in ((1, rounds), (MANY, max(4 * BLOCK, rounds // 4))):
            told += _of_size(readers, logs, names, random.Random(seed), size=size, count=count)
    return told


def _of_size(readers, logs, names, draw, *, size: int, count: int) -> list[dict]:
    walls: dict[str, list[float]] = {name: [] for name in readers}
    thread, whole = dict.fromkeys(readers, 0.0), dict.fromkeys(readers, 0.0)
    for turn in range(-1, -(-count // BLOCK)):
        for name, reader in readers.items():
            all_cpu = time.process_time()
            for _ in range(BLOCK):
                entities = [{"user": user} for user in draw.sample(range(USERS), size)]
                cpu, wall = time.thread_time(), time.perf_counter()
                reader.read_many(entities, names)
                if turn >= 0:
                    walls[name].append((time.perf_counter() - wall) * 1e6)
                    thread[name] += time.thread_time() - cpu
            if logs[name] is not None:
                assert logs[name].flush(60)
            if turn >= 0:
                whole[name] += time.process_time() - all_cpu
    told = []
    for name, each in walls.items():
        figures = {"p50_us": statistics.median(each)}
        figures |= {"thread_us": thread[name] / len(each) * 1e6, "cpu_us": whole[name] / len(each) * 1e6}
        log = logs[name]
        if log is not None:
            assert (log.counts.dropped, log.counts.failed) == (0, 0), log.counts
            figures["vectors_a_second"] = size / max((whole[name] - whole["none"]) / len(each), 1e-9)
        told.append({"log": name, "entities": size, **{kind: round(value, 1) for kind, value in figures.items()}})
    return told


def bars(told: list[dict]) -> list[dict]:
    """Return the bars on what a log costs the thread that reads and the time of a read."""
    at = {(one["log"], one["entities"]): one for one in told}
    return [
        {
            "bar": f"{what} of {size} entities with a log in {name}, times without",
            "at_most": 1.25,
            "found": round(at[name, size][kind] / at["none", size][kind], 3),
        }
        for size in (1, MANY)
        for name in ("parquet", "tfrecord")
        for what, kind in (("p50", "p50_us"), ("CPU of the reading thread", "thread_us"))
    ]


def main() -> None:
    """Measure with a seed and a number of reads; print lines of JSON."""
    sys.stdout.write(json.dumps(measured(*map(int, sys.argv[1:3]))) + "\n")


if __name__ == "__main__":
    main()
