"""What the command line prints of each thing that a command made or found."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from jukebox.cli.drawing import counted, print_json, table
from jukebox.features import FeatureName
from jukebox.storage import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jukebox.engine.online_costs import Prices
    from jukebox.engine.online_tables import Estimate
    from jukebox.serving import FeatureVector
    from jukebox.tables import Manifest

DAY, HOUR, MINUTE = 86_400, 3_600, 60


def feature_set(made: Manifest) -> None:
    """Print what a registration did with every feature."""
    features = made.details["features"]
    changes = Counter(feature["change"] for feature in features)
    told = ", ".join(f"{count} {change}" for change, count in changes.items())
    rows = [(FeatureName.parse(f["name"]).short, f["version"], f["change"]) for f in features]
    table(f"{counted(len(rows), 'feature')} registered: {told}", ["feature", "version", "change"], rows)


def manifest(made: Manifest) -> None:
    """Print one line of what was made, and one more of a page to read."""
    typer.echo(f"{made.kind.replace('_', ' ')}: {', '.join(_about(made))}, in {near(made.uri)}")
    if "page" in made.details:
        typer.echo(f"to read: {near(str(place_of(made.uri, made.details['page'])))}")


def _about(made: Manifest) -> list[str]:
    told = [counted(made.rows, "row")]
    dates, anomalies = made.details.get("dates", ()), made.details.get("anomalies")
    if dates:
        told.append(f"date {dates[0]}" if len(dates) == 1 else f"{len(dates)} dates from {dates[0]} to {dates[-1]}")
    if anomalies is not None:
        told.append(f"anomalies: {' and '.join(f'{each:,} in {split}' for split, each in anomalies.items())}")
    return told


def training_set(made: Manifest) -> None:
    """Print a training set's size, splits and proof."""
    splits = ", ".join(f"{rows:,} {name}" for name, rows in made.details["splits"].items())
    typer.echo(f"training set: {counted(made.rows, 'label')} ({splits}), in {near(made.uri)}")
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
    _ages(made.details["features"])


def _ages(features: Sequence[Mapping[str, Any]]) -> None:
    """Print what share of each feature's answers is how old, where any has an age."""
    bars = {f["column"]: dict(f.get("age_histogram", ())) for f in features}
    bounds = sorted({bound for bar in bars.values() for bound in bar if bound is not None})
    older = any(None in bar for bar in bars.values())
    if not bounds and not older:
        return
    rows = [
        (column, *(f"{bar.get(bound, 0) / sum(bar.values()):.1%}" for bound in (*bounds, *[None] * older)))
        for column, bar in bars.items()
        if bar
    ]
    upto = [f"{'≤ ' if bound else ''}{_microseconds(bound)}" for bound in bounds]
    table("age of the answers", ["column", *upto, *["older"] * older], rows)


def online_table(made: Manifest, *, as_json: bool = False) -> None:
    """Print what an online load did."""
    if as_json:
        print_json({**made.details, "rows": made.rows, "fingerprint": made.fingerprint})
        return
    names = ("rows", "written", "older")
    rows = [(load["table"], *(load[name] for name in names), len(load["features"])) for load in made.details["tables"]]
    table(f"loaded into {near_store(made.details['store'])}", ["table", "keys", "changed", "older", "features"], rows)


def estimates(store: str, found: Sequence[Estimate], prices: Prices, *, as_json: bool) -> None:
    """Print what a load would send, and what that costs where it goes to Bigtable."""
    from jukebox.engine.online_costs import cost

    priced = store.startswith("bigtable://")
    costs = [cost(each.rows, each.bytes, prices) if priced else None for each in found]
    if as_json:
        told = zip(found, costs, strict=True)
        print_json([{**asdict(each), "cost": None if price is None else asdict(price)} for each, price in told])
        return
    rows: list[tuple[object, ...]] = [(each.table, each.read, each.rows, each.bytes) for each in found]
    names = ["table", "rows read", "keys", "bytes"]
    if priced:
        names += ["node-seconds", "USD to write", "USD a month"]
        sums = [(f"{p.node_seconds:,.4g}", _usd(p.writing), _usd(p.storing)) for p in costs if p is not None]
        rows = [(*row, *each) for row, each in zip(rows, sums, strict=True)]
    table(f"nothing is loaded; a load into {near_store(store)} would send", names, rows)
    if priced:
        typer.echo(
            f"before compression, at {prices.node_hour:g} USD a node and hour, {prices.gib_month:g} USD a GiB and "
            f"month, {prices.rows_a_second:,g} rows of 1 KB a second and node; --prices takes your own"
        )


def _usd(amount: float) -> str:
    return "under 0.01" if 0 < amount < 0.01 else f"{amount:,.2f}"  # noqa: PLR2004 - a cent


def vector(found: FeatureVector, *, as_json: bool) -> None:
    """Print the values of a lookup, with event time and status."""
    if as_json:
        print_json({value.name: value._asdict() for value in found})
        return
    table("", ["feature", "value", "event time", "status"], [(v.name, v.value, v.event_time, v.status) for v in found])


def artifact(made: Manifest, rows: int, columns: Sequence[str] | None) -> None:
    """Print an artifact's manifest, with its first rows and proof where it has them."""
    from jukebox.engine.preview import first_rows

    found = first_rows(made, rows, columns)
    whole = {"training_set": training_set, "online_table": online_table, "feature_set": feature_set}
    whole.get(made.kind, manifest)(made)
    if found is not None:
        values = zip(*found.to_pydict().values(), strict=True)
        table(f"the first {counted(found.num_rows, 'row')}", found.column_names, values)


def near(path: str | Path) -> str:
    """Return a path as it is seen from here, where it lies below."""
    text, here = str(path), Path.cwd()
    return os.path.relpath(text, here) if Path(text).is_relative_to(here) else text


def near_store(uri: str) -> str:
    """Return a store's URI with its path as it is seen from here."""
    scheme, separator, path = uri.rpartition("://")
    return f"{scheme}{separator}{near(path)}"


def _microseconds(value: int | None) -> str | None:
    if value is None:
        return None
    seconds = value // 1_000_000
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"
