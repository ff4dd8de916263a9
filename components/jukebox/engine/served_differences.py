"""Why a served cell differs from the offline tables: by their rows it was stale, early, ahead, or of no row at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jukebox.core.asof_times import combined
from jukebox.core.by_rule import Question
from jukebox.core.by_rule_values import cells, instants, mark
from jukebox.core.differences import distances
from jukebox.engine.consistency import (
    AHEAD,
    BEHIND,
    DEFAULT_THRESHOLDS,
    EARLY,
    EXAMPLES,
    MISMATCH,
    Difference,
    FeatureConsistency,
    by_nulls,
)
from jukebox.engine.served_logs import (
    FRESH,
    KEY,
    POSITION,
    REQUEST_ID,
    SERVED_AT,
    STALE,
    event_time_of,
    status_of,
)
from jukebox.engine.served_origins import Sought, found_rows
from jukebox.engine.served_rows import NAIVE, event_time_column, label_time_of
from jukebox.engine.verification import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from jukebox.engine.cell_tally import Tally
    from jukebox.engine.plans import Plan, PlannedTable

WHERE = (REQUEST_ID, POSITION, SERVED_AT)
_MICROSECOND = 1_000


def offline(column: str) -> str:
    """Return the column that the offline tables' answer to a column of the log stands in."""
    return f"{column} offline"


def explained(plan: Plan, tallies: Mapping[str, Tally], schema: pa.Schema) -> list[FeatureConsistency]:
    """Return what became of each column of a log, of rows of ``schema``; partitions are read where cells differ."""
    names = {offline(column): column for column in tallies}
    found = {
        told.feature: told
        for table in plan.tables
        for told in _of_table(plan, table, {names[m.column]: m.source_column for m in table.members}, tallies, schema)
    }
    return [found[column] for column in tallies]


@dataclass(frozen=True)
class _Rows:
    """The rows of one column of the log whose cells differ, and what of them is looked at."""

    column: str
    rows: pa.Table

    def values(self) -> Iterator[tuple[Any, Any]]:
        return zip(cells(self.rows[self.column]), cells(self.rows[offline(self.column)]), strict=True)

    def times(self) -> Iterator[tuple[int | None, int | None]]:
        names = event_time_of(self.column), event_time_column(offline(self.column))
        return zip(*(_microseconds(self.rows[name]) for name in names), strict=True)

    def order(self) -> NDArray[np.int64]:
        """Return 1 for a served row of a later event than the offline one, -1 for an earlier one, 0 for all others."""
        pairs = self.times()
        return np.array([0 if None in (a, b) else (a > b) - (a < b) for a, b in pairs], np.int64)  # type: ignore[operator]

    def sought(self, source: str, *, static: bool) -> list[Sought | None]:
        """Return the row to look for in each cell's stead; None where nothing was served, or its age decided."""
        found: list[Sought | None] = []
        statuses = self.rows[status_of(self.column)].to_pylist()
        for (value, right), (time, other), status in zip(self.values(), self.times(), statuses, strict=True):
            is_row = status in (FRESH, STALE) and (static or time is not None)
            by_age = not static and time == other and (value is None or right is None)
            held = None if status == STALE else mark(value)
            found.append(Sought(source, held, None if static else time) if is_row and not by_age else None)
        return found


def by_time(column: str) -> Callable[[pa.RecordBatch], NDArray[np.int64]]:
    """Return how rows of a column are ordered: 1 where what was served is of a later event, -1 of an earlier one."""
    return lambda rows: _Rows(column, pa.Table.from_batches([rows])).order()


def _microseconds(times: pa.ChunkedArray) -> list[int | None]:
    # A served time is told to the microsecond; the offline table's may be finer.
    return [None if time is None else int(time) // _MICROSECOND for time in instants(times)]


def _of_table(
    plan: Plan, table: PlannedTable, sources: Mapping[str, str], tallies: Mapping[str, Tally], schema: pa.Schema
) -> Iterator[FeatureConsistency]:
    differing = [_Rows(c, pa.Table.from_batches(tallies[c].kept, schema)) for c in sources if tallies[c].kept]
    sought = {rows.column: rows.sought(sources[rows.column], static=table.static) for rows in differing}
    kinds = _kinds(plan, table, differing, sought)
    by_column = {rows.column: rows.rows for rows in differing}
    for column in sources:
        rows = by_column.get(column, schema.empty_table())
        yield _told(column, tallies[column], rows, kinds.get(column, []))


def _kinds(
    plan: Plan, table: PlannedTable, differing: Sequence[_Rows], sought: Mapping[str, Sequence[Sought | None]]
) -> dict[str, list[str]]:
    """Return for each column the kind of difference of each of its rows."""
    places = [(rows, n) for rows in differing for n, look in enumerate(sought[rows.column]) if look is not None]
    told: dict[tuple[str, int], str] = {}
    if places:
        parts = [
            rows.rows.select([*table.joined_keys, SERVED_AT, NAIVE]).take(_places(places, rows)) for rows in differing
        ]
        looks = [look for rows in differing for look in sought[rows.column] if look is not None]
        known, early = found_rows(table.partitions, _question(plan, table), pa.concat_tables(parts), looks)
        for kind, labels in ((BEHIND, known), (EARLY, early)):
            told |= {(places[label][0].column, places[label][1]): kind for label in labels}
    return {
        rows.column: [
            told.get((rows.column, n)) or (AHEAD if newer > 0 else by_nulls(*pair))
            for n, (pair, newer) in enumerate(zip(rows.values(), rows.order(), strict=True))
        ]
        for rows in differing
    }


def _places(places: Sequence[tuple[_Rows, int]], of: _Rows) -> pa.Array:
    return pa.array([place for rows, place in places if rows is of], pa.int64())


def _question(plan: Plan, table: PlannedTable) -> Question:
    return Question(
        keys=table.joined_keys,
        label_time=label_time_of(table),
        event_time=None if table.static else table.event_time,
        values={member.column: member.source_column for member in table.members},
        created_time=table.about.created_time,
        allow_exact=plan.allow_exact,
        as_known=plan.as_known,
    )


def _told(column: str, tally: Tally, rows: pa.Table, kinds: Sequence[str]) -> FeatureConsistency:
    counts = {kind: kinds.count(kind) for kind in DEFAULT_THRESHOLDS}
    for kind, beyond in ((MISMATCH, tally.beyond), (BEHIND, tally.beyond_older), (AHEAD, tally.beyond_newer)):
        counts[kind] += beyond
    wrong = pa.array([place for place, kind in enumerate(kinds) if kind == MISMATCH], pa.int64())
    ours, theirs = (combined(rows[name].take(wrong)) for name in (column, offline(column)))
    tally.take_in(*distances(ours.cast(theirs.type) if len(wrong) else ours, theirs))
    examples = [
        _example(column, rows.slice(place, 1), kind)
        for kind in DEFAULT_THRESHOLDS
        for place in [place for place, each in enumerate(kinds) if each == kind][:EXAMPLES]
    ]
    errors = tally.error, tally.relative_error
    return FeatureConsistency(column, tally.cells, counts, tally.close, *errors, tuple(examples))


def _example(column: str, row: pa.Table, kind: str) -> Difference:
    told = {name: _shown(cells(row[name])[0], row.schema.field(name).type) for name in row.column_names}
    where = {name: told[name] for name in (*WHERE, *(each for each in told if each.startswith(KEY)))}
    times = told[event_time_of(column)], told[event_time_column(offline(column))]
    return Difference(kind, where, told[column], told[offline(column)], *times)


def _shown(value: Any, kind: pa.DataType) -> Any:
    text = readable(value, kind)
    return f"{text}Z" if value is not None and pa.types.is_timestamp(kind) and kind.tz is not None else text
