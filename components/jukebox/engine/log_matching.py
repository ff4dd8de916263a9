"""Labels meet the log by request: for each label the row of the log that it is about, the first that was served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.engine.served_logs import POSITION, REQUEST_ID, SERVED_AT
from jukebox.errors import InvalidType, InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from jukebox.engine.served_logs import ServedLog

NONE = -1
_SHOWN = 3


@dataclass(frozen=True)
class Matched:
    """For each label the number of its row of the log, ``NONE`` where none was logged.

    ``duplicates`` rows of the log are of a request and position that had been served before, ``nameless`` have no
    request id.
    """

    rows: NDArray[np.int64]
    duplicates: int
    nameless: int

    @property
    def logged(self) -> int:
        """How many labels have a row."""
        return int(np.count_nonzero(self.rows != NONE))


def matched(log: ServedLog, labels: pa.Table, request_id: str, position: str | None) -> Matched:
    """Return the rows of the log that labels are about, by their columns of request ids and of positions.

    What is held grows with the labels. Raises InvalidType for columns that are no ids or positions, and InvalidValue
    where a request had several entities and no column says which one is meant.
    """
    ids, places = _ids(labels, request_id), _positions(labels, position)
    wanted = pc.drop_null(ids.unique())
    found, nameless = _found(log, wanted)
    if position is None:
        _require_one_entity(found, request_id)
    at = (_codes(ids, wanted), places), (_codes(found[REQUEST_ID], wanted), _numbers(found[POSITION]))
    order = np.lexsort((_numbers(found["row"]), _numbers(found[SERVED_AT].cast(pa.int64())), at[1][1], at[1][0]))
    codes, theirs = at[1][0][order], at[1][1][order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (codes[1:] != codes[:-1]) | (theirs[1:] != theirs[:-1])
    firsts = _looked_up(codes[first], theirs[first], _numbers(found["row"])[order][first], at[0])
    return Matched(firsts, int(np.count_nonzero(~first)), nameless)


def _looked_up(
    codes: NDArray[np.int64],
    places: NDArray[np.int64],
    rows: NDArray[np.int64],
    labels: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.int64]:
    if len(rows) == 0:
        return np.full(len(labels[0]), NONE)
    # Positions are below the greatest one logged, so that the two together are one number.
    width = int(places.max()) + 1
    inside = (labels[0] >= 0) & (labels[1] >= 0) & (labels[1] < width)
    sought = np.where(inside, labels[0] * width + labels[1], NONE)
    there = codes * width + places
    at = np.minimum(np.searchsorted(there, sought), len(there) - 1)
    return np.asarray(np.where(there[at] == sought, rows[at], NONE), np.int64)


def _ids(labels: pa.Table, column: str) -> pa.ChunkedArray:
    kind = labels[column].type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_integer(kind) or "string" in str(kind) or pa.types.is_null(kind)):
        raise InvalidType(f"label column '{column}' is {kind}; the ids of requests are text")
    return labels[column].cast(kind).cast(pa.string())


def _positions(labels: pa.Table, column: str | None) -> NDArray[np.int64]:
    if column is None:
        return np.zeros(labels.num_rows, np.int64)
    if not pa.types.is_integer(labels[column].type):
        raise InvalidType(f"label column '{column}' is {labels[column].type}; positions are whole numbers, from 0")
    return _numbers(pc.fill_null(labels[column].cast(pa.int64()), NONE))


def _found(log: ServedLog, wanted: pa.Array) -> tuple[pa.Table, int]:
    """Return the rows of the log that are of the wanted requests, with their numbers, and how many have no id."""
    parts, start, nameless = [], 0, 0
    for batch in log.read([REQUEST_ID, POSITION, SERVED_AT]):
        numbers = pa.array(np.arange(start, start + batch.num_rows))
        start += batch.num_rows
        nameless += batch.column(0).null_count
        rows = pa.table({**dict(zip(batch.schema.names, batch.columns, strict=True)), "row": numbers})
        parts.append(rows.filter(pc.is_in(rows[REQUEST_ID], value_set=wanted)))
    fields = [log.schema.field(name) for name in (REQUEST_ID, POSITION, SERVED_AT)]
    schema = pa.schema([*fields, pa.field("row", pa.int64())])
    found = pa.concat_tables([schema.empty_table(), *parts])
    timed = found.filter(pc.is_valid(found[SERVED_AT]))
    return timed, nameless


def _require_one_entity(found: pa.Table, request_id: str) -> None:
    several = pc.unique(found[REQUEST_ID].filter(pc.greater(found[POSITION], 0)))
    if len(several):
        shown = ", ".join(map(repr, several[:_SHOWN].to_pylist()))
        raise InvalidValue(
            f"{len(several)} requests in the log had several entities: {shown}; name the label column that tells which "
            f"of them a label is about, counted from 0, beside '{request_id}'"
        )


def _codes(ids: pa.ChunkedArray, wanted: pa.Array) -> NDArray[np.int64]:
    return _numbers(pc.fill_null(pc.index_in(ids, value_set=wanted).cast(pa.int64()), NONE))


def _numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)


def rows_at(log: ServedLog, numbers: NDArray[np.int64], columns: Iterable[str]) -> pa.Table:
    """Return rows of the log by their numbers, in that order; one that is ``NONE`` is nulls."""
    names = list(columns)
    wanted = np.unique(numbers[numbers != NONE])
    parts, start = [], 0
    for batch in log.read(names) if len(wanted) else ():
        low, high = wanted.searchsorted([start, start + batch.num_rows])
        if low < high:
            parts.append(batch.take(pa.array(wanted[low:high] - start)))
        start += batch.num_rows
    held = pa.Table.from_batches(parts, pa.schema([log.schema.field(name) for name in names]))
    places = np.searchsorted(wanted, numbers)
    return held.take(pa.array(np.where(numbers == NONE, 0, places), pa.int64(), mask=numbers == NONE))
