"""Loads into Bigtable by several processes at once: the newest rows stay, and a killed load is completed by a rerun."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jukebox.stores import open_online

ROOT = Path(__file__).parents[3]
KEYS, MANY = 6_000, 30_000  # many are more than all requests that are under way at once
START = 1_700_000_000_000_000
LOAD = """
import sys
import pyarrow as pa
from jukebox.stores import open_online
uri, micros, rank, keys = sys.argv[1], *map(int, sys.argv[2:])
at = pa.array([micros] * keys, pa.timestamp("us", "UTC"))
rows = pa.table({"user": range(keys), "at": at, "made": pa.array([rank] * keys, at.type), "load": [rank] * keys})
told = lambda done, _: print(done, flush=True)
print("started", flush=True)
sys.stdin.readline()
open_online(uri).write("t", rows, keys=["user"], event_time="at", created_time="made", progress=told)
"""


def loading(uri: str, micros: int, rank: int, keys: int = KEYS) -> subprocess.Popen[str]:
    """Return a process that writes all keys as soon as it is told a line: events of one time, known at another."""
    command = [sys.executable, "-c", LOAD, uri, str(START + micros), str(rank), str(keys)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def loads(uri: str, keys: int = KEYS) -> set[int | None]:
    """Return which loads the rows of all keys are of."""
    found = open_online(uri).read("t", [{"user": user} for user in range(keys)])
    return {None if row is None else row.values["load"] for row in found}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1)])
def test_corrections_by_processes_at_once_leave_the_last_known(bigtable: str, order: tuple[int, ...]) -> None:
    """Three corrections of the same events, which race for the same rows and take each other away."""
    processes = [loading(bigtable, 0, rank) for rank in order]
    for process in processes:
        print(file=process.stdin, flush=True)
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert loads(bigtable) == {3}


def test_a_load_that_is_killed_is_completed_by_a_rerun_beside_another(bigtable: str) -> None:
    """Some of its rows are there; those of a newer date, loaded meanwhile, stay above them."""
    killed, newer, rerun = (loading(bigtable, *each, MANY) for each in ((0, 1), (999, 2), (0, 1)))
    print(file=killed.stdin, flush=True)
    assert killed.stdout is not None
    assert 0 < int(killed.stdout.readline()) < MANY
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert loads(bigtable, MANY) == {None, 1}
    print(file=rerun.stdin, flush=True)
    rerun.communicate(timeout=120)
    assert loads(bigtable, MANY) == {1}
    print(file=newer.stdin, flush=True)
    newer.communicate(timeout=120)
    assert (rerun.returncode, newer.returncode, loads(bigtable, MANY)) == (0, 0, {2})
