"""What Beam's workers do: race pieces for the slots of a shard of labels, merge winners, finish a shard's file."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from jukebox.core import asof_merging as merging
from jukebox.core.asof_pass import begun, labels_of
from jukebox.core.asof_proof import ColumnProof, Proof, merged
from jukebox.core.asof_rules import label_clock
from jukebox.core.asof_tables import Source
from jukebox.core.asof_times import ticks
from jukebox.engine import beam_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from apache_beam.utils.shared import Shared

    from jukebox.core.asof import Features
    from jukebox.core.asof_pass import Labels, Pass, Rules
    from jukebox.core.asof_pieces import Piece

# A row's position is this times the number of its piece, and its place in the piece: no piece need be counted.
FAR = 2**40
RESULT = "result.json"


@dataclass(frozen=True)
class Shard:
    """Labels that follow each other: of some pieces, the rows from ``start`` up to ``stop``."""

    number: int
    parts: tuple[tuple[Piece, int, int], ...]
    schema: pa.Schema

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return the rows with these columns."""
        kept = [batch for part in self.parts for batch in _between(*part, columns)]
        return pa.Table.from_batches(kept, pa.schema([self.schema.field(name) for name in columns]))


def _between(piece: Piece, start: int, stop: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    at = 0
    for batch in piece.read(columns):
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        if low < high:
            yield batch.slice(low, high - low)
        at += batch.num_rows


@dataclass(frozen=True)
class Job:
    """What every worker knows: the request, whose tables hold no rows but their schema, and where results go."""

    features: tuple[Features, ...]
    label_time: str
    rules: Rules
    schema: pa.Schema
    folder: str
    ending: str
    shared: Shared

    def source(self, table: int) -> Source:
        """Return the source of a feature table."""
        asked = self.features[table]
        rows: Any = asked.table
        return Source(asked, rows.schema, rows, f"feature table {table} ('{next(iter(asked.values))}', …)")

    def labels(self, shard: Shard) -> Labels:
        """Return a shard's keys and times, read and sorted once in a process that works on one shard at a time."""
        names = dict.fromkeys([self.label_time, *(name for asked in self.features for name in asked.keys)])

        def ready() -> Labels:
            table = shard.read(list(names))
            return labels_of(table, ticks(table.column(self.label_time))[0], label_clock(table.schema, self.label_time))

        labels: Labels = self.shared.acquire(ready, tag=shard.number)
        return labels

    def begun(self, shard: Shard, table: int) -> Pass:
        """Return the pass of a feature table over a shard before its first row."""
        source = self.source(table)
        return begun(self.labels(shard), source.asked, self.rules, source.schema, source.whose, stores=True)


Sent = tuple[int, int, list[bytes]]
"""Winners on their way: the number of the shard, that of the table, and Arrow's bytes."""


class Race(beam.DoFn):  # type: ignore[misc]
    """Lets pieces race and yields, at the end of a bundle, the winners of each table: nothing else is shuffled."""

    def __init__(self, job: Job, shard: Shard) -> None:
        self._job, self._shard = job, shard
        self._passes: dict[int, Pass] = {}

    def start_bundle(self) -> None:
        """Begin with no row raced: a bundle before may have been left half-way."""
        self._passes = {}

    def process(self, placed: tuple[int, int, Piece]) -> None:
        """Let the rows of a piece race, given as the number of its table, its own, and the piece."""
        table, number, piece = placed
        if table not in self._passes:
            self._passes[table] = self._job.begun(self._shard, table)
        merging.race(self._passes[table], self._job.source(table), piece, number * FAR)

    def finish_bundle(self) -> Iterator[Any]:
        """Yield the winners by shard and table."""
        for table, under_way in self._passes.items():
            sent = self._shard.number, table, merging.packed(merging.winners_of(under_way))
            yield GlobalWindows.windowed_value((sent[:2], sent))
        self._passes = {}


class Merge(beam.CombineFn):  # type: ignore[misc]
    """Combines the winners of one shard and table: the greatest row of each slot."""

    def __init__(self, job: Job, shards: Sequence[Shard]) -> None:
        self._job, self._shards = job, shards

    def create_accumulator(self) -> Sent | None:
        """Return what stands for no winners."""
        return None

    def add_input(self, accumulator: Sent | None, sent: Sent) -> Sent | None:
        """Return the winners of both."""
        return self.merge_accumulators([accumulator, sent])

    def merge_accumulators(self, accumulators: Iterable[Sent | None]) -> Sent | None:
        """Return the winners of all."""
        parts = (part for part in accumulators if part is not None)
        first = next(parts, None)
        second = next(parts, None)
        if first is None or second is None:
            return first
        under_way = self._job.begun(self._shards[first[0]], first[1])
        for part in chain((first, second), parts):
            merging.merge(under_way, merging.unpacked(part[2]))
        return (*first[:2], merging.packed(merging.winners_of(under_way)))

    def extract_output(self, accumulator: Sent | None) -> Sent | None:
        """Return the winners."""
        return accumulator


class Finish(beam.DoFn):  # type: ignore[misc]
    """Writes a shard's labels with their answers to a file that no attempt shares; yields number, file and proofs."""

    def __init__(self, job: Job, shards: Sequence[Shard]) -> None:
        self._job, self._shards = job, shards

    def process(self, grouped: tuple[int, Mapping[str, Iterable[Any]]]) -> Iterator[tuple[int, str, str]]:
        """Answer the labels of a shard, table by table."""
        number, found = grouped
        shard = self._shards[number]
        winners = {table: parts for _, table, parts in found["winners"]}
        joined, proofs = shard.read(shard.schema.names), []
        for table in range(len(self._job.features)):
            under_way = self._job.begun(shard, table)
            if table in winners:
                merging.merge(under_way, merging.unpacked(winners.pop(table)))
            columns, proof = merging.finished(under_way)
            proofs.append(proof)
            for name in self._job.features[table].values:
                joined = joined.append_column(pa.field(name, columns[name].type), columns[name])
        out = beam_files.below(self._job.folder, f"shard-{number:05d}-{uuid.uuid4().hex}{self._job.ending}")
        beam_files.put(out, joined.to_batches(), self._job.schema)
        yield number, out, told(proofs)


class Together(beam.DoFn):  # type: ignore[misc]
    """Makes one file of the shards' files, in the labels' order, and leaves word of it for who waits."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def process(self, grouped: tuple[None, Iterable[tuple[int, str, str]]]) -> None:
        """Put the shards together, and their proofs."""
        shards = sorted(grouped[1])
        files = [file for _, file, _ in shards]
        whole = files[0]
        if len(files) > 1:
            whole = beam_files.below(self._job.folder, f"whole-{uuid.uuid4().hex}{self._job.ending}")
            beam_files.together(whole, files, self._job.schema)
        proofs = reduce(merged, (proofs_of(text) for _, _, text in shards))
        with beam_files.created(beam_files.below(self._job.folder, RESULT)) as target:
            target.write(json.dumps({"file": whole, "proofs": told(proofs)}).encode())


def result(folder: str) -> tuple[str, list[Proof]]:
    """Return the file that a job has left in its folder, and the proofs; raises StorageError."""
    with beam_files.file_at(beam_files.below(folder, RESULT)).open("rb") as source:
        found = json.loads(source.read())
    return found["file"], proofs_of(found["proofs"])


def told(proofs: Sequence[Proof]) -> str:
    """Return proofs as text."""
    fine = [{name: counts.tolist() for name, counts in proof.fine.items()} for proof in proofs]
    columns = [[asdict(column) for column in proof.columns] for proof in proofs]
    return json.dumps([columns, fine])


def proofs_of(text: str) -> list[Proof]:
    """Return the proofs that were told."""
    return [Proof(tuple(map(_column, columns)), _counts(fine)) for columns, fine in zip(*json.loads(text), strict=True)]


def _column(values: dict[str, Any]) -> ColumnProof:
    bars = tuple((bound, count) for bound, count in values.pop("age_histogram"))
    return ColumnProof(**values, age_histogram=bars)


def _counts(fine: Mapping[str, list[int]]) -> dict[str, Any]:
    return {name: np.array(counts, np.int64) for name, counts in fine.items()}
