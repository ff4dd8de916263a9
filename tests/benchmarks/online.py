"""Online loads and reads against Google's Bigtable emulator, with peers in the same run; each part has its bars.

    python tests/benchmarks/online.py --part load --rows 50000

CPU seconds are the client's, medians of the repeats of a process of its own; the emulator is another process, and
its wall time says nothing of Bigtable's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import online_log  # noqa: E402
import online_reads  # noqa: E402
import pit_processes as processes  # noqa: E402
from pit_processes import Skipped  # noqa: E402
from tests.emulators import MISSING, Emulator, cbtemulator  # noqa: E402

LOADS = ["bare", "jukebox", "jukebox_columns", "jukebox_created", "jukebox_again", "library", "feast"]
FEWER = {"feast": 20, "library": 5}  # slow peers load fewer rows


def run(peer: str, rows: int, asked: argparse.Namespace) -> dict:
    """Return the microseconds of client CPU and wall time a row; raises Skipped."""
    count = rows // FEWER.get(peer, 1)
    runs = said(asked, python_of(peer, asked), "online_peers.py", peer, count, asked.seed, asked.repeats)["runs"]
    return {kind: statistics.median(one[kind] for one in runs) / count * 1e6 for kind in ("cpu", "wall")}


def load(asked: argparse.Namespace) -> list[dict]:
    """Measure all peers' loads, and the bars on them."""
    found = {}
    for peer in LOADS:
        try:
            found[peer] = run(peer, asked.rows, asked)
            say(part="load", peer=peer, **{f"{kind}_us_a_row": round(value, 2) for kind, value in found[peer].items()})
        except Skipped as exc:  # noqa: PERF203 - a peer
            say(part="load", peer=peer, skipped=str(exc))
    bars = []
    if "feast" in found:
        ratio = found["feast"]["cpu"] / found["jukebox"]["cpu"]
        bars.append({"bar": "rows per client CPU second, times Feast's", "at_least": 20, "found": round(ratio, 1)})
    ratio = found["jukebox"]["cpu"] / found["bare"]["cpu"]
    return [*bars, {"bar": "client CPU, times the bare proto loop's", "at_most": 2, "found": round(ratio, 2)}]


def python_of(peer: str, asked: argparse.Namespace) -> Path:
    """Return the Python that has a peer; raises Skipped."""
    return processes.python_of("feastbigtable" if peer == "feast" else peer, asked.folder).absolute()


def said(asked: argparse.Namespace, python: str | Path, program: str, *arguments: object) -> Any:
    """Return what a program's last line says, beside an emulator of its own.

    Raises Skipped with its last complaint where it failed.
    """
    emulator = Emulator(cbtemulator())
    try:
        command = list(map(str, [python, HERE / program, *arguments]))
        env = processes.environment(asked.folder) | {"BIGTABLE_EMULATOR_HOST": emulator.host}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    finally:
        emulator.kill()
    if done.returncode != 0:
        raise Skipped(next(line for line in reversed(done.stderr.splitlines()) if line.strip()))
    return json.loads(done.stdout.splitlines()[-1])


def read(asked: argparse.Namespace) -> list[dict]:
    """Measure reads of one and of many entities, Feast's against rows of its own, and the bars on them."""
    told = []
    for peer in ("jukebox", "feast"):
        try:
            found = said(asked, python_of(peer, asked), "online_reads.py", peer, asked.seed, asked.rounds)
            told += found
            for each in found:
                say(part="read", **each)
        except Skipped as exc:  # noqa: PERF203 - a peer
            say(part="read", peer=peer, skipped=str(exc))
    return online_reads.bars(told)


def log(asked: argparse.Namespace) -> list[dict]:
    """Measure reads beside a log of what they serve, and the bars on what it costs them."""
    told = said(asked, sys.executable, "online_log.py", asked.seed, asked.rounds)
    for each in told:
        say(part="log", **each)
    return online_log.bars(told)


PARTS = {"load": load, "read": read, "log": log}


def say(**found: object) -> None:
    """Print a JSON line."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / ".benchmarks")
    asked = parser.parse_args()
    if cbtemulator() is None:
        sys.exit(MISSING)
    asked.folder = asked.folder.resolve()
    for part in asked.part or PARTS:
        for bar in PARTS[part](asked):
            say(part=part, **bar)


if __name__ == "__main__":
    main()
