"""Which rows are the newest of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jukebox.core.asof_times import LOWEST, ticks

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def newest(
    row_keys: pa.LargeBinaryArray, event_time: pa.ChunkedArray | None, created_time: pa.ChunkedArray | None
) -> NDArray[np.int64]:
    """Return the positions, ascending, of the row of each key with the greatest (event, created, position).

    A null time ranks lowest, and so do all times of a column that is None.
    """
    codes = row_keys.dictionary_encode().indices.to_numpy()
    ranks = [_rank(time) for time in (created_time, event_time) if time is not None]
    # The sort is stable, so that of equal ranks the last position comes last.
    order = np.lexsort([*ranks, codes])
    in_order = codes[order]
    last = np.append(in_order[1:] != in_order[:-1], True) if len(order) > 0 else np.zeros(0, np.bool_)
    return np.sort(order[last])


def _rank(time: pa.ChunkedArray) -> NDArray[Any]:
    numbers, known = ticks(time)
    return np.where(known, numbers, LOWEST)
