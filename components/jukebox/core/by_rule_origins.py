"""Where a value came from that is not the answer: from a row that was known at the label's time, or from the future."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.by_rule import label_times, labels_by_key, rows_by_key
from jukebox.core.by_rule_values import cells, mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jukebox.core.by_rule import Question


class Origins:
    """Looks for the rows of a label's key that hold a given value; ``wrong`` maps (label, output column) to it.

    After all batches are read, ``known`` holds the cells whose value a row had that was known at the label's time,
    and ``unknown`` those whose value a row had that was not: of a later event, or arrived later, or never dated.
    """

    def __init__(self, labels: pa.Table, question: Question, wrong: Mapping[tuple[int, str], Any]) -> None:
        self.question = question
        self.known: set[tuple[int, str]] = set()
        self.unknown: set[tuple[int, str]] = set()
        self._at = label_times(labels, question)
        self._wanted: dict[tuple[Any, ...], dict[tuple[str, str], list[int]]] = {}
        for key, rows in labels_by_key(labels, list(question.keys)).items():
            wanted = defaultdict(list)
            for label in rows:
                for output in question.values:
                    if wrong.get((label, output)) is not None:
                        wanted[output, mark(wrong[label, output])].append(label)
            if wanted:
                self._wanted[key] = dict(wanted)

    def read(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        for key, rows in rows_by_key(batch, self.question, self._wanted).items():
            wanted = self._wanted[key]
            places = pa.array([row.place for row in rows], pa.int64())
            for output in {output for output, _ in wanted}:
                values = cells(batch.column(self.question.values[output]).take(places))
                for row, value in zip(rows, values, strict=True):
                    for label in wanted.get((output, mark(value)), ()):
                        was_known = self.question.is_known(row.event, row.created, self._at[label])
                        (self.known if was_known else self.unknown).add((label, output))
