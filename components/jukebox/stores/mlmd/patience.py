"""How long a call on a metadata store waits, for other writers or for a server: 30 seconds, or what the user sets."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, TypeVar

from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

VARIABLE = "JUKEBOX_METADATA_TIMEOUT"
_SECONDS = 30.0


def patience() -> float:
    """Return the seconds that a call may wait; raises InvalidValue where the environment holds no positive number."""
    text = os.environ.get(VARIABLE, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError as exc:
        raise InvalidValue(f"{VARIABLE} is '{text}'; it must be a number of seconds") from exc
    if not 0 < seconds < float("inf"):
        raise InvalidValue(f"{VARIABLE} is '{text}'; it must be a number of seconds above 0")
    return seconds


def patiently(call: Callable[[], T], passes: Callable[[Exception], bool]) -> T:
    """Return what ``call`` returns, called again after each error that ``passes``, until patience ends."""
    deadline, pause = time.monotonic() + patience(), 0.01
    while True:
        try:
            return call()
        except Exception as exc:
            if not passes(exc) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0, pause))  # noqa: S311 - so that waiting writers do not meet again
        pause = min(2 * pause, 1.0)
