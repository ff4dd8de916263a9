"""Watching a local TFX run: a line for each step, with its time, processor time and greatest memory."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STARTED = re.compile(r"Component (\S+) is running\.")
_ENDED = re.compile(r"Component (\S+) is finished\.")
_CACHED = re.compile(r"A cached execution \d+ is used\.")


@dataclass(frozen=True)
class Step:
    """What a finished step cost: seconds of wall clock and of processors, and the process's peak in megabytes."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: int | None
    cached: bool

    def to_json(self) -> dict[str, object]:
        """Return the step as plain JSON values."""
        return asdict(self)


class StepWatcher(logging.Handler):
    """Listens to TFX's log and tells ``started(name)`` and ``ended(step)``; ``steps`` holds all that ended."""

    def __init__(self, *, started: Callable[[str], None], ended: Callable[[Step], None]) -> None:
        super().__init__(logging.INFO)
        self._started, self._ended = started, ended
        self._wall, self._cpu, self._cached = 0.0, 0.0, False
        self.steps: list[Step] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one line of the log."""
        line = record.getMessage()
        if match := _STARTED.match(line):
            self._wall, self._cpu, self._cached = time.monotonic(), _cpu_seconds(), False
            _forget_peak()
            self._started(match[1])
        elif _CACHED.match(line):
            self._cached = True
        elif match := _ENDED.match(line):
            wall, cpu = time.monotonic() - self._wall, _cpu_seconds() - self._cpu
            step = Step(match[1], round(wall, 1), round(cpu, 1), _peak_megabytes(), self._cached)
            self.steps.append(step)
            self._ended(step)


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _forget_peak() -> None:
    # Linux alone can count the peak anew; elsewhere there is none to tell.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_megabytes() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return None
