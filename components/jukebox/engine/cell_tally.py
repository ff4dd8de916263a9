"""Counting the cells of one feature that differ, and keeping the rows of as many as are to be looked at closer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jukebox.core.differences import distances, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# So many cells of a feature are searched for whose value they hold; what more differs is told by its event time alone.
LOOKED_AT = 100_000


@dataclass
class Tally:
    """What is learnt of one feature batch by batch: ``kept`` holds the rows that differ.

    Of the rest ``beyond`` counts the rows that ``ordered`` says 0 of, ``beyond_older`` those below and ``beyond_newer``
    those above it; without it all of them.
    """

    tolerance: float
    ordered: Callable[[pa.RecordBatch], NDArray[np.int64]] | None = None
    cells: int = 0
    close: int = 0
    beyond: int = 0
    beyond_older: int = 0
    beyond_newer: int = 0
    held: int = 0
    error: float | None = None
    relative_error: float | None = None
    kept: list[pa.RecordBatch] = field(default_factory=list)

    def compare(self, found: pa.Array, right: pa.Array, rows: pa.RecordBatch) -> None:
        """Take in cells: what was ``found``, what is ``right``, and the ``rows`` that they stand in."""
        self.cells += len(found)
        places = np.flatnonzero(~same(found, right))
        if len(places) == 0:
            return
        taken = pa.array(places)
        apart, share = distances(found.take(taken), right.take(taken))
        close = share <= self.tolerance
        self.close += int(close.sum())
        self.take_in(apart[close], share[close])
        self._keep(rows.take(pa.array(places[~close])))

    def take_in(self, apart: NDArray[np.float64], share: NDArray[np.float64]) -> None:
        """Take in distances of numbers, NaN where there is none."""
        self.error, self.relative_error = _greater(self.error, apart), _greater(self.relative_error, share)

    def _keep(self, rows: pa.RecordBatch) -> None:
        room = max(LOOKED_AT - self.held, 0)
        self._count(rows.slice(room))
        if room and rows.num_rows:
            self.kept.append(rows.slice(0, room))
            self.held += self.kept[-1].num_rows

    def _count(self, rest: pa.RecordBatch) -> None:
        order = np.zeros(rest.num_rows, np.int64) if self.ordered is None else self.ordered(rest)
        self.beyond += int(np.count_nonzero(order == 0))
        self.beyond_older += int(np.count_nonzero(order < 0))
        self.beyond_newer += int(np.count_nonzero(order > 0))


def _greater(before: float | None, values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return before
    return float(max(known.max(), -np.inf if before is None else before))
