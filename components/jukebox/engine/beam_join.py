"""The join on Beam: pieces race on its workers, only the winners of slots are shuffled, one file takes its place.

What is the job's own lies in a folder beside the output whose name begins with a dot, and goes with the job; the
output appears under its name when it is whole, and never before.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.utils.shared import Shared

from jukebox.core import asof_rules, kernel
from jukebox.core.asof_pass import Rules
from jukebox.core.asof_pieces import Pieces, opened
from jukebox.core.asof_times import ticks
from jukebox.engine import beam_files, beam_running
from jukebox.engine.beam_steps import Finish, Job, Merge, Race, Shard, Together, result
from jukebox.engine.joining import Shards
from jukebox.engine.memory import rows_that_fit
from jukebox.errors import InvalidType
from jukebox.formats import parquet, tfexample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jukebox.core.asof import Features, Proof
    from jukebox.core.asof_pieces import Piece
    from jukebox.engine.joining import Spine


def join_files(
    labels: str | Pieces,
    features: Sequence[Features],
    out: str,
    *,
    label_time: str,
    allow_exact: bool = True,
    as_known: bool = True,
    proof: str = "sample",
    label_rows: int | None = None,
    beam_pipeline_args: Sequence[str] = (),
) -> list[Proof]:
    """Make the file ``out`` hold the labels with the asked features beside them, as ``engine.joining`` does, on Beam.

    ``labels`` is a path, or pieces; a feature table is a ``pa.Table``, or pieces that can be sent to workers, as those
    of ``beam_files.pieces_at`` can. Paths are of any file system that ``jukebox.storage`` or Beam knows, those without
    a scheme of this machine, which workers must then share. ``out`` ends in .parquet, .tfrecord.gz or .tfrecord.
    Labels go in shards of ``label_rows`` consecutive rows, by default as many as fit into a worker that is like this
    machine. Without ``--runner`` among ``beam_pipeline_args`` the pipeline runs here, in this process.

    Returns the proofs. Raises what ``jukebox.core.asof.join`` raises, CorruptData, NoPartition and StorageError, and
    JobFailed where a worker or the runner gave up; no output is left then.
    """
    pipeline = beam_running.pipeline(beam_pipeline_args)
    # File systems that only Beam knows take their credentials from the options.
    FileSystems.set_options(pipeline.options)
    rules: dict[str, Any] = {"allow_exact": allow_exact, "as_known": as_known, "proof": proof}
    read = labels if isinstance(labels, Pieces) else beam_files.pieces_at([labels])
    ending = beam_files.ending_of(out)
    schema = Shards(features, label_time, rules, label_rows=label_rows).schema(read.schema)
    if ending != parquet.SUFFIX:
        tfexample.check(schema)
    asked = tuple(_without_rows(one, number) for number, one in enumerate(features))
    placed = [(table, n, part) for table, one in enumerate(features) for n, part in enumerate(_pieces(one))]
    shards = list(_shards(read, schema, label_rows, pipeline.options))
    _check_label_times(shards, features, label_time)
    folder = _job_folder(out)
    job = Job(asked, label_time, Rules(**rules, mergeable=len(shards) > 1), schema, folder, ending, Shared())
    beam_files.new_folder(folder)
    try:
        _lay_out(pipeline, job, shards, placed)
        beam_running.run(pipeline)
        whole, proofs = result(folder)
        beam_files.renamed(whole, out)
    finally:
        beam_files.removed(folder)
    return proofs


@dataclass
class BeamShards:
    """A join in the place of ``engine.joining``'s, done on Beam; labels and rows pass through a folder beside ``out``.

    Workers must see that folder, where they are not processes of this machine.
    """

    join: Shards
    out: str
    beam_pipeline_args: Sequence[str]
    proofs: list[Proof] = field(default_factory=list)

    def schema(self, labels: pa.Schema) -> pa.Schema:
        """Return the schema of the joined table; raises what the join raises before a row is read."""
        return self.join.schema(labels)

    def batches(self, spine: Spine) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows in the labels' order, when all of them are joined."""
        schema = self.schema(spine.schema)
        with _folder_beside(self.out) as folder:
            labels, joined = (beam_files.below(folder, f"{name}.parquet") for name in ("labels", "joined"))
            parquet.write(labels, spine.read(spine.schema.names), schema=spine.schema)
            self.proofs = join_files(
                labels,
                self.join.features,
                joined,
                label_time=self.join.label_time,
                label_rows=self.join.label_rows,
                beam_pipeline_args=self.beam_pipeline_args,
                **self.join.rules,
            )
            for batch in parquet.read(joined):
                # Parquet has no seconds, and tells them in milliseconds.
                columns = [column.cast(each.type) for column, each in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _job_folder(out: str) -> str:
    return beam_files.beside(out, f".{beam_files.file_at(out).name}.{uuid.uuid4().hex}")


@contextmanager
def _folder_beside(out: str) -> Iterator[str]:
    folder = _job_folder(out)
    try:
        beam_files.new_folder(folder)
        yield folder
    finally:
        beam_files.removed(folder)


def _pieces(asked: Features) -> Sequence[Piece]:
    _, rows = opened(asked.table, "")
    return rows.pieces() if isinstance(rows, Pieces) else ()


def _without_rows(asked: Features, number: int) -> Features:
    schema, rows = opened(asked.table, f"feature table {number}")
    if not isinstance(rows, Pieces):
        raise InvalidType(f"feature table {number} is a stream; workers need a table, or pieces that they can read")
    return replace(asked, table=schema.empty_table())


def _shards(labels: Pieces, joined: pa.Schema, rows: int | None, options: PipelineOptions) -> Iterator[Shard]:
    if rows is None:
        # As Beam has it, 0 stands for one worker a core.
        workers = options.view_as(DirectOptions).direct_num_workers or kernel.processors()
        rows = max(1, rows_that_fit(joined) // workers)
    parts: dict[int, list[tuple[Piece, int, int]]] = defaultdict(list)
    first = 0
    for piece in labels.pieces():
        size = piece.rows
        for number in range(first // rows, -(-(first + size) // rows)):
            low, high = max(number * rows, first), min((number + 1) * rows, first + size)
            parts[number].append((piece, low - first, high - first))
        first += size
    for number in range(max(1, len(parts))):
        yield Shard(number, tuple(parts[number]), labels.schema)


def _check_label_times(shards: Sequence[Shard], features: Sequence[Features], label_time: str) -> None:
    # Here, as an error that a worker raises comes after other workers' work, and from some runners four times.
    times, known = ticks(pa.concat_tables(shard.read([label_time]) for shard in shards).column(label_time))
    asof_rules.check_label_times(times, known, label_time)
    asof_rules.check_countable(times, asof_rules.label_clock(shards[0].schema, label_time), features, label_time)


def _lay_out(
    pipeline: beam.Pipeline, job: Job, shards: Sequence[Shard], placed: Sequence[tuple[int, int, Piece]]
) -> None:
    tasks = pipeline | "Pieces" >> beam.Create(placed, reshuffle=False)
    # A shuffle for each shard keeps the shards' races in stages apart: a bundle has the labels of one.
    raced = [
        tasks | f"Spread {shard.number}" >> beam.Reshuffle() | f"Race {shard.number}" >> beam.ParDo(Race(job, shard))
        for shard in shards
    ]
    winners = (
        raced
        | "Winners" >> beam.Flatten(pipeline=pipeline)
        | "Merge" >> beam.CombinePerKey(Merge(job, shards))
        | "By shard" >> beam.Map(lambda keyed: (keyed[0][0], keyed[1]))
    )
    numbers = pipeline | "Shards" >> beam.Create([(shard.number, None) for shard in shards])
    (
        {"shard": numbers, "winners": winners}
        | "Group" >> beam.CoGroupByKey()
        | "Finish" >> beam.ParDo(Finish(job, shards))
        | "All" >> beam.Map(lambda finished: (None, finished))
        | "Gather" >> beam.GroupByKey()
        | "Together" >> beam.ParDo(Together(job))
    )
