"""One round of questions to online stores: all at once, each asked a second time where an answer is long in coming."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from jukebox.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    Call = Callable[[float | None], "T"]

T = TypeVar("T")
_THREADS = 64


class Rounds:
    """Asks stores, in threads where one thread will not do; ``hedged`` counts the questions asked a second time."""

    def __init__(self, hedge_after: float | None = None) -> None:
        self._hedge_after, self.hedged = hedge_after, 0
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def all(self, calls: Sequence[Call[T]], timeout: float | None) -> list[T]:
        """Return the answer to each of ``calls``, which are given the seconds that are left.

        A call that has not answered after ``hedge_after`` seconds is made once more, and the first answer counts.
        Raises TimedOut after ``timeout`` seconds, and what the calls raise.
        """
        if len(calls) == 1 and self._hedge_after is None:
            return [calls[0](timeout)]
        end = None if timeout is None else time.monotonic() + timeout
        pool, started = self._threads(), time.monotonic()
        first = [pool.submit(call, timeout) for call in calls]
        return [self._answer(call, attempt, started, end) for call, attempt in zip(calls, first, strict=True)]

    def close(self) -> None:
        """Let go of the threads; another round starts them again."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _answer(self, call: Call[T], first: Future[T], started: float, end: float | None) -> T:
        attempts = {first}
        if self._hedge_after is not None:
            done, _ = wait(attempts, timeout=_sooner(started + self._hedge_after, end))
            if not done:
                attempts.add(self._threads().submit(call, _left(end)))
                with self._lock:
                    self.hedged += 1
        while True:
            done, rest = wait(attempts, timeout=_left(end), return_when=FIRST_COMPLETED)
            if not done:
                raise TimedOut("the online store did not answer in time")
            answered = next((each for each in done if each.exception() is None), None)
            if answered is not None:
                return answered.result()
            if not rest:
                return done.pop().result()
            attempts = rest

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="jukebox-reader")
            return self._pool


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - time.monotonic())


def _sooner(one: float, other: float | None) -> float:
    return max(0.0, (one if other is None else min(one, other)) - time.monotonic())
