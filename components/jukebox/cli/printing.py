"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jukebox.features import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jukebox.serving import FeatureVector
    from jukebox.stores import Registry
    from jukebox.tables import Manifest

WIDE = 150  # where no terminal says how wide it is

_width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
console = Console(highlight=False, width=_width)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title; numbers stand to the right."""
    drawn = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False
    )
    rows = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numbers = all(isinstance(row[index], int | float) or _looks_number(row[index]) for row in rows)
        drawn.add_column(column, justify="right" if rows and numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console.print(drawn)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    console.print_json(json.dumps(value, default=str))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback of (done, total) that draws a bar where a person looks on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def feature_set(manifest: Manifest) -> None:
    """Print what a registration did with every feature."""
    features = manifest.details["features"]
    rows = [(f["name"], f["version"], f["change"]) for f in features]
    table(f"{len(rows)} features registered", ["feature", "version", "change"], rows)


def features(registry: Registry, text: str, *, as_json: bool) -> None:
    """Print the registered features that hold ``text`` in name or description."""
    found = [f for f in registry.features() if text.lower() in f"{f.name} {f.feature.description}".lower()]
    if as_json:
        print_json([{**f.feature.to_json(), "version": f.version} for f in found])
        return
    rows = (
        (f.name.short, f.version, f.feature.data_type, _age(f.feature.max_age), f.feature.owner, f.feature.description)
        for f in found
    )
    table(f"{len(found)} features", ["feature", "version", "type", "max age", "owner", "description"], rows)


def manifest(made: Manifest) -> None:
    """Print one line of what was made."""
    dates = made.details.get("dates")
    span = f", {len(dates)} dates from {dates[0]} to {dates[-1]}" if dates else ""
    page = made.details.get("page")
    console.print(f"{made.kind.replace('_', ' ')}: {made.rows:,} rows{span}\n  {made.uri}", soft_wrap=True)
    if page:
        console.print(f"  {page}", soft_wrap=True)


def training_set(made: Manifest) -> None:
    """Print a training set's size, splits and proof."""
    splits = ", ".join(f"{rows:,} {name}" for name, rows in made.details["splits"].items())
    console.print(f"training set: {made.rows:,} labels ({splits})\n  {made.uri}", soft_wrap=True)
    columns = ["column", "answered", "with null", "no history", "too old", "later unknown", "median age", "oldest"]
    counts = ("answered", "null_values", "unanswered_no_history", "unanswered_too_old")
    rows = [
        (
            f["column"],
            *(f"{f[count]:,}" for count in counts),
            f"{f['newer_unknown'] / f['examined']:.1%}" if f["examined"] else None,
            _microseconds(f["median_age_us"]),
            _microseconds(f["greatest_age_us"]),
        )
        for f in made.details["features"]
    ]
    table("proof of the join", columns, rows)


def online_table(made: Manifest) -> None:
    """Print what an online load did."""
    names = ("rows", "written", "older")
    rows = [(load["table"], *(load[name] for name in names), len(load["features"])) for load in made.details["tables"]]
    table(f"loaded into {made.details['store']}", ["table", "keys", "changed", "older", "features"], rows)


def vector(found: FeatureVector, *, as_json: bool) -> None:
    """Print the values of a lookup, with event time and status."""
    if as_json:
        print_json({v.name: {"value": v.value, "event_time": v.event_time, "status": v.status} for v in found})
        return
    table("", ["feature", "value", "event time", "status"], [(v.name, v.value, v.event_time, v.status) for v in found])


def artifact(made: Manifest, rows: int, columns: Sequence[str] | None) -> None:
    """Print an artifact's manifest, with its first rows and proof where it has them."""
    from jukebox.engine.preview import first_rows

    if made.kind == "training_set":
        training_set(made)
    else:
        manifest(made)
    found = first_rows(made, rows, columns)
    if found is not None:
        table(f"the first {found.num_rows} rows", found.column_names, zip(*found.to_pydict().values(), strict=True))


def _cell(value: object) -> str:
    if value is None:
        return "[dim]-[/]"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", "Z")
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


def _looks_number(value: object) -> bool:
    return value is None or (isinstance(value, str) and value[:1].isdigit() and "-" not in value)


def _age(value: Any) -> str | None:  # noqa: ANN401
    return None if value is None else format_duration(value)


def _microseconds(value: int | None) -> str | None:
    if value is None:
        return None
    seconds = value // 1_000_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"
