"""Whose value a served cell that differs is: of a row that was known then, of one that was not yet, or of none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.by_rule import label_times, labels_by_key, rows_by_key
from jukebox.core.by_rule_values import cells, mark
from jukebox.engine.feature_tables import read_partitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jukebox.core.by_rule import Question
    from jukebox.engine.catalog import Partition

_MICROSECOND = 1_000


class Sought(NamedTuple):
    """A row to look for: what it holds in a column, and when it was, in microseconds; None is for whatever it is."""

    column: str
    mark: str | None
    event_time: int | None


def found_rows(
    partitions: Sequence[Partition], question: Question, labels: pa.Table, sought: Sequence[Sought]
) -> tuple[set[int], set[int]]:
    """Return the labels whose sought row was known at their time, and those whose row there is but was not known.

    The partitions are read once, as a stream; what is held grows with the labels.
    """
    at, mine = label_times(labels, question), labels_by_key(labels, list(question.keys))
    columns = list(dict.fromkeys([*question.columns(), *(each.column for each in sought)]))
    wanted = {
        column: pa.chunked_array(labels[label].unique() if labels.num_rows else labels[label])
        for label, column in question.keys.items()
    }
    known: set[int] = set()
    unknown: set[int] = set()
    for whole in read_partitions(partitions, columns):
        batch = _among(whole, wanted)
        for key, rows in rows_by_key(batch, question, mine).items():
            places = pa.array([row.place for row in rows], pa.int64())
            held = {sought[label].column for label in mine[key]}
            values = {name: cells(batch.column(batch.schema.get_field_index(name)).take(places)) for name in held}
            for label in mine[key]:
                look = sought[label]
                for row, value in zip(rows, values[look.column], strict=True):
                    if _is(look, row.event, value):
                        is_known = question.is_known(row.event, row.created, at[label])
                        (known if is_known else unknown).add(label)
    return known, unknown - known


def _among(batch: pa.RecordBatch, wanted: dict[str, pa.ChunkedArray]) -> pa.RecordBatch:
    # Most rows are of other keys, and are not worth a Python value.
    mask = np.ones(batch.num_rows, np.bool_)
    for name, values in wanted.items():
        column = batch.column(batch.schema.get_field_index(name))
        mask &= np.asarray(pc.is_in(column, value_set=values.cast(column.type)).to_numpy(zero_copy_only=False))
    return batch.filter(pa.array(mask))


def _is(look: Sought, event: float | None, value: Any) -> bool:
    if look.event_time is not None and (event is None or look.event_time != event // _MICROSECOND):
        return False
    return look.mark is None or look.mark == mark(value)
