"""How old answers are: counted exactly whatever the units of the times, and held against a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.asof_times import NANOSECONDS_FROM, SECOND, floats

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from jukebox.core.asof_times import Clock, Integers, Truths

    Unsigned = NDArray[np.uint64]

MICROSECOND = 1_000
_GREATEST = 2**63 - 1
_WORD = 2**64 - 1


@dataclass(frozen=True)
class Ticks:
    """Ages in ticks of so many nanoseconds."""

    counts: Unsigned
    tick: int

    def __len__(self) -> int:
        """Return how many ages there are."""
        return len(self.counts)

    def among(self, rows: Truths) -> Ticks:
        """Return some of the ages."""
        return Ticks(self.counts[rows], self.tick)

    def above(self, limit: timedelta) -> Truths:
        """Return which ages are above the limit; an age equal to it is not."""
        seconds, rest = _limit(limit)
        most = (seconds * SECOND + rest) // self.tick
        return np.asarray(self.counts > np.uint64(min(most, _WORD)), np.bool_)

    def microseconds(self) -> Integers:
        """Return the ages in whole microseconds rounded down; above 292,000 years they are told as that."""
        if self.tick < MICROSECOND:
            return np.asarray((self.counts // np.uint64(MICROSECOND // self.tick)).view(np.int64))
        times = self.tick // MICROSECOND
        most = np.uint64(_GREATEST // times)
        counts = self.counts if not len(self) or self.counts.max() <= most else np.minimum(self.counts, most)
        return np.asarray(counts.view(np.int64) * times if times > 1 else counts.view(np.int64))


@dataclass(frozen=True)
class Age:
    """Ages as whole seconds and the nanoseconds beyond them."""

    seconds: Unsigned
    nanoseconds: Integers

    def __len__(self) -> int:
        """Return how many ages there are."""
        return len(self.seconds)

    def among(self, rows: Truths) -> Age:
        """Return some of the ages."""
        return Age(self.seconds[rows], self.nanoseconds[rows])

    def above(self, limit: timedelta) -> Truths:
        """Return which ages are above the limit; an age equal to it is not."""
        seconds, rest = _limit(limit)
        above = (self.seconds > seconds) | ((self.seconds == seconds) & (self.nanoseconds > rest))
        return np.asarray(above, np.bool_)

    def microseconds(self) -> Integers:
        """Return the ages in whole microseconds rounded down; above 292,000 years they are told as that."""
        seconds = np.minimum(self.seconds, np.uint64(_GREATEST // 10**6 - 1)).astype(np.int64)
        return np.asarray(seconds * 10**6 + self.nanoseconds // MICROSECOND)


def _limit(limit: timedelta) -> tuple[int, int]:
    # pandas' Timedelta is a timedelta that counts nanoseconds beside.
    return limit.days * 86_400 + limit.seconds, limit.microseconds * 1_000 + getattr(limit, "nanoseconds", 0)


def ages(labels: Integers, events: Integers, labels_clock: Clock, events_clock: Clock) -> Age | Ticks:
    """Return how long before its label time each event was; no event is later than its label.

    Integers are seconds, or nanoseconds in rows whose label time is 10^17 and more. Floats are seconds, and
    their ages are rounded to the microsecond, timedelta's own resolution; only equal times have age zero.
    """
    if labels_clock.kind == "float":
        return _float_ages(floats(labels), floats(events))
    # The difference of two int64 fits uint64, where subtraction wraps to it.
    between = labels.view(np.uint64) - events.view(np.uint64)
    if labels_clock.kind == "integer":
        nano = labels >= NANOSECONDS_FROM
        seconds = np.where(nano, between // SECOND, between)
        return Age(seconds, np.where(nano, between % SECOND, 0).astype(np.int64))
    if labels_clock.tick == events_clock.tick:
        return Ticks(between, labels_clock.tick)
    ours, our_rest = _split(labels, labels_clock.tick)
    theirs, their_rest = _split(events, events_clock.tick)
    rest = our_rest - their_rest
    borrow = rest < 0
    return Age(ours.view(np.uint64) - theirs.view(np.uint64) - borrow, rest + borrow * SECOND)


def _split(times: Integers, tick: int) -> tuple[Integers, Integers]:
    if tick >= SECOND:
        return times * (tick // SECOND), np.zeros(len(times), np.int64)
    seconds, rest = np.divmod(times, SECOND // tick)
    return seconds, rest * tick


def _float_ages(labels: NDArray[np.float64], events: NDArray[np.float64]) -> Age:
    with np.errstate(invalid="ignore", over="ignore"):
        # What is true at all times is NaN here, and has no age.
        between = np.where((labels == events) | np.isnan(events), 0.0, np.minimum(labels - events, 1e18))
    whole = np.floor(between)
    micro = np.rint((between - whole) * 1e6)
    micro = np.where((whole == 0) & (between > 0), np.maximum(micro, 1), micro).astype(np.int64)
    carry = micro == 10**6
    return Age(whole.astype(np.uint64) + carry, np.where(carry, 0, micro) * 1_000)
