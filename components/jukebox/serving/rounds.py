"""One round of questions to online stores: all at once, each asked a second time where an answer is long in coming."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, TypeVar

from jukebox.serving.threads import first_done, let_go

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from jukebox.serving.threads import Threads

    Call = Callable[[float | None], "T"]

T = TypeVar("T")


class Rounds:
    """Asks stores, in threads where one thread will not do; ``hedged`` counts the questions asked a second time."""

    def __init__(self, threads: Threads, hedge_after: float | None = None) -> None:
        self._threads, self._hedge_after, self.hedged = threads, hedge_after, 0
        self._lock = threading.Lock()

    def all(self, calls: Sequence[Call[T]], timeout: float | None) -> list[T]:
        """Return the answer to each of ``calls``, which are given the seconds that are left.

        A call that has not answered after ``hedge_after`` seconds is made once more, and the first answer counts; of
        the other no more is heard. Raises TimedOut after ``timeout`` seconds, and what the calls raise.
        """
        if len(calls) == 1 and self._hedge_after is None:
            return [calls[0](timeout)]
        started = time.monotonic()
        end = None if timeout is None else started + timeout
        first = [self._ask(call, end) for call in calls]
        return [self._answer(call, attempt, started, end) for call, attempt in zip(calls, first, strict=True)]

    def _ask(self, call: Call[T], end: float | None) -> Future[T]:
        return self._threads.submit(lambda: call(left(end)))

    def _answer(self, call: Call[T], first: Future[T], started: float, end: float | None) -> T:
        attempts = {first}
        if self._hedge_after is not None:
            done, _ = wait(attempts, timeout=_sooner(started + self._hedge_after, end))
            if not done:
                attempts.add(self._ask(call, end))
                with self._lock:
                    self.hedged += 1
        while True:
            done = first_done(attempts, left(end))
            attempts -= done
            answered = next((each for each in done if each.exception() is None), None)
            if answered is not None or not attempts:
                let_go(attempts)
                return (done.pop() if answered is None else answered).result()


def left(end: float | None) -> float | None:
    """Return the seconds until ``end`` on the monotonic clock, 0 when it is over."""
    return None if end is None else max(0.0, end - time.monotonic())


def _sooner(one: float, other: float | None) -> float:
    return max(0.0, (one if other is None else min(one, other)) - time.monotonic())
