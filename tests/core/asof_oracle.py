"""The brute force of ``jukebox.core.by_rule`` on the terms of the join: which row answers each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.core.by_rule import Answer, Question, Search

if TYPE_CHECKING:
    from jukebox.core.asof import Features


@dataclass(frozen=True)
class Answers:
    """What the rules say of one feature table, by output column; ``columns`` has everything, by label.

    ``rows`` are the rows used, ``known`` those before their age is looked at, and ``newer_unknown`` counts the labels
    with a newer row not known.
    """

    columns: dict[str, list[Answer]]
    rows: dict[str, list[int | None]]
    known: dict[str, list[int | None]]
    newer_unknown: dict[str, int]


def answers(labels: pa.Table, asked: Features, label_time: str, *, allow_exact: bool, as_known: bool) -> Answers:
    """Return the row of ``asked.table`` (a Table) that answers each label, for each output column."""
    question = Question(
        keys=asked.keys,
        label_time=label_time,
        event_time=asked.event_time,
        values=asked.values,
        created_time=asked.created_time,
        max_age={output: asked.limit(output) for output in asked.values},
        last_non_null=frozenset(asked.last_non_null),
        allow_exact=allow_exact,
        as_known=as_known,
    )
    search = Search(labels, question)
    assert isinstance(asked.table, pa.Table)
    for batch in asked.table.to_batches():
        search.read(batch)
    found = {output: search.answers(output) for output in asked.values}
    return Answers(
        found,
        {output: [answer.row for answer in column] for output, column in found.items()},
        {output: [answer.known for answer in column] for output, column in found.items()},
        {output: sum(answer.newer_unknown for answer in column) for output, column in found.items()},
    )
