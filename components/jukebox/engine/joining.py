"""The join from Parquet to Parquet, label shard after label shard, in memory that is bounded by a shard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jukebox.core.asof import Features, Progress, join_proven
from jukebox.core.asof_proof import merged
from jukebox.engine.memory import rows_that_fit
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
    ``jukebox.core.asof.join`` raises, CorruptData, NoPartition and StorageError, and leaves no output then.
    """
    join = Shards(
        features, label_time, {"allow_exact": allow_exact, "as_known": as_known, "proof": proof}, threads, progress
    )
    schema, count = parquet.schema(labels), parquet.count_rows(labels)
    rows = rows_that_fit(join.schema(schema), of=count) if label_rows is None else label_rows
    join.mergeable = rows < count
    parquet.write(out, join.batches(parquet.read(labels), schema, rows), schema=join.schema(schema))
    return join.proofs


@dataclass
class Shards:
    """A join of labels that come as a stream; ``proofs`` holds those of the shards joined so far, merged."""

    features: Sequence[Features]
    label_time: str
    rules: dict[str, Any]
    threads: int | None = None
    progress: Callable[[Progress], None] | None = None
    mergeable: bool = True
    proofs: list[Proof] = field(default_factory=list)

    def schema(self, labels: pa.Schema) -> pa.Schema:
        """Return the schema of the joined table."""
        empty = pa.Table.from_batches([], labels)
        return join_proven(empty, self.features, label_time=self.label_time, threads=1, **self.rules)[0].schema

    def batches(self, labels: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows in the labels' order, of shards of ``rows`` labels."""
        for shard in _shards(labels, schema, rows):
            table, proofs = join_proven(
                shard,
                self.features,
                label_time=self.label_time,
                threads=self.threads,
                progress=self.progress,
                mergeable=self.mergeable,
                **self.rules,
            )
            self.proofs = merged(self.proofs, proofs) if self.proofs else proofs
            yield from table.to_batches()


def _shards(labels: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
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
