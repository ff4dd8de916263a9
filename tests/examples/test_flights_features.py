"""The declarations of the flights example agree with what its producer writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
import yaml

from tests.examples.reading import dated, routes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DECLARED = yaml.safe_load(Path("pipelines/flights/features.yaml").read_text())
TYPES = {"float64": pl.Float64, "int64": pl.Int64, "string": pl.String}


@pytest.fixture(scope="session")
def delivered(flights_sources: Path) -> dict[str, pl.DataFrame]:
    """What each endpoint delivers over the year."""
    return {
        "flights.planes": pl.read_csv(flights_sources / "planes.csv", infer_schema_length=None),
        "flights.routes": routes_of(flights_sources),
        **{f"flights.{name}": dated(flights_sources / name) for name in ("weather", "aircraft", "carriers")},
    }


def test_feature_names_are_unique_over_the_file() -> None:
    """A join of all features needs no renaming."""
    names = [feature["name"].rsplit("/", 1)[-1] for feature in DECLARED["features"]]
    assert len(names) == len(set(names)) == 22


def test_endpoints_have_their_keys_and_times(delivered: dict[str, pl.DataFrame]) -> None:
    """Every declared key and time column is in the data; times are in UTC and keys are never null."""
    for endpoint in DECLARED["endpoints"]:
        data = delivered[endpoint["name"]]
        assert all(data[key["column"]].null_count() == 0 for key in endpoint["keys"])
        for time in (endpoint.get("event_time"), endpoint.get("created_time")):
            assert time is None or data.schema[time] == pl.Datetime("us", "UTC")


def test_columns_have_the_declared_types(delivered: dict[str, pl.DataFrame]) -> None:
    """No feature needs a cast."""
    for feature in DECLARED["features"]:
        assert delivered[feature["endpoint"]].schema[feature["column"]] == TYPES[feature["data_type"]]


def test_quality_rules_hold_on_every_day(delivered: dict[str, pl.DataFrame]) -> None:
    """Bounds hold for the year, null fractions for each date's partition."""
    for feature in DECLARED["features"]:
        rules, data = feature["quality"], delivered[feature["endpoint"]]
        values = data[feature["column"]]
        if values.dtype != pl.String:
            assert rules.get("min", values.min()) <= values.min(), feature["name"]
            assert rules.get("max", values.max()) >= values.max(), feature["name"]
        if "max_null_fraction" in rules:
            worst = max(part[feature["column"]].null_count() / part.height for part in _days(data))
            assert worst <= rules["max_null_fraction"], feature["name"]


def _days(data: pl.DataFrame) -> Iterator[pl.DataFrame]:
    times = [name for name in ("time_hour", "arrived_at") if name in data.columns]
    yield from data.with_columns(day=pl.col(times[0]).dt.date()).partition_by("day") if times else [data]
