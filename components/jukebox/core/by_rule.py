"""The join's rules once more, in plain Python and by search: slow, sharing nothing with the join, and so its judge.

For a few labels: the rows of a label's key are put in order, and the newest of them that was known is the answer.

>>> labels = pa.table({"user": [1], "at": [5]})
>>> question = Question(keys={"user": "user"}, event_time="ts", values={"plays": "n"}, label_time="at")
>>> search = Search(labels, question)
>>> search.read(pa.RecordBatch.from_pydict({"user": [1, 1], "ts": [4, 6], "n": [7, 9]}))
>>> search.answers("plays")[0].value
7
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from jukebox.core.by_rule_values import EVER, Instant, cells, counting, instants, is_too_old, key_tuples

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta


@dataclass(frozen=True)
class Question:
    """What is asked of one feature table, under which rules; ``event_time`` None is for rows true at all times.

    ``keys`` maps label columns to feature columns, ``values`` output columns to feature columns. For the outputs in
    ``last_non_null`` only rows with a value count. An output without an entry in ``max_age`` has no limit.
    """

    _: KW_ONLY
    keys: Mapping[str, str]
    label_time: str
    event_time: str | None
    values: Mapping[str, str]
    created_time: str | None = None
    max_age: Mapping[str, timedelta | None] = field(default_factory=dict)
    last_non_null: frozenset[str] = frozenset()
    allow_exact: bool = True
    as_known: bool = True

    def columns(self) -> list[str]:
        """Return every feature column that is read, once."""
        times = [name for name in (self.event_time, self.created_time) if name is not None]
        return list(dict.fromkeys([*self.keys.values(), *times, *self.values.values()]))

    def is_past(self, event: Instant | None, at: Instant) -> bool:
        """Return whether an event was over at a label's time; one without a time never is."""
        return event is not None and (event < at or (self.is_exact() and event == at))

    def is_exact(self) -> bool:
        """Return whether what happened exactly at a label's time counts; what is true at all times is so then too."""
        return self.allow_exact or self.event_time is None

    def is_known(self, event: Instant | None, created: Instant | None, at: Instant) -> bool:
        """Return whether a row may answer a label: its event is past, and it was there already."""
        if not self.is_past(event, at):
            return False
        return not self.as_known or self.created_time is None or (created is not None and created <= at)


class Answer(NamedTuple):
    """What the rules say of one cell: the row that is used and its value, None where there is none.

    ``known`` is the row before its age is looked at; ``newer_unknown`` tells of a row of a later event, past at the
    label's time, that was not known yet. Rows are counted through all batches.
    """

    row: int | None
    value: Any
    known: int | None
    newer_unknown: bool


class Row(NamedTuple):
    """A row of a label's key; ``place`` is its place in the batch, ``number`` that in the table."""

    place: int
    number: int
    event: Instant | None
    created: Instant | None

    @property
    def rank(self) -> tuple[Instant, bool, Instant, int]:
        """What the greatest counts of; a row without a created time is below those that have one."""
        return self.event or 0, self.created is not None, self.created or 0, self.number


class _Best(NamedTuple):
    rank: tuple[Instant, bool, Instant, int]
    values: tuple[Any, ...]


class Search:
    """Answers labels from feature rows, given batch by batch in source order; what is held grows with the labels."""

    def __init__(self, labels: pa.Table, question: Question) -> None:
        self.question = question
        self._at = label_times(labels, question)
        self._counted = counting(labels.schema.field(question.label_time).type)
        self._labels = labels_by_key(labels, list(question.keys))
        # Which rows count: all of them, or those with a value in one column.
        self._lenses = dict.fromkeys(name if name in question.last_non_null else None for name in question.values)
        self._best: dict[tuple[int, str | None], _Best] = {}
        self._newest: dict[tuple[int, str | None], Instant] = {}
        self._start = 0

    def read(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        found = rows_by_key(batch, self.question, self._labels, self._start)
        self._start += batch.num_rows
        winners: list[tuple[int, str | None, Row]] = []
        for lens in self._lenses:
            counts = None if lens is None else batch.column(self.question.values[lens]).is_valid().to_pylist()
            for key, rows in found.items():
                ranked = [row for row in rows if row.event is not None and (counts is None or counts[row.place])]
                ranked.sort(key=lambda row: row.rank)
                winners += self._look(key, lens, ranked)
        self._keep(batch, winners)

    def _look(self, key: tuple[Any, ...], lens: str | None, ranked: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
        events = [row.rank[0] for row in ranked]
        asked = self.question
        for label in self._labels[key]:
            at, cell = self._at[label], (label, lens)
            end = (bisect_right if asked.is_exact() else bisect_left)(events, at)
            if end == 0:
                continue
            self._newest[cell] = max(self._newest.get(cell, EVER), events[end - 1])
            past = (ranked[place] for place in range(end - 1, -1, -1))
            best = next((row for row in past if asked.is_known(row.event, row.created, at)), None)
            if best is not None and (cell not in self._best or best.rank > self._best[cell].rank):
                yield label, lens, best

    def _keep(self, batch: pa.RecordBatch, winners: Sequence[tuple[int, str | None, Row]]) -> None:
        places = sorted({row.place for _, _, row in winners})
        columns = [cells(batch.column(name).take(pa.array(places, pa.int64()))) for name in self._names()]
        values = dict(zip(places, zip(*columns, strict=True), strict=True))
        for label, lens, row in winners:
            self._best[label, lens] = _Best(row.rank, values[row.place])

    def _names(self) -> list[str]:
        return list(self.question.values.values())

    def answers(self, output: str) -> list[Answer]:
        """Return the answer to every label in one output column, from the rows read so far."""
        lens = output if output in self.question.last_non_null else None
        place = list(self.question.values).index(output)
        return [self._answer((label, lens), output, place) for label in range(len(self._at))]

    def _answer(self, cell: tuple[int, str | None], output: str, place: int) -> Answer:
        best, newest = self._best.get(cell), self._newest.get(cell)
        if best is None:
            return Answer(None, None, None, newest is not None)
        event, number = best.rank[0], best.rank[-1]
        newer = newest is not None and newest > event
        limit = self.question.max_age.get(output)
        if is_too_old(self._at[cell[0]], event, limit, counted=self._counted):
            return Answer(None, None, number, newer)
        return Answer(number, best.values[place], number, newer)


def rows_by_key(
    batch: pa.RecordBatch, question: Question, keys: Mapping[tuple[Any, ...], Any], start: int = 0
) -> dict[tuple[Any, ...], list[Row]]:
    """Return the rows of a batch whose keys are among ``keys``, in their order; ``start`` rows came before."""
    theirs = key_tuples([batch.column(name) for name in question.keys.values()], batch.num_rows)
    places = [place for place, key in enumerate(theirs) if key in keys]
    few = pa.array(places, pa.int64())
    events, created = (
        nothing if name is None else instants(batch.column(name).take(few))
        for name, nothing in ((question.event_time, [EVER] * len(few)), (question.created_time, [None] * len(few)))
    )
    found = defaultdict(list)
    for place, event, made in zip(places, events, created, strict=True):
        found[theirs[place]].append(Row(place, start + place, event, made))
    return found


def labels_by_key(labels: pa.Table, names: Sequence[str]) -> dict[tuple[Any, ...], list[int]]:
    """Return the labels of each key, by row; a null in a key matches nothing."""
    found = defaultdict(list)
    for label, key in enumerate(key_tuples([labels[name] for name in names], labels.num_rows)):
        if all(part is not None for part in key):
            found[key].append(label)
    return dict(found)


def label_times(labels: pa.Table, question: Question) -> list[Instant]:
    """Return the times of labels, none of which is null: a join refuses those."""
    return [time for time in instants(labels[question.label_time]) if time is not None]
