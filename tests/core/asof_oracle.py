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
    """What the rules say of one feature table; ``columns`` has everything, by output column and label.

    ``rows`` are the rows used, by output column. ``known`` are the rows before their age is looked at, and
    ``newer_unknown`` the labels with a newer row not known, of an output for which every row counts: in all of those
    they are the same, and where there is none they are those of the first output.
    """

    columns: dict[str, list[Answer]]
    rows: dict[str, list[int | None]]
    known: list[int | None]
    newer_unknown: int


def answers(labels: pa.Table, asked: Features, label_time: str, *, allow_exact: bool, as_known: bool) -> Answers:
    """Return the row of ``asked.table`` (a Table) that answers each label, for each output column."""
    question = Question(
        keys=asked.keys,
        label_time=label_time,
        event_time=asked.event_time,
        values=asked.values,
        created_time=asked.created_time,
        max_age={output: asked.limit(output) for output in asked.values},
        last_non_null=frozenset(getattr(asked, "last_non_null", ())),
        allow_exact=allow_exact,
        as_known=as_known,
    )
    search = Search(labels, question)
    assert isinstance(asked.table, pa.Table)
    for batch in asked.table.to_batches():
        search.read(batch)
    found = {output: search.answers(output) for output in asked.values}
    plain = next((output for output in asked.values if output not in question.last_non_null), next(iter(asked.values)))
    return Answers(
        found,
        {output: [answer.row for answer in column] for output, column in found.items()},
        [answer.known for answer in found[plain]],
        sum(answer.newer_unknown for answer in found[plain]),
    )
