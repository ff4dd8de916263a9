"""What the point-in-time benchmark found, as Markdown."""

from __future__ import annotations

from typing import NamedTuple

COLUMNS = {
    "workload": "workload",
    "engine": "engine",
    "version": "version",
    "cpu_seconds": "CPU s",
    "wall_seconds": "wall s",
    "peak_mb": "peak MB",
    "warm_ms": "warm ms",
    "cells_differ": "cells that differ",
}


class Bar(NamedTuple):
    """A claim, the ratio that was measured (None: it was not), and the most that it may be."""

    claim: str
    ratio: float | None
    most: float


def markdown(lines: list[dict], bars: list[Bar]) -> str:
    """Return a table of the engines and one of the bars."""
    engines = [line for line in lines if "engine" in line and ("cpu_seconds" in line or "skipped" in line)]
    shown = [[_cell(line, column) for column in COLUMNS] for line in engines if "part" not in line]
    ratios = [
        [bar.claim, "not measured" if bar.ratio is None else f"{bar.ratio:.2f}", f"{bar.most:g}", _verdict(bar)]
        for bar in bars
    ]
    return _table(list(COLUMNS.values()), shown) + "\n" + _table(["claim", "measured", "at most", "holds"], ratios)


def _verdict(bar: Bar) -> str:
    return "unknown" if bar.ratio is None else "yes" if bar.ratio <= bar.most else "no"


def _cell(line: dict, column: str) -> str:
    if column == "workload":
        scales = f" x {line['labels']} labels, {line['features']} features"
        scaled = scales if (line["labels"], line["features"]) != (1, 1) else ""
        return line["workload"] + scaled + (f", {line['late']:.0%} late" if line["late"] else "")
    if column == "cpu_seconds" and "skipped" in line:
        return line["skipped"]
    value = line.get(column, "")
    if column == "peak_mb" and value != "":
        return f"{value:.0f}"
    if column == "cells_differ" and value != "":
        return f"{value:,} of {line['cells']:,}"
    return str(value)


def _table(names: list[str], rows: list[list[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)
