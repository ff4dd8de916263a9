"""Which rows are the newest of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.core import rowkeys
from jukebox.core.asof_times import LOWEST, ticks
from jukebox.errors import InvalidValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jukebox.core.layouts import Layout


def newest_rows(layout: Layout, rows: pa.Table) -> pa.Table:
    """Return the newest of ``rows`` for each key, which have ``layout``; raises InvalidValue for a null event time."""
    times = [rows[name] for name in layout.time_names]
    if layout.timed and times[0].null_count > 0:
        raise InvalidValue(f"event time '{layout.time_names[0]}' has {times[0].null_count} nulls; when was that?")
    event, created = times[0] if layout.timed else None, times[-1] if layout.created else None
    return rows.take(pa.array(newest(rowkeys.encode(rows, layout.key_names), event, created)))


def newest(
    row_keys: pa.LargeBinaryArray, event_time: pa.ChunkedArray | None, created_time: pa.ChunkedArray | None
) -> NDArray[np.int64]:
    """Return the positions, ascending, of the row of each key with the greatest (event, created, position).

    A null time ranks lowest, and so do all times of a column that is None.
    """
    codes = row_keys.dictionary_encode().indices.to_numpy()
    times = [ranks(time) for time in (created_time, event_time) if time is not None]
    # The sort is stable, so that of equal ranks the last position comes last.
    order = np.lexsort([*times, codes])
    in_order = codes[order]
    last = np.append(in_order[1:] != in_order[:-1], True) if len(order) > 0 else np.zeros(0, np.bool_)
    return np.sort(order[last])


def ranks(time: pa.ChunkedArray) -> NDArray[Any]:
    """Return the times as integers in the unit of their column, the least integer where there is none."""
    numbers, known = ticks(time)
    return np.where(known, numbers, LOWEST)
