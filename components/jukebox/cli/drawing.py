"""Tables, JSON and progress on the terminal: what has no room is left out and named, and nothing is ever folded."""

from __future__ import annotations

import base64
import json
import math
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jukebox.core.asof import Progress

UNBOUNDED = 100_000  # columns, where a file or another program reads along
GAP, LEAST = 2, 12  # columns between two columns, and the fewest that a cropped one is worth
NAMED = 3  # columns that have no room
EVERY = 5.0  # seconds between two lines of progress


def console() -> Console:
    """Return the terminal, or what stands in for it: as wide as it is, as COLUMNS says, or without bounds."""
    bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if bounded else UNBOUNDED)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title, the most telling column first; numbers stand to the right."""
    terminal, listed = console(), [list(row) for row in rows]
    drawn = [_Column.of(name, [row[place] for row in listed]) for place, name in enumerate(columns)]
    kept, rest = _fitting(drawn, terminal.width)
    if title:
        terminal.print(Text(title, "bold"), soft_wrap=True)
    for cells in zip_longest(*(column.header for column in kept), fillvalue=""):
        terminal.print(Text(_line(kept, cells), "dim"), soft_wrap=True)
    for cells in zip(*(column.cells for column in kept), strict=True):
        terminal.print(Text(_line(kept, cells)), soft_wrap=True)
    if rest:
        terminal.print(Text(_left_out(rest), "dim"), soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as JSON: times in ISO 8601, bytes in base64, what is no finite number as text."""
    typer.echo(as_json(value))


def as_json(value: object) -> str:
    """Return a value as ``print_json`` prints it."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def counted(number: int, noun: str) -> str:
    """Return ``1 feature``, ``2 features``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback of (done, total): a bar where a person looks on, elsewhere a line every few seconds."""
    if not sys.stderr.isatty():
        tell = _lines(what)
        yield lambda done, total: tell(f"{done} of {total}", done == total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def joining() -> Iterator[Callable[[Progress], None]]:
    """Yield a callback of how far a join is, as ``progress`` shows it: rows, tables and time left.

    Where no person looks on, a join that ends within the first few seconds says nothing.
    """
    started = time.monotonic()
    if not sys.stderr.isatty():
        tell = _lines("joining", started)
        yield lambda at: tell(_far(at, time.monotonic() - started), False)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn("joining"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda at: bar.update(task, completed=at.rows, total=at.of_rows, description=_far(at))


@contextmanager
def rows(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a callback of (rows done, rows in all or None) that shows them, and how many a second.

    Where no person looks on, what ends within the first few seconds says nothing.
    """
    started = time.monotonic()

    def speed(done: int, of: int | None) -> str:
        told = f"{done:,}{'' if of is None else f' of {of:,}'} rows"
        return f"{told}, {done / max(time.monotonic() - started, 1e-9):,.0f} a second"

    if not sys.stderr.isatty():
        tell = _lines(what, started)
        yield lambda done, of: tell(speed(done, of), False)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn(what), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of, description=speed(done, of))


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is being done, where a person looks on."""
    if sys.stderr.isatty():
        with Console(stderr=True).status(f"{what} …"):
            yield
    else:
        yield


def _left_out(names: Sequence[str]) -> str:
    named = names if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
    return f"no room for {', '.join(named)}; a pipe has room for all"


def _far(at: Progress, seconds: float | None = None) -> str:
    """Return how far a join is; after some ``seconds``, and where the rows are counted, with the time left."""
    of_rows = "" if at.of_rows is None else f" of {at.of_rows:,}"
    told = f"{at.rows:,}{of_rows} rows, {at.tables} of {counted(at.of_tables, 'table')}"
    if seconds is None or at.of_rows is None or at.rows == 0:
        return told
    return f"{told}, {seconds * (at.of_rows - at.rows) / at.rows:.0f} s left"


def _lines(what: str, told: float = -math.inf) -> Callable[[str, bool], None]:

    def tell(far: str, last: bool) -> None:
        nonlocal told
        if last or time.monotonic() - told >= EVERY:
            told = time.monotonic()
            typer.echo(f"{what}: {far}", err=True)

    return tell


@dataclass(frozen=True)
class _Column:
    header: tuple[str, ...]
    cells: tuple[str, ...]
    right: bool

    @classmethod
    def of(cls, name: str, values: Sequence[object]) -> _Column:
        numbers = bool(values) and all(_is_number(value) for value in values)
        return cls((as_text(name),), tuple(as_text(value) for value in values), numbers)

    @property
    def name(self) -> str:
        return " ".join(self.header)

    @property
    def width(self) -> int:
        return max(cell_len(text) for text in (*self.header, *self.cells))

    def at_most(self, width: int) -> _Column:
        """Return the column cropped: text alone, for a number would become another one."""
        if self.right or self.width <= width:
            return self
        header, cells = (tuple(_cropped(text, width) for text in texts) for texts in (self.header, self.cells))
        return replace(self, header=header, cells=cells)


def _fitting(columns: Sequence[_Column], room: int) -> tuple[list[_Column], list[str]]:
    """Return the columns from the left that have room, the last of them cropped if need be; name the others."""
    if _width(columns) > room:
        columns = [replace(column, header=tuple(column.name.split(" "))) for column in columns]
    if _width(columns) > room:
        columns = [columns[0], *(column.at_most(max(room // 3, LEAST)) for column in columns[1:-1]), *columns[1:][-1:]]
    kept: list[_Column] = []
    for place, column in enumerate(columns):
        left = room - _width(kept) - GAP
        fitted = column.at_most(left) if left >= LEAST and kept else column
        if kept and fitted.width > left:
            return kept, [each.name for each in columns[place:]]
        kept.append(fitted)
    return kept, []


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + GAP * max(len(columns) - 1, 0)


def _line(columns: Sequence[_Column], cells: Sequence[str]) -> str:
    return (" " * GAP).join(map(_padded, cells, columns)).rstrip()


def _padded(text: str, column: _Column) -> str:
    blank = " " * (column.width - cell_len(text))
    return blank + text if column.right else text + blank


def _cropped(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def as_text(value: object) -> str:
    """Return a value as a cell of a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", "Z")
    if isinstance(value, float):
        return _digits(value)
    # What moves the cursor or starts a line would draw another table than this.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def _digits(value: float) -> str:
    exact = repr(value).removesuffix(".0")
    return exact if len(exact) <= LEAST else f"{value:.7g}"


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value[:1].isdigit() and "-" not in value
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, str | int | float) else str(value)
