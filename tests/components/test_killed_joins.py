"""A join that is killed at any moment leaves no training set that looks whole, and the same command makes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.errors import StorageError
from jukebox.formats import parquet
from jukebox.tables import Manifest
from tests.components.place import TEMP, UTC, at, files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place

LABELS = 300_000
# The shards of labels are as small as they would be where memory is short.
COMMAND = """\
import sys
from jukebox.engine import memory
memory.LEAST_ROWS = int(sys.argv.pop(1))
if memory.LEAST_ROWS < 2**16:
    memory.available = lambda: 0
from jukebox.cli import main
main()
"""


def joining(place: Place, shard: int) -> subprocess.Popen[bytes]:
    """Return ``jukebox prepare-training-set``, running."""
    about = ("--labels", "labels.parquet", "--label-time", "at", "--features", TEMP, "--out", "training_set")
    command = [sys.executable, "-c", COMMAND, str(shard), "prepare-training-set", *about]
    environment = {**os.environ, "JUKEBOX_REGISTRY": place.registry}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=place.root, env=environment, stdout=quiet, stderr=quiet)


def is_under_way(out: Path, stage: str) -> bool:
    """Return whether something of a stage lies at ``out``: the rows, under any name, or the first records."""
    found = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    return any(path.parent.name.startswith("Split-") for path in found) if stage == "records" else bool(found)


@pytest.mark.parametrize("shard", [2**16, 20_000], ids=["whole", "shards"])
@pytest.mark.parametrize("stage", ["rows", "records"])
def test_a_killed_join_leaves_nothing_that_looks_whole_and_a_rerun_is_right(
    here: Place, stage: str, shard: int
) -> None:
    """While rows are written and while records are, all labels at once and shard by shard; no debris stays."""
    here.load()
    spine = {"n": range(LABELS), "origin": ["JFK", "LGA"] * (LABELS // 2)}
    here.join(pa.table({**spine, "at": pa.array([at("02 07:30")] * LABELS, UTC)}), out=str(here.root / "undisturbed"))
    with joining(here, shard) as process:
        while not is_under_way(here.out, stage):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(StorageError, match="no whole artifact"):
        Manifest.read(here.out)
    with joining(here, shard) as process:
        assert process.wait(timeout=120) == 0
    expected, made = Manifest.read(here.root / "undisturbed"), Manifest.read(here.out)
    assert (made.fingerprint, made.rows, made.inputs) == (expected.fingerprint, LABELS, expected.inputs)
    assert made.details["splits"] == expected.details["splits"]
    assert files(here.out).keys() == files(here.root / "undisturbed").keys()
    assert here.joined().equals(pa.Table.from_batches(parquet.read(here.root / "undisturbed" / "training_set.parquet")))
