"""Choosing some of many rows: evenly scattered, and the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.mixing import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64 - 1


def scattered(rows: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return ``count`` of the numbers below ``rows``, ascending, or all of them where there are no more.

    One of each of ``count`` equal parts. The same for the same arguments; another ``seed`` gives others.
    """
    if rows <= count:
        return np.arange(rows)
    ends = np.arange(count + 1) * rows // count
    start = mix(np.array([(seed * _GOLDEN + 1) & _WORD], np.uint64))
    ranks = mix(np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN) ^ start)
    within = ranks % np.diff(ends).astype(np.uint64)
    return np.asarray(ends[:-1] + within.astype(np.int64))
