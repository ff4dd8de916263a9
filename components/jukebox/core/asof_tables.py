"""Feature tables from their first row to their output columns: read in pieces on several threads, or as they stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, groupby
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from jukebox.core import kernel
from jukebox.core.asof_answers import Answers, answers_of, fetched_by, kept_columns, proof_of
from jukebox.core.asof_gather import Places, fetch
from jukebox.core.asof_keys import family
from jukebox.core.asof_pass import Labels, Pass, Rules, begun, take_in
from jukebox.core.asof_pieces import Pieces, grouped
from jukebox.core.asof_times import threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from jukebox.core.asof import Features
    from jukebox.core.asof_pieces import Piece
    from jukebox.core.asof_proof import Proof


class Progress(NamedTuple):
    """How far a join is: rows of feature tables looked at, of how many (None: of a stream), and tables done."""

    rows: int
    of_rows: int | None
    tables: int
    of_tables: int


@dataclass
class Watch:
    """Counts what is done and tells whoever asked to be told."""

    told: Callable[[Progress], None] | None
    of_rows: int | None
    of_tables: int
    rows: int = 0
    tables: int = 0
    lock: Lock = field(default_factory=Lock)

    def tell(self, *, rows: int = 0, tables: int = 0) -> None:
        """Add to what is done."""
        if self.told is None:
            return
        with self.lock:
            self.rows, self.tables = self.rows + rows, self.tables + tables
            self.told(Progress(self.rows, self.of_rows, self.tables, self.of_tables))


@dataclass(frozen=True)
class Source:
    """A feature table that was opened: what is asked of it, and what its rows are read from."""

    asked: Features
    schema: pa.Schema
    rows: Pieces | Iterable[pa.RecordBatch]
    whose: str

    @property
    def count(self) -> int | None:
        """The number of rows, or None for a stream."""
        return sum(piece.rows for piece in self.rows.pieces()) if isinstance(self.rows, Pieces) else None


def side_by_side(sources: Sequence[Source], threads: int) -> Iterator[list[Source]]:
    """Yield the tables in their order; those with too few pieces to keep all threads busy are for them to share."""
    for few, some in groupby(sources, lambda one: isinstance(one.rows, Pieces) and len(one.rows.pieces()) < threads):
        together = list(some)
        yield from [together] if few else ([one] for one in together)


def answered(
    labels: Labels, source: Source, rules: Rules, pool: ThreadPoolExecutor | None, watch: Watch
) -> tuple[dict[str, pa.ChunkedArray], Proof]:
    """Return the output columns of one feature table, and their proof."""
    asked = source.asked
    in_pieces = isinstance(source.rows, Pieces)
    under_way = begun(labels, asked, rules, source.schema, source.whose, stores=not in_pieces)
    if isinstance(source.rows, Pieces):
        columns, races = _from_pieces(under_way, source, source.rows.pieces(), pool, watch)
    else:
        columns, races = _from_stream(under_way, source, source.rows, watch)
    watch.tell(tables=1)
    return columns, proof_of(under_way, races, columns)


def _from_stream(
    under_way: Pass, source: Source, batches: Iterable[pa.RecordBatch], watch: Watch
) -> tuple[dict[str, pa.ChunkedArray], list[Answers]]:
    first = 0
    wanted = _part(source.schema, source.asked.columns())
    for rows in grouped(batches, wanted, source.whose):
        take_in(under_way, rows, first)
        first += len(rows)
        watch.tell(rows=len(rows))
    races = [answers_of(under_way, race) for race in under_way.races]
    return {name: column for race in races for name, column in kept_columns(under_way, race).items()}, races


def _part(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names])


def _from_pieces(
    under_way: Pass, source: Source, pieces: Sequence[Piece], pool: ThreadPoolExecutor | None, watch: Watch
) -> tuple[dict[str, pa.ChunkedArray], list[Answers]]:
    placed = list(zip(pieces, accumulate((piece.rows for piece in pieces), initial=0), strict=False))
    wanted = _part(source.schema, under_way.columns())
    texts = [name for name in source.asked.keys.values() if family(source.schema.field(name).type) == "text"]
    encoded = texts if kernel.is_compiled() else []

    def race(at: tuple[Piece, int]) -> None:
        piece, first = at
        if may_be_seen(under_way, source, piece):
            for rows in grouped(piece.read(wanted.names, encoded), wanted, source.whose, encoded):
                take_in(under_way, rows, first)
                first += len(rows)
        watch.tell(rows=piece.rows)

    _each(pool, race, placed)
    races, columns = [], {}
    for one in under_way.races:
        found = answers_of(under_way, one)
        columns.update(_fetched(source, found, placed, pool, len(under_way.labels)))
        races.append(found)
    return columns, races


def may_be_seen(under_way: Pass, source: Source, piece: Piece) -> bool:
    """Return whether a row of the piece can be past at any label's time, under a key that a label has."""
    labels, asked = under_way.labels, source.asked
    if len(under_way.slots) == 0:
        return False
    for keys, name in zip(under_way.keys.columns, asked.keys.values(), strict=True):
        bounds = piece.bounds(name)
        if bounds is not None and not keys.meet(*bounds):
            return False
    bounds = None if asked.event_time is None else piece.bounds(asked.event_time)
    if bounds is None or not isinstance(bounds[0], int):
        return True
    least = np.array([bounds[0]], np.int64)
    past, possible = threshold(least, under_way.event_clock, labels.clock, exact=under_way.rules.allow_exact)
    return possible is not None or bool(past[0] <= labels.times[labels.by_time[-1]])


def _fetched(
    source: Source, found: Answers, placed: Sequence[tuple[Piece, int]], pool: ThreadPoolExecutor | None, labels: int
) -> dict[str, pa.ChunkedArray]:
    values = source.asked.values
    places, sinks = fetched_by(found, values, source.schema, labels)
    _each(pool, lambda at: fetch(*at, list(sinks.items()), places), _answering(places, placed))
    columns = {}
    for output in found.race.outputs:
        alike = all(found.young[output] is young for young in found.young.values())
        columns[output] = sinks[values[output]].column(None if alike else found.mask(output, labels))
    return columns


def _answering(places: Places, placed: Sequence[tuple[Piece, int]]) -> list[tuple[Piece, int]]:
    inside = [places.within(first, piece.rows) for piece, first in placed]
    return [at for at, part in zip(placed, inside, strict=True) if part.start < part.stop]


def _each(
    pool: ThreadPoolExecutor | None, work: Callable[[tuple[Piece, int]], None], placed: Sequence[tuple[Piece, int]]
) -> None:
    if pool is None or len(placed) < 2:  # noqa: PLR2004 - one is done here
        for at in placed:
            work(at)
    else:
        for _ in pool.map(work, placed):
            pass
