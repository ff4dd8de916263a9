"""Threads that calls are made in, which neither ``close`` nor a fork is the end of."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import WeakSet

from jukebox.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

T = TypeVar("T")


class Renewed(Protocol):
    """What has threads and locks: in the child of a fork the threads are gone, and a lock may be held for ever."""

    def renew(self) -> None:
        """Begin anew, without them."""


_RENEWED: WeakSet[Renewed] = WeakSet()


def renew_after_fork(each: Renewed) -> None:
    """Have ``each`` renewed in all children that the process forks as long as somebody holds it."""
    _RENEWED.add(each)


def _renew() -> None:
    for each in list(_RENEWED):
        each.renew()


# Windows, which does not fork, has no such function.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Threads:
    """At most ``count`` threads; they begin with the first call, and anew after ``close`` and a fork."""

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Forget the threads; the next call begins others."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have a call made in a thread, when one is free."""
        # Under the lock: ``close`` beside it would shut the pool before the call is in it.
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
            return self._pool.submit(call)

    def within(self, seconds: float, call: Callable[[], T]) -> T:
        """Return what ``call`` returns; raises TimedOut after ``seconds``, whatever the call does then."""
        future = self.submit(call)
        first_done([future], seconds)
        return future.result()

    async def awaited(self, call: Callable[[], T], seconds: float | None = None) -> T:
        """Return what ``call`` returns, without holding up the event loop; raises what ``within`` does."""
        made = self.submit(call)
        future = asyncio.wrap_future(made)
        try:
            done, _ = await asyncio.wait({future}, timeout=seconds)
        finally:
            # Nobody waits any longer for a call that has not begun.
            future.cancel()
        if not done:
            raise TimedOut(f"there is no answer after {seconds:g} seconds")
        return made.result()

    def close(self) -> None:
        """Let go of the threads when they have made the calls that they have."""
        with self._lock:
            if self._pool is not None:
                # A call that the pool takes back is never done: who waits for it would wait for ever.
                self._pool.shutdown(wait=False)
            self._pool = None


def first_done(futures: Collection[Future[T]], seconds: float | None) -> set[Future[T]]:
    """Return those that are done, as soon as one is; raises TimedOut after ``seconds``, and what waits is let go."""
    done, rest = wait(futures, timeout=seconds, return_when=FIRST_COMPLETED)
    if not done:
        let_go(rest)
        raise TimedOut("the online store did not answer in time")
    return done


def let_go(futures: Collection[Future[T]]) -> None:
    """Have calls not made that have not begun."""
    for future in futures:
        future.cancel()
