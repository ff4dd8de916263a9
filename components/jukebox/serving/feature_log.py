"""Keeping a log of every vector that is served, beside the reads and never in their way."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jukebox.engine.served_files import storage_format as format_named
from jukebox.errors import InvalidValue, reason
from jukebox.serving.log_buffers import Buffer, asked_of, is_sampled, keyed, together, write
from jukebox.serving.threads import renew_after_fork
from jukebox.storage import place_of
from jukebox.stores import place
from jukebox.tables import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from jukebox.serving.log_buffers import Entities
    from jukebox.serving.served import Served

    Told = tuple[Served, Entities] | threading.Event

_NEWS = logging.getLogger(__name__)
_WAKE = 0.5
# Woken by each round, the thread would take Python's lock from the reads that come right after it.
_GATHER = 0.05
_COUNTED = ("offered", "written", "left_out", "dropped", "failed", "files")


@dataclass(frozen=True)
class LogCounts:
    """What became of served vectors.

    ``offered`` is the sum of ``waiting`` (told, or in a file that is not written yet), ``written`` (in ``files``),
    ``left_out`` (their key is not sampled), ``dropped`` (the queue was full, or the log closed) and ``failed`` (a
    file could not be written, or a value has no place in one; ``error`` says why the last time).
    """

    offered: int = 0
    written: int = 0
    left_out: int = 0
    dropped: int = 0
    failed: int = 0
    files: int = 0
    error: str | None = None

    @property
    def waiting(self) -> int:
        """How many are on their way to a file."""
        return self.offered - self.written - self.left_out - self.dropped - self.failed


class FeatureLog:
    """Writes what a reader serves to files below ``folder``, by date; give it to the reader as what to tell.

    A call puts the round into a queue and returns: it never waits and never raises. A thread takes ``sample`` of the
    keys, each with all of its vectors or with none (``sample_by`` names the parts of the key that decide), and writes
    a file, of whatever was asked for, when ``rotate_bytes`` are held, or ``rotate_seconds`` after its first vector.
    A file is there whole or not at all: a crash loses what was not written yet. At most ``capacity`` vectors wait for
    the thread, others are dropped and counted. Where a file cannot be written its vectors are lost and counted,
    Python's ``logging`` is told once, and once more when files are written again. ``storage_format`` is ``parquet`` or
    ``tfrecord``. May be made before a server forks: each process has a thread and files of its own, as have servers of
    one folder.

    Raises InvalidValue for limits of nothing, a share beyond 0 to 1 and another format, and StorageError where nothing
    can be written below ``folder``.
    """

    def __init__(
        self,
        folder: str,
        *,
        sample: float = 1.0,
        sample_by: Collection[str] | None = None,
        capacity: int = 10_000,
        rotate_bytes: int = 16 << 20,
        rotate_seconds: float = 60.0,
        storage_format: str = "parquet",
    ) -> None:
        if not 0 <= sample <= 1:
            raise InvalidValue(f"sample is {sample}; it is a share between 0 and 1")
        for name, limit in (("capacity", capacity), ("rotate_bytes", rotate_bytes), ("rotate_seconds", rotate_seconds)):
            if limit <= 0:
                raise InvalidValue(f"{name} is {limit}; it is more than 0")
        self._format, self.folder = format_named(storage_format), place(folder)
        _require_writable(self.folder)
        self._sampled: Callable[[Any], bool] = lambda entity: is_sampled(entity, sample, sample_by)
        self._capacity, self._rotate = capacity, (rotate_bytes, rotate_seconds)
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Count from nothing, with nothing held: after a fork what was told before is the parent's to write."""
        self._lock = threading.Lock()
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._tally, self._queued, self._error = dict.fromkeys(_COUNTED, 0), 0, ""
        self._lost = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._buffers: dict[Hashable, Buffer] = {}

    @property
    def counts(self) -> LogCounts:
        """What became of the vectors so far."""
        with self._lock:
            return LogCounts(**self._tally, error=self._error or None)

    def __call__(self, served: Served) -> None:
        """Take a round; the caller's entities may be changed afterwards."""
        vectors = len(served.entities)
        with self._lock:
            fits = self._queued + vectors <= self._capacity and not self._closing
            self._queued += vectors * fits
            self._tally["offered"] += vectors
            self._tally["dropped"] += vectors * (not fits)
            if fits and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jukebox-feature-log", daemon=True)
                self._thread.start()
                # A program that forgets to close the log has its last vectors in it all the same.
                atexit.register(self.close)
        if fits:
            self._told.put((served, [dict(entity) for entity in served.entities]))

    def flush(self, timeout: float | None = None) -> bool:
        """Return whether all that was told before is in files within ``timeout`` seconds, or has failed."""
        with self._lock:
            running = self._thread is not None
        if not running:
            return True
        done = threading.Event()
        self._told.put(done)
        return done.wait(timeout)

    def close(self, timeout: float | None = 30.0) -> bool:
        """Write what is held and take no more; return what ``flush`` does."""
        with self._lock:
            self._closing = True
        return self.flush(timeout)

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the log."""
        self.close()

    def _run(self) -> None:
        told: Told | None
        while True:
            told = None
            with contextlib.suppress(queue.Empty):
                told = self._told.get(timeout=min(_WAKE, self._rotate[1]))
            if isinstance(told, threading.Event):
                self._write()
                told.set()
            elif told is not None:
                self._take(*told)
                time.sleep(_GATHER if self._told.empty() else 0)
            if self._is_due():
                self._write()

    def _take(self, served: Served, entities: Entities) -> None:
        vectors = len(entities)
        told = {"failed": vectors}
        try:
            places = [at for at, entity in enumerate(entities) if self._sampled(entity)]
            for keys, some in keyed(entities, places).items():
                shape = (asked_of(served.features), keys)
                if shape not in self._buffers:
                    self._buffers[shape] = Buffer(served.features, keys, time.monotonic())
                self._buffers[shape].add(served, entities, some)
            told = {"left_out": vectors - len(places)}
        except Exception as exc:  # noqa: BLE001 - whatever was served, the log goes on
            self._error = reason(exc)
        with self._lock:
            self._queued -= vectors
            self._add(told)

    def _is_due(self) -> bool:
        most, longest = self._rotate
        now, buffers = time.monotonic(), self._buffers.values()
        return sum(each.bytes for each in buffers) >= most or any(now - each.since >= longest for each in buffers)

    def _write(self) -> None:
        buffers, self._buffers = list(self._buffers.values()), {}
        settled = [batch for buffer in buffers for batch in buffer.settled()]
        self._count({"failed": sum(buffer.failed for buffer in buffers)}, [buffer.error for buffer in buffers])
        for batches in together(settled):
            rows = sum(batch.num_rows for batch in batches)
            try:
                write(batches, self.folder, self._format)
            except Exception as exc:  # noqa: BLE001 - a full disk is counted, and reads go on
                self._say_lost(rows, reason(exc))
                self._count({"failed": rows}, [reason(exc)])
            else:
                self._say_written(rows)
                self._count({"written": rows, "files": 1})

    def _count(self, told: Mapping[str, int], errors: Iterable[str | None] = ()) -> None:
        with self._lock:
            self._error = next((error for error in errors if error is not None), self._error)
            self._add(told)

    def _say_lost(self, rows: int, why: str) -> None:
        if self._lost == 0:
            _NEWS.warning("served vectors are lost to the log in %s, reads go on: %s", self.folder, why)
        self._lost += rows

    def _say_written(self, rows: int) -> None:
        if self._lost > 0 and rows > 0:
            _NEWS.warning("the log in %s is written again; %s served vectors were lost", self.folder, self._lost)
            self._lost = 0

    def _add(self, told: Mapping[str, int]) -> None:
        for name, count in told.items():
            self._tally[name] += count


def _require_writable(folder: str) -> None:
    probe = place_of(folder) / f".{os.getpid()}-{os.urandom(4).hex()}.probe"
    write_text(probe, "")
    probe.unlink(missing_ok=True)
