"""Which failures pass, and how long to wait before the next attempt."""

from __future__ import annotations

import time
from typing import Any

from google.api_core.retry import exponential_sleep_generator

from jukebox.stores.bigtable.connection import grpc

FIRST, LONGEST = 0.05, 5.0  # seconds
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_PASSING_NUMBERS = {code.value[0] for code in _PASSING}
# A connection that was reset is told as an internal error, by these words alone.
_RESET = ("rst_stream", "rst stream", "received unexpected eos on data frame from server")


def is_passing(code: Any, said: str | None = None) -> bool:
    """Return whether another attempt may succeed, by gRPC's code or its number, and by what the server ``said``."""
    if code is grpc.StatusCode.INTERNAL and said is not None:
        return any(words in said.lower() for words in _RESET)
    return code in _PASSING or code in _PASSING_NUMBERS


def left(end: float) -> float:
    """Return the seconds that are left until a moment of the monotonic clock, at least a millisecond."""
    return max(0.001, end - time.monotonic())


class Patience:
    """Waits that grow, with jitter, up to a moment ``end`` of the monotonic clock."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._waits = exponential_sleep_generator(FIRST, LONGEST)

    def left(self) -> float:
        """Return the seconds that are left, at least a millisecond."""
        return left(self._end)

    def next(self) -> float | None:
        """Return the moment of the next attempt, None where it would be too late."""
        when: float = time.monotonic() + next(self._waits)
        return when if when < self._end else None

    def waited(self) -> bool:
        """Wait until the next attempt is due; return False, without a wait, where it would be too late."""
        when = self.next()
        if when is None:
            return False
        time.sleep(max(0.0, when - time.monotonic()))
        return True
