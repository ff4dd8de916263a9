"""A column of a training set that is stitched: the value that was served, and where none was, the one of the join."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jukebox.core.asof_ages import Ticks
from jukebox.core.asof_proof import ColumnProof, Proof, ages_told, merged
from jukebox.core.asof_times import combined
from jukebox.engine.served_logs import FRESH, SERVED_AT, STALE, entry_of, event_time_of, status_of
from jukebox.engine.served_rows import event_time_column
from jukebox.features import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from numpy.typing import NDArray

    from jukebox.engine.requests import Asked, Entry
    from jukebox.engine.served_logs import ServedLog

    Truths = NDArray[np.bool_]


def logged_as(log: ServedLog, entry: Entry, asked: Asked, registered: timedelta | None) -> tuple[str, ...]:
    """Return the columns of the log that answer a request: of its version and role, whatever they were asked for with.

    However its ids were written, a row tells of its own entity.

    One under a shorter limit of age than the request's lacks what is older, and does not answer it; ``registered`` is
    the limit where none was asked for. There is none for ``last_non_null``, which an online store cannot tell.
    """
    found = []
    for column in () if asked.last_non_null else log.features:
        served = entry_of(column)
        limit = registered if served.max_age is None else parse_duration(served.max_age)
        enough = limit is None or (asked.max_age is not None and limit >= asked.max_age)
        if served.name == asked.versioned and _role(served) == _role(entry) and enough:
            found.append(column)
    return tuple(found)


def _role(entry: Entry) -> dict[str, str]:
    return {name: key for name, key in entry.keys.items() if name != key}


@dataclass(frozen=True)
class Answers:
    """The cells of a column: their values, which rows were used or too old, and their ages in nanoseconds."""

    values: pa.Array
    used: Truths
    too_old: Truths
    ages: NDArray[np.int64]


@dataclass
class StitchedColumn:
    """One output column: ``logged`` columns and the ``joined`` one are what it is stitched of.

    Of several logged ones the first counts that was served to a row.
    """

    asked: Asked
    logged: tuple[str, ...]
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
        return is_logged(rows, self.logged)

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
        found = self._nothing(rows.num_rows)
        for column in reversed(self.logged):
            there, each = is_logged(rows, [column]), self._served_as(rows, column)
            found = Answers(
                pc.if_else(pa.array(there), each.values, found.values),
                np.where(there, each.used, found.used),
                np.where(there, each.too_old, found.too_old),
                np.where(there, each.ages, found.ages),
            )
        return found

    def _served_as(self, rows: pa.Table, column: str) -> Answers:
        status = rows[status_of(column)]
        age = _ages(rows, event_time_of(column))
        old = _is(status, STALE) | _above(age, self.asked.max_age)
        used = _is(status, FRESH) & ~old
        values = combined(rows[column].cast(self.type))
        return Answers(pc.if_else(pa.array(used), values, pa.scalar(None, self.type)), used, old, age)

    def _joined(self, rows: pa.Table) -> Answers:
        if self.joined is None:
            return self._nothing(rows.num_rows)
        values = combined(rows[self.joined].cast(self.type))
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
    return np.asarray((ages >= 0) & Ticks(ages.astype(np.uint64), 1).above(limit), np.bool_)


def is_logged(rows: pa.RecordBatch | pa.Table, columns: Iterable[str]) -> Truths:
    """Return which rows were served any of the columns."""
    statuses = [rows.column(rows.schema.get_field_index(status_of(column))) for column in columns]
    found = np.zeros(rows.num_rows, np.bool_)
    for status in statuses:
        valid = (status if isinstance(status, pa.Array) else combined(status)).is_valid()
        found |= np.asarray(valid.to_numpy(zero_copy_only=False), np.bool_)
    return found
