"""The point-in-time join: for every label, the feature row that was known at its time.

>>> from datetime import datetime
>>> labels = pa.table({"user": [1, 2], "at": [datetime(2024, 1, 2), datetime(2024, 1, 2)]})
>>> plays = pa.table({"user": [1, 1], "ts": [datetime(2024, 1, 1), datetime(2024, 1, 3)], "n": [7, 9]})
>>> asked = Features(plays, keys={"user": "user"}, event_time="ts", values={"plays": "n"})
>>> join(labels, [asked], label_time="at")["plays"].to_pylist()
[7, None]

The labels are sorted once by key and time. Feature rows stream by once, in any order: each finds the first label
of its key that may see it, its slot, and every slot keeps its greatest row. A running maximum along each key's
slots gives the answers, and max_age is checked last. Memory grows with the labels, never with the features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from jukebox.core import asof_rules as rules
from jukebox.core import kernel
from jukebox.core.asof_pass import Rules, labels_of
from jukebox.core.asof_pieces import Piece, Pieces, Stream, opened
from jukebox.core.asof_proof import ColumnProof, Proof
from jukebox.core.asof_tables import Progress, Source, Watch, answered, side_by_side
from jukebox.core.asof_times import ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

__all__ = ["ColumnProof", "Features", "Piece", "Pieces", "Progress", "Proof", "join", "join_proven"]

# Below this many rows starting threads takes longer than they save.
WORTH_THREADS = 500_000


@dataclass(frozen=True)
class Features:
    """One feature table and what is asked of it.

    ``keys`` maps label columns to feature columns (none: one global series), ``values`` output columns to feature
    columns. ``created_time`` names the column that says when a row became known; rows of a table without
    ``event_time`` (None) are true at all times. ``max_age``, counted from event time with its edge included, holds for
    all outputs, or is a mapping from some of them to their own. ``last_non_null`` names outputs that the newest known
    row with a value answers, whatever newer rows hold null.
    """

    table: pa.Table | Pieces | Stream
    _: KW_ONLY
    keys: Mapping[str, str]
    event_time: str | None
    values: Mapping[str, str]
    created_time: str | None = None
    max_age: timedelta | Mapping[str, timedelta | None] | None = None
    last_non_null: Collection[str] = ()

    def limit(self, column: str) -> timedelta | None:
        """Return the max_age of an output column."""
        return self.max_age.get(column) if isinstance(self.max_age, Mapping) else self.max_age

    def columns(self) -> list[str]:
        """Return every feature column that is read, once."""
        return list(dict.fromkeys([*self.keys.values(), *self.times(), *self.values.values()]))

    def times(self) -> list[str]:
        """Return the columns of event and created time that there are."""
        return [name for name in (self.event_time, self.created_time) if name is not None]


def join(
    labels: pa.Table,
    features: Sequence[Features],
    *,
    label_time: str,
    allow_exact: bool = True,
    as_known: bool = True,
) -> pa.Table:
    """Return the labels, as they are, with each asked feature as it was known at the label time.

    The answer is the row of the same keys with ``event_time <= label time`` (``<`` without ``allow_exact``) and,
    under ``as_known``, ``created_time <= label time`` that has the greatest (event, created, position). No such
    row, or one older than max_age, leaves null; a row that holds null answers null. A null in a key matches
    nothing, nor does NaN; a feature row without event time is never used, nor one without created time, which
    ranks lowest when ``as_known`` is off. Times compare exactly whatever their units. Integer and float times are
    seconds since the epoch, integers of 10^17 and more nanoseconds.

    Raises MissingColumn, NameClash, InvalidType or InvalidValue before a feature row is read.
    """
    return join_proven(labels, features, label_time=label_time, allow_exact=allow_exact, as_known=as_known, proof=None)[
        0
    ]


def join_proven(
    labels: pa.Table,
    features: Sequence[Features],
    *,
    label_time: str,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: Literal["sample", "full"] | None = "sample",
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    mergeable: bool = False,
) -> tuple[pa.Table, list[Proof]]:
    """Return what ``join`` returns, and for each feature table the proof made in the same pass.

    Labels that had a newer value not yet known are counted among 10,000 of them ("sample", the same rows for the
    same number of labels) or among all ("full"); with None the proofs are empty and cost nothing. Tables that can be
    read in pieces are read on ``threads`` threads, by default one a processor; ``progress`` is told how far it is,
    from any of them. Proofs of shards of labels can be put together where they are made ``mergeable``.
    """
    rules.check_request(labels, features)
    rules.check_outputs(labels.schema, features)
    clock = rules.label_clock(labels.schema, label_time)
    times, known = ticks(labels.column(label_time))
    rules.check_label_times(times, known, label_time)
    rules.check_countable(times, clock, features, label_time)
    sources = [_opened(labels.schema, asked, label_time, number) for number, asked in enumerate(features)]
    ready, ruled = labels_of(labels, times, clock), Rules(allow_exact, as_known, proof, mergeable)
    counts = [source.count for source in sources]
    total = None if None in counts else sum(count or 0 for count in counts)
    watch = Watch(progress, total, len(sources))
    workers = kernel.processors() if threads is None else threads
    small = total is not None and total < WORTH_THREADS
    joined, proofs = labels, []
    with nullcontext() if workers < 2 or small else ThreadPoolExecutor(workers) as pool:  # noqa: PLR2004
        for together in side_by_side(sources, workers):
            answer = partial(answered, ready, rules=ruled, pool=pool if len(together) == 1 else None, watch=watch)
            found = map(answer, together) if pool is None or len(together) == 1 else pool.map(answer, together)
            for source, (columns, shown) in zip(together, found, strict=True):
                proofs.append(shown)
                for name in source.asked.values:
                    joined = joined.append_column(pa.field(name, columns[name].type), columns[name])
    return joined, proofs


def _opened(labels: pa.Schema, asked: Features, label_time: str, number: int) -> Source:
    whose = f"feature table {number} ('{next(iter(asked.values))}', …)"
    schema, rows = opened(asked.table, whose)
    rules.check_columns(labels, schema, asked, label_time, whose)
    return Source(asked, schema, rows, whose)
