"""A process that appends numbers to a table, and is killed before or after one of its manifests is put in place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from jukebox.engine.streaming_parts import GrowingTable
from jukebox.storage import conditional
from tests.engine.test_streaming_parts import ABOUT, DAY, SCHEMA, rows


def dying(moment: str, at: int) -> None:
    """Have the process killed at the write of the manifest of this number."""
    real, left = conditional.write_if, [at]

    def last(*args: Any) -> bool:
        left[0] -= 1
        if left[0] == 0 and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*args)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    conditional.write_if = last


if __name__ == "__main__":
    root, start, stop, moment = sys.argv[1:]
    if moment != "never":
        dying(moment, 3)
    table = GrowingTable(root, ABOUT, SCHEMA)
    for number in range(int(start), int(stop)):
        table.append(DAY, rows(number), [f"m{number}"])
