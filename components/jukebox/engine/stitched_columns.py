"""A column of a training set that is stitched: the value that was served, and where none was, the one of the join."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.asof_ages import MICROSECOND, Ticks
from jukebox.core.asof_proof import ColumnProof, Proof, ages_told, merged
from jukebox.engine.served_logs import FRESH, SERVED_AT, STALE, column_of, event_time_of, status_of
from jukebox.engine.served_rows import event_time_column

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from jukebox.engine.requests import Asked, Entry
    from jukebox.engine.served_logs import ServedLog

    Truths = NDArray[np.bool_]


def logged_as(log: ServedLog, entry: Entry, asked: Asked) -> str | None:
    """Return the column of the log that answers a request: of its version and role, under its limit of age or none.

    None where there is none, as for ``last_non_null``, which an online store cannot tell. A column under another
    limit of age would lack what is older than that.
    """
    if asked.last_non_null:
        return None
    ages = [entry.max_age, None] if entry.max_age is not None else [None]
    names = (column_of(asked.versioned, age, entry.keys) for age in ages)
    return next((name for name in names if name in log.features), None)


@dataclass(frozen=True)
class Answers:
    """The cells of a column: their values, which rows were used or too old, and their ages in nanoseconds."""

    values: pa.Array
    used: Truths
    too_old: Truths
    ages: NDArray[np.int64]


@dataclass
class StitchedColumn:
    """One output column: ``logged`` and ``joined`` are the columns it is stitched of, None where there is none."""

    asked: Asked
    logged: str | None
    joined: str | None
    static: bool
    type: pa.DataType
    from_log: int = 0
    null_in_log: int = 0
    from_join: int = 0
    null_in_join: int = 0
    proofs: list[Proof] = field(default_factory=list)

    def is_logged(self, rows: pa.RecordBatch | pa.Table) -> Truths:
        """Return which rows have a served value, be it null."""
        if self.logged is None:
            return np.zeros(rows.num_rows, np.bool_)
        return np.asarray(rows.column(status_of(self.logged)).is_valid().to_numpy(zero_copy_only=False), np.bool_)

    def stitch(self, rows: pa.RecordBatch) -> pa.Array:
        """Return the cells of ``rows``, and count them."""
        table = pa.Table.from_batches([rows]).combine_chunks()
        there = self.is_logged(rows)
        served, joined = self._served(table), self._joined(table)
        mask = pa.array(there)
        values = pc.if_else(mask, served.values, joined.values)
        nulls = np.asarray(values.is_null().to_numpy(zero_copy_only=False), np.bool_)
        self.from_log += int(there.sum())
        self.null_in_log += int((there & nulls).sum())
        self.from_join += int((~there).sum()) if self.joined is not None else 0
        self.null_in_join += int((~there & nulls).sum()) if self.joined is not None else 0
        used, old = np.where(there, served.used, joined.used), np.where(there, served.too_old, joined.too_old)
        self._prove(used, old, nulls, np.where(there, served.ages, joined.ages))
        return values

    def _served(self, rows: pa.Table) -> Answers:
        if self.logged is None:
            return self._nothing(rows.num_rows)
        status = rows[status_of(self.logged)]
        age = _ages(rows, event_time_of(self.logged))
        old = _is(status, STALE) | _above(age, self.asked.max_age)
        used = _is(status, FRESH) & ~old
        values = _array(rows[self.logged].cast(self.type))
        return Answers(pc.if_else(pa.array(used), values, pa.scalar(None, self.type)), used, old, age)

    def _joined(self, rows: pa.Table) -> Answers:
        if self.joined is None:
            return self._nothing(rows.num_rows)
        values = _array(rows[self.joined].cast(self.type))
        times = rows[event_time_column(self.joined)]
        known = np.asarray(times.is_valid().to_numpy(), np.bool_)
        age = np.full(len(known), -1) if self.static else _ages(rows, event_time_column(self.joined))
        # The newest row that has a value has no time of its own here.
        age = np.full(len(known), -1) if self.asked.last_non_null else age
        old = _above(age, None if self.static else self.asked.max_age)
        valid = np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        used = valid | (known & ~old & (not self.asked.last_non_null))
        return Answers(values, used, old & ~used, age)

    def _nothing(self, rows: int) -> Answers:
        nothing = np.zeros(rows, np.bool_)
        return Answers(pa.nulls(rows, self.type), nothing, nothing, np.full(rows, -1))

    def _prove(self, used: Truths, old: Truths, nulls: Truths, ages: NDArray[np.int64]) -> None:
        timed = ages[used & (ages >= 0)]
        told = ages_told(Ticks(timed.astype(np.uint64), 1), timeless=False, fine=True)
        proof = ColumnProof(
            column=self.asked.column,
            labels=len(used),
            answered=int(used.sum()),
            null_values=int((used & nulls).sum()),
            unanswered_no_history=int((~used & ~old).sum()),
            unanswered_too_old=int(old.sum()),
            greatest_age_us=told.greatest,
            median_age_us=told.median,
            age_histogram=told.histogram,
            examined=0,
            newer_unknown=0,
        )
        made = [Proof((proof,), {} if told.fine is None else {self.asked.column: told.fine})]
        self.proofs = merged(self.proofs, made) if self.proofs else made

    def told(self, examined: ColumnProof | None) -> dict[str, Any]:
        """Return the proof of the column, and how many of its cells were logged, backfilled and null in each part.

        ``examined`` is the proof of the join, which looked for later knowledge.
        """
        if not self.proofs:
            nothing = np.zeros(0, np.bool_)
            self._prove(nothing, nothing, nothing, np.zeros(0, np.int64))
        [[proof]] = [each.columns for each in self.proofs]
        found = {**asdict(proof), "age_histogram": [list(bar) for bar in proof.age_histogram]}
        if examined is not None and self.from_join:
            found |= {"examined": examined.examined, "newer_unknown": examined.newer_unknown}
        parts = {"logged": self.from_log, "logged_null": self.null_in_log}
        return {**found, **parts, "backfilled": self.from_join, "backfilled_null": self.null_in_join}


def _array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _is(status: pa.ChunkedArray, value: str) -> Truths:
    return np.asarray(pc.fill_null(pc.equal(status, value), False).to_numpy(), np.bool_)


def _ages(rows: pa.Table, event_time: str) -> NDArray[np.int64]:
    """Return how many nanoseconds before the row was served its event was; -1 where it has no time."""
    events = rows[event_time]
    if pa.types.is_null(events.type):
        return np.full(rows.num_rows, -1)
    times = events.cast(pa.timestamp("ns")).cast(pa.int64())
    served = rows[SERVED_AT].cast(pa.timestamp("ns")).cast(pa.int64())
    between = np.asarray(served.to_numpy(), np.int64) - np.asarray(pc.fill_null(times, 0).to_numpy())
    known = np.asarray(events.is_valid().to_numpy(), np.bool_)
    return np.asarray(np.where(known, np.maximum(between, 0), -1), np.int64)


def _above(ages: NDArray[np.int64], limit: timedelta | None) -> Truths:
    if limit is None:
        return np.zeros(len(ages), np.bool_)
    most = (limit.days * 86_400 + limit.seconds) * 1_000_000 + limit.microseconds
    return np.asarray(ages > most * MICROSECOND, np.bool_)


def columns_read(logged: str | None) -> list[str]:
    """Return the columns of the log that a stitched column reads."""
    return [] if logged is None else [logged, event_time_of(logged), status_of(logged)]
