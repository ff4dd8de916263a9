"""The figures of the join on the flights of 2013: what matched, and what would have leaked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jukebox import offline_load, point_in_time_join, register_features
from jukebox.core.asof import Features, join
from jukebox.examples.flights import request, sources
from jukebox.formats import parquet

if TYPE_CHECKING:
    from jukebox.tables import Manifest

pytest.importorskip("polars")

FLIGHTS = 336_776
DECLARED = Path(__file__).parents[2] / "pipelines" / "flights" / "features.yaml"


@dataclass(frozen=True)
class Year:
    """The labels, the weather and the training set of a year, and the manifest of the join."""

    labels: pa.Table
    weather: pa.Table
    joined: pa.Table
    manifest: Manifest


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    """Return the year, produced, registered, loaded and joined."""
    root = tmp_path_factory.mktemp("flights")
    sources.run(out=str(root / "source"))
    registry = f"mlmd+sqlite://{root}/registry.db"
    register_features.run(features=str(DECLARED), registry=registry)
    for endpoint, dates in request.ENDPOINTS.items():
        out = str(root / "tables" / endpoint)
        offline_load.run(endpoint=endpoint, source=str(root / "source"), registry=registry, out=out, **dates)
    labels = root / "source" / "labels.parquet"
    about = {"label_time": request.LABEL_TIME, "features": request.FEATURES, "out": str(root / "set")}
    manifest = point_in_time_join.run(labels=str(labels), registry=registry, **about)
    paths = (labels, root / "source" / "weather", root / "set" / "training_set.parquet")
    return Year(*(pa.Table.from_batches(parquet.read(path)) for path in paths), manifest)


def matched(year: Year, *, max_age: timedelta | None, created: str | None) -> int:
    """Return how many flights are answered with an observation of the weather at their origin."""
    weather = Features(
        year.weather, keys={"origin": "origin"}, event_time="time_hour", values={"hour": "time_hour"},
        created_time=created, max_age=max_age,
    )  # fmt: skip
    joined = join(year.labels, [weather], label_time=request.LABEL_TIME)
    return FLIGHTS - joined["hour"].null_count


def test_every_flight_is_there_once_and_in_order(year: Year) -> None:
    """With all of its columns as they were, those without a delay among them."""
    assert year.labels.num_rows == year.joined.num_rows == year.manifest.rows == FLIGHTS
    assert year.joined.select(year.labels.column_names).equals(year.labels)
    assert year.joined["late"].null_count == 9_430
    assert sum(year.manifest.details["splits"].values()) == FLIGHTS


@pytest.mark.parametrize(
    ("hours", "created", "expected"),
    [
        (None, None, 336_776),
        (1, None, 335_317),
        (2, "known_at", 335_496),
        (1, "known_at", 60_505),
    ],
)
def test_the_weather_matches_as_was_measured(year: Year, hours: int | None, created: str | None, expected: int) -> None:
    """Without a created time the observation may be of the hour to come; with it the last one known counts."""
    max_age = None if hours is None else timedelta(hours=hours)
    assert matched(year, max_age=max_age, created=created) == expected


def test_the_registered_join_is_the_honest_one(year: Year) -> None:
    """Through the registry the created time and the age of two hours hold: the proof has the same figure."""
    proofs = {feature["column"]: feature for feature in year.manifest.details["features"]}
    temp = proofs["temp"]
    assert (temp["answered"], temp["unanswered_too_old"], temp["unanswered_no_history"]) == (335_496, 1_280, 0)
    assert temp["greatest_age_us"] == 2 * 3_600_000_000
    assert temp["answered"] - temp["null_values"] == FLIGHTS - year.joined["temp"].null_count
    assert (temp["examined"], temp["newer_unknown"] > 9_900) == (10_000, True)


def test_the_proof_of_every_feature_adds_up(year: Year) -> None:
    """All labels are answered, without history or too old; features of the register have no age."""
    proofs = year.manifest.details["features"]
    assert len(proofs) == len(request.FEATURES)
    for proof in proofs:
        parts = ("answered", "unanswered_no_history", "unanswered_too_old")
        assert sum(proof[part] for part in parts) == proof["labels"] == FLIGHTS
        assert (proof["greatest_age_us"] is None) == ("fleet-register" in proof["name"])


def test_an_arrival_is_never_known_before_it_happened(year: Year) -> None:
    """Delays of earlier flights come from the past alone: the first flight of the year knows of none."""
    first = pc.min(year.labels[request.LABEL_TIME])
    earliest = year.joined.filter(pc.equal(year.joined[request.LABEL_TIME], first))
    for column in ("aircraft_last_arr_delay", "route_arrivals_1d", "carrier_mean_arr_delay_1d"):
        assert earliest[column].null_count == earliest.num_rows
        assert year.joined[column].null_count < FLIGHTS
