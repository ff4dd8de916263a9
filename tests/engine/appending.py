"""Processes that append numbers to a table: one that is first, and one that is killed beside one of its manifests."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import pytest

from jukebox.engine.streaming_parts import GrowingTable
from jukebox.storage import conditional
from tests.engine.test_streaming_parts import ABOUT, DAY, SCHEMA, rows


def growing(root: str) -> GrowingTable:
    """Return the table, as a process that starts sees it."""
    return GrowingTable(root, ABOUT, SCHEMA)


def first(root: str, number: int, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Have another process append numbers from this one on, right before a manifest is written."""
    real, other, left = conditional.write_if, growing(root), [times]

    def second(*args: Any) -> bool:
        if left[0] > 0:
            left[0] -= 1
            with monkeypatch.context() as patched:
                patched.setattr(conditional, "write_if", real)
                turn = number + times - left[0] - 1
                other.append(DAY, rows(turn), [f"m{turn}"])
        return real(*args)

    monkeypatch.setattr(conditional, "write_if", second)


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
    table = growing(root)
    for number in range(int(start), int(stop)):
        table.append(DAY, rows(number), [f"m{number}"])
