"""Choosing some of many rows: evenly scattered, and the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jukebox.core.mixing import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64 - 1
_STEP = 1 << 20


def scattered(rows: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return ``count`` of the numbers below ``rows``, ascending, or all of them where there are no more.

    The same for the same arguments; another ``seed`` gives others. Memory does not grow with ``rows``.
    """
    start = mix(np.array([(seed * _GOLDEN + 1) & _WORD], np.uint64))
    chosen, least = np.zeros(0, np.int64), np.zeros(0, np.uint64)
    for first in range(0, rows, _STEP):
        numbers = np.arange(first, min(first + _STEP, rows), dtype=np.int64)
        ranks = mix(numbers.view(np.uint64) * np.uint64(_GOLDEN) ^ start)
        chosen, least = np.concatenate([chosen, numbers]), np.concatenate([least, ranks])
        if len(chosen) > count:
            kept = np.argpartition(least, count)[:count]
            chosen, least = chosen[kept], least[kept]
    return np.sort(chosen)
