"""The join from Parquet to Parquet, label shard after label shard, in memory that is bounded by a shard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core import asof_rules
from jukebox.core.asof import Features, Progress, join_proven
from jukebox.core.asof_proof import merged
from jukebox.core.asof_times import ticks
from jukebox.engine.memory import rows_that_fit
from jukebox.errors import InvalidValue
from jukebox.formats import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jukebox.core.asof import Proof


def join_files(
    labels: str,
    features: Sequence[Features],
    out: str,
    *,
    label_time: str,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: str = "sample",
    threads: int | None = None,
    label_rows: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[Proof]:
    """Make the Parquet file ``out`` hold the labels of a Parquet file or folder with the asked features beside them.

    Labels go in shards of ``label_rows`` consecutive rows, by default as many as fit into memory: every shard reads
    the features again, which must then be tables or pieces. Returns the proofs; raises what
    ``jukebox.core.asof.join`` raises, InvalidValue for shards of no rows, CorruptData, NoPartition and StorageError,
    and leaves no output then.
    """
    rules = {"allow_exact": allow_exact, "as_known": as_known, "proof": proof}
    spine = Spine(parquet.schema(labels), lambda columns: parquet.read(labels, columns=columns))
    join = Shards(features, label_time, rules, threads=threads, label_rows=label_rows, progress=progress)
    parquet.write(out, join.batches(spine), schema=join.schema(spine.schema))
    return join.proofs


@dataclass(frozen=True)
class Spine:
    """Labels that can be read more than once: ``read`` takes the columns and yields batches, all rows in order."""

    schema: pa.Schema
    read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


@dataclass
class Shards:
    """A join of labels shard by shard; ``proofs`` holds those of the shards joined so far, merged."""

    features: Sequence[Features]
    label_time: str
    rules: dict[str, Any]
    threads: int | None = None
    label_rows: int | None = None
    progress: Callable[[Progress], None] | None = None
    proofs: list[Proof] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse shards that hold nothing."""
        if self.label_rows is not None and self.label_rows < 1:
            raise InvalidValue(f"label_rows is {self.label_rows}; a shard holds at least one row")

    def schema(self, labels: pa.Schema) -> pa.Schema:
        """Return the schema of the joined table; raises what the join raises before a row is read."""
        empty = pa.Table.from_batches([], labels)
        return join_proven(empty, self.features, label_time=self.label_time, threads=1, **self.rules)[0].schema

    def batches(self, spine: Spine) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows in the labels' order; nothing is yielded where a label has no time."""
        rows = rows_that_fit(self.schema(spine.schema)) if self.label_rows is None else self.label_rows
        waiting = shards(spine.read(spine.schema.names), spine.schema, rows)
        first, second = next(waiting), next(waiting, None)
        if second is None:
            yield from self._joined(first, 0, 1, mergeable=False)
            return
        labels = self._checked(spine)
        for number, shard in enumerate(_chained(first, second, waiting)):
            yield from self._joined(shard, number, -(-labels // rows), mergeable=True)

    def _checked(self, spine: Spine) -> int:
        # The first shard is not written before the last one is known to have its times.
        times = pa.Table.from_batches(spine.read([self.label_time]))[self.label_time]
        numbers, known = ticks(times)
        asof_rules.check_label_times(numbers, known, self.label_time)
        clock = asof_rules.label_clock(spine.schema, self.label_time)
        asof_rules.check_countable(numbers, clock, self.features, self.label_time)
        return len(numbers)

    def _joined(self, shard: pa.Table, number: int, of: int, *, mergeable: bool) -> Iterator[pa.RecordBatch]:
        table, proofs = join_proven(
            shard,
            self.features,
            label_time=self.label_time,
            threads=self.threads,
            progress=None if self.progress is None else lambda told: self._tell(told, number, of),
            mergeable=mergeable,
            **self.rules,
        )
        self.proofs = merged(self.proofs, proofs) if self.proofs else proofs
        yield from table.to_batches()

    def _tell(self, told: Progress, number: int, of: int) -> None:
        if self.progress is not None and told.of_rows is not None:
            rows, tables = number * told.of_rows + told.rows, number * told.of_tables + told.tables
            told = Progress(rows, of * told.of_rows, tables, of * told.of_tables)
        if self.progress is not None:
            self.progress(told)


def _chained(first: pa.Table, second: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    del first
    yield second
    del second
    yield from rest


def shards(labels: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Yield tables of ``rows`` consecutive rows, the last one of those that are left, and one at the least."""
    held: list[pa.RecordBatch] = []
    count, none = 0, True
    for batch in labels:
        rest = batch
        while count + rest.num_rows >= rows:
            held.append(rest.slice(0, rows - count))
            rest, none = rest.slice(rows - count), False
            yield pa.Table.from_batches(held, schema)
            held, count = [], 0
        held.append(rest)
        count += rest.num_rows
    if none or count > 0:
        yield pa.Table.from_batches(held, schema)
