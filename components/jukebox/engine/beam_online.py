"""An online load on Beam: workers read pieces of the partitions, and each writes the newest rows of a share of keys."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics, MetricsFilter

from jukebox.core import rowkeys
from jukebox.core.ragged import of_binary
from jukebox.engine import beam_running
from jukebox.engine.feature_tables import PartitionPieces
from jukebox.engine.newest import newest_per_key
from jukebox.engine.online_tables import OnlineLoad, dated, load_with
from jukebox.stores import Written, open_online

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from jukebox.core.asof_pieces import Piece
    from jukebox.engine.online_tables import OnlineTable
    from jukebox.stores import OnlineStore

# A worker holds a share while it finds its newest rows and writes them.
_SHARES, _ROWS_A_SHARE = 64, 250_000
_COUNTS = ("rows", "written", "older")
_NAMESPACE = "jukebox.online_load"


@dataclass(frozen=True)
class Job:
    """What every worker knows: where the rows go, how they are laid out, and which keys are wanted."""

    store: str
    table: str
    version: int | None
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    event_time: str | None
    created_time: str | None
    entity: str
    only: pa.Table | None
    shares: int

    def newest(self, batches: Iterable[pa.RecordBatch], only: pa.Table | None = None) -> pa.Table:
        """Return the newest row of each key, of the keys in ``only`` where that is given."""
        times = {"event_time": self.event_time, "created_time": self.created_time}
        return newest_per_key(batches, keys=self.keys, only=only, **times).rows

    def write(self, online: OnlineStore, rows: pa.Table) -> Written:
        """Write rows to the table's version."""
        about: dict[str, Any] = {"keys": self.keys, "entity": self.entity, "version": self.version}
        return online.write(self.table, rows, event_time=self.event_time, created_time=self.created_time, **about)


class Reduce(beam.DoFn):  # type: ignore[misc]
    """Reads a piece, keeps the newest row of each key that is wanted, and deals them out in shares of the keys."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def process(self, task: tuple[int, date | None, Piece]) -> Iterator[tuple[int, tuple[int, bytes]]]:
        """Yield for each share the piece's number and its rows."""
        number, day, piece = task
        batches = piece.read(self._job.columns)
        if day is not None and self._job.event_time is not None:
            batches = (dated(batch, self._job.event_time, day) for batch in batches)
        rows = self._job.newest(batches, self._job.only)
        keys = of_binary(rowkeys.encode(rows, self._job.keys)).to_bytes()
        shares = np.array([crc32(key) % self._job.shares for key in keys], np.int64)
        order = np.argsort(shares, kind="stable")
        dealt, (found, starts) = rows.take(pa.array(order)), np.unique(shares[order], return_index=True)
        for share, start, end in zip(found.tolist(), starts.tolist(), [*starts.tolist()[1:], len(order)], strict=False):
            yield share, (number, _sent(dealt.slice(start, end - start)))


class Write(beam.DoFn):  # type: ignore[misc]
    """Writes the newest rows of a share of the keys; another attempt writes the same."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._counters = {name: Metrics.counter(_NAMESPACE, name) for name in _COUNTS}

    def setup(self) -> None:
        """Open the store, once a worker."""
        self._online = open_online(self._job.store)

    def teardown(self) -> None:
        """Close the store."""
        self._online.close()

    def process(self, share: tuple[int, Iterable[tuple[int, bytes]]]) -> None:
        """Write a share: of equal times the later piece's row wins, as in one process."""
        parts = [_received(sent) for _, sent in sorted(share[1])]
        rows = self._job.newest(batch for part in parts for batch in part.to_batches())
        done = self._job.write(self._online, rows)
        for name, count in zip(_COUNTS, (rows.num_rows, done.written, done.older), strict=True):
            self._counters[name].inc(count)


def load_table_on_beam(
    store: str, load: OnlineTable, beam_pipeline_args: Sequence[str], *, table: str | None = None, replace: bool = False
) -> OnlineLoad:
    """Make the store at ``store`` hold what ``engine.online_tables.load_table`` makes it hold, on Beam.

    Workers must see the partitions and the store; without ``--runner`` the pipeline runs here, in this process. Raises
    what a worker raised, and JobFailed; the same load again completes it.
    """
    with closing(open_online(store)) as online:
        return load_with(partial(_write, store, beam_pipeline_args), online, load, table=table, replace=replace)


def _write(  # noqa: PLR0917 - the first two are bound before
    store: str, arguments: Sequence[str], online: OnlineStore, load: OnlineTable, name: str, version: int | None
) -> tuple[int, Written]:
    tasks = list(_tasks(load))
    columns = tuple(load.columns)
    shares = max(_SHARES, -(-sum(part.manifest.rows for part in load.held()) // _ROWS_A_SHARE))
    about: dict[str, Any] = {**load.roles, "entity": load.entity, "only": load.wanted, "shares": shares}
    job = Job(store, name, version, columns, load.keys, **about)
    # Here, so that the layout is there for all, and a table without rows is one.
    job.write(online, PartitionPieces(load.held(), columns).schema.empty_table())
    pipeline = beam_running.pipeline(arguments)
    (
        pipeline
        | "Pieces" >> beam.Create(tasks, reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Reduce" >> beam.ParDo(Reduce(job))
        | "By share" >> beam.GroupByKey()
        | "Write" >> beam.ParDo(Write(job))
    )
    found = beam_running.run(pipeline).metrics().query(MetricsFilter().with_namespace(_NAMESPACE))["counters"]
    counts = {each.key.metric.name: each.result for each in found}
    rows, written, older = (int(counts.get(count, 0)) for count in _COUNTS)
    return rows, Written(rows, written, older)


def _tasks(load: OnlineTable) -> Iterator[tuple[int, Any, Piece]]:
    number = 0
    held = load.held()
    groups = [([part], part.day) for part in held] if load.is_static else [(held, None)]
    for parts, day in groups:
        for piece in PartitionPieces(parts, load.columns).pieces():
            yield number, day, piece
            number += 1


def _sent(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def _received(sent: bytes) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(sent)).read_all()
