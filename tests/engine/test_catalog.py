"""From names to what the registry holds."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.engine.catalog import features_of_endpoint, features_of_table, grouped, partitions_of, registered
from jukebox.engine.feature_tables import describe_table, write_partition
from jukebox.errors import InvalidValue, NoPartition, NotRegistered, StorageError, UnknownFeature
from jukebox.features.file import parse_features
from jukebox.stores import OfflineSource, open_registry
from jukebox.tables import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from jukebox.stores import Registry

TEMP, WIND = "/entity/airport/component/weather/name/temp", "/entity/airport/component/weather/name/wind"
DECLARED = """\
endpoints:
  - {name: weather, uri: "{date}.csv", format: csv, keys: [], event_time: at}
  - {name: fleet, uri: fleet.csv, format: csv, keys: [], static: true}
features:
  - {name: /airport/weather/temp, endpoint: weather, column: temp, data_type: float64}
  - {name: /airport/weather/wind, endpoint: weather, column: wind, data_type: float64}
  - {name: /aircraft/fleet/seats, endpoint: fleet, column: seats, data_type: int64}
"""
DAYS = [date(2024, 1, day) for day in (1, 2, 3)]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return a registry that holds DECLARED."""
    store = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    store.register(parse_features(DECLARED))
    return store


def load(registry: Registry, root: Path, *features: str, days: list[date] = DAYS) -> str:
    """Leave a feature table of an hour's weather a day, known to the registry."""
    about = Manifest(
        kind="partition",
        event_time="at",
        details={"features": {name: name.partition("@")[0][-4:] for name in features}},
    )
    rows = pa.RecordBatch.from_arrays([pa.array([1])], names=["temp"])
    for day in days:
        write_partition(str(root), day, [rows], about)
    table = describe_table(str(root), about)
    now = datetime(2024, 1, 4, tzinfo=timezone.utc)
    registry.add_offline_source(OfflineSource(str(root), "weather", features, tuple(days), table.fingerprint, now))
    return str(root)


def test_an_endpoint_feeds_all_its_features_or_those_of_the_source_map(registry: Registry) -> None:
    """By name, in short or whole."""
    assert [str(f.name) for f in features_of_endpoint(registry, "weather")] == [TEMP, WIND]
    [wind] = features_of_endpoint(registry, "weather", {"airport/weather/wind": "wind"})
    assert wind.versioned == f"{WIND}@1"


def test_names_that_an_endpoint_or_the_registry_has_not_are_refused(registry: Registry) -> None:
    """Each error says what there is."""
    with pytest.raises(NotRegistered, match="has the endpoint 'wether'; there is fleet, weather"):
        features_of_endpoint(registry, "wether")
    with pytest.raises(UnknownFeature, match=f"endpoint 'fleet' does not feed '{TEMP}'; it feeds .*seats"):
        features_of_endpoint(registry, "fleet", {TEMP: "temp"})
    with pytest.raises(InvalidValue, match=f"'{TEMP}' is registered from column 'temp', the source map says 't'"):
        features_of_endpoint(registry, "weather", {TEMP: "t"})
    with pytest.raises(UnknownFeature, match=f"nearest: {TEMP}"):
        registered(registry, ["/airport/weather/tempo"])


@pytest.mark.parametrize("version", ["", "x", "-1", "1.0", "²"])
def test_a_version_that_is_no_number_is_refused(registry: Registry, version: str) -> None:
    """It is not taken for the newest."""
    with pytest.raises(InvalidValue, match=f"has the version '{version}', which is no number"):
        registered(registry, [f"{TEMP}@{version}"])


def test_names_may_pin_a_version_and_a_feature_set_pins_the_rest(registry: Registry, tmp_path: Path) -> None:
    """In the order that they are asked in."""
    pins = Manifest(kind="feature_set", details={"features": [{"name": TEMP, "version": 1}]})
    pins.write(tmp_path / "pins")
    registry.register(parse_features(DECLARED.replace("temp, data_type: float64", "temp, data_type: float32")))
    names = [WIND, TEMP, f"{TEMP}@2"]
    assert [f.version for f in registered(registry, names)] == [1, 2, 2]
    assert [f.version for f in registered(registry, names, str(tmp_path / "pins"))] == [1, 1, 2]
    [pinned] = features_of_endpoint(registry, "weather", {TEMP: "temp"}, str(tmp_path / "pins"))
    assert pinned.versioned == f"{TEMP}@1"


def test_of_two_loads_of_a_date_the_newer_counts(registry: Registry, tmp_path: Path) -> None:
    """Date by date; dates that only one has stay."""
    [temp] = registered(registry, [TEMP])
    old = load(registry, tmp_path / "old", f"{TEMP}@1", days=DAYS[:2])
    new = load(registry, tmp_path / "new", f"{TEMP}@1", days=DAYS[1:])
    assert [(part.day, part.table) for part in partitions_of(registry, temp)] == list(
        zip(DAYS, (old, new, new), strict=True)
    )
    load(registry, tmp_path / "old", f"{TEMP}@1", days=DAYS[:2])
    assert [part.table for part in partitions_of(registry, temp)] == [old, old, new]
    assert [part.table for part in partitions_of(registry, temp, [f"{new}/"])] == [new, new]


def test_a_feature_without_partitions_is_refused(registry: Registry, tmp_path: Path) -> None:
    """Never loaded, not in the tables given, or loaded over by others: each says so, with the endpoint to load."""
    temp, wind = registered(registry, [TEMP, WIND])
    with pytest.raises(NoPartition, match=r"'.*temp@1' is not loaded offline; load its endpoint 'weather' first"):
        partitions_of(registry, temp)
    table = load(registry, tmp_path / "table", f"{TEMP}@1")
    with pytest.raises(NoPartition, match=r"'.*temp@1' is not loaded in the feature tables given"):
        partitions_of(registry, temp, ["elsewhere"])
    write = Manifest(kind="partition", event_time="at", details={"features": {wind.versioned: "wind"}})
    write_partition(table, DAYS[1], [], write)
    with pytest.raises(NoPartition, match=r"temp@1' is not loaded any longer for 1 dates from 2024-01-02"):
        partitions_of(registry, temp)


def test_a_table_that_is_gone_is_refused_by_its_place(registry: Registry, tmp_path: Path) -> None:
    """The registry remembers what the disk has lost."""
    load(registry, tmp_path / "table", f"{TEMP}@1")
    (tmp_path / "table").rename(tmp_path / "moved")
    [temp] = registered(registry, [TEMP])
    with pytest.raises(StorageError, match="table/date=2024-01-01 holds no whole artifact"):
        partitions_of(registry, temp)


def test_features_of_one_table_are_read_together(registry: Registry, tmp_path: Path) -> None:
    """And those of another apart; a table tells which it holds."""
    table = load(registry, tmp_path / "both", f"{TEMP}@1", f"{WIND}@1")
    assert features_of_table(table) == (f"{TEMP}@1", f"{WIND}@1")
    both = registered(registry, [TEMP, WIND])
    assert [[f.versioned for f in group] for _, group in grouped(registry, both)] == [[f"{TEMP}@1", f"{WIND}@1"]]
    load(registry, tmp_path / "wind", f"{WIND}@1")
    assert [[f.versioned for f in group] for _, group in grouped(registry, both)] == [[f"{TEMP}@1"], [f"{WIND}@1"]]
