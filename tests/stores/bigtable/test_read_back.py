"""Reading back what a load left in Bigtable: wrong cells, missing keys and those that no partition has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import consistency_check, online_load
from jukebox.errors import NotRegistered, SkewFound
from jukebox.stores import open_online
from tests.components.place import DAYS, SEATS, TEMP, WIND, Place, at, furnish, write

if TYPE_CHECKING:
    from pathlib import Path

    from jukebox.tables import Manifest

NEWEST = at("03 18:00")


@dataclass(frozen=True)
class Loaded:
    """A place whose weather and planes are loaded into Bigtable, and where checks go."""

    place: Place
    store: str

    def load(self, **about: Any) -> Manifest:
        """Load the features, and leave the manifest in the place."""
        out = str(self.place.root / "online_table")
        fixed = {"features": [TEMP, WIND], "store": self.store, "registry": self.place.registry, "out": out}
        return online_load.run(**{**fixed, **about})

    def check(self, **about: Any) -> dict[str, tuple[int, dict[str, int]]]:
        """Read the load back; return the cells of each feature and how many differ, by kind."""
        fixed = {"registry": self.place.registry, "out": str(self.place.root / "check")}
        loaded = {} if "features" in about else {"online_table": str(self.place.root / "online_table")}
        made = consistency_check.run(**{**fixed, **loaded, **about})
        kinds = ("mismatch", "missing", "extra", "early", "stale")
        return {
            each["feature"].rpartition("/")[2]: (each["cells"], {kind: each[kind] for kind in kinds if each[kind]})
            for each in made.details["features"]
        }

    def inject(self, origin: str, temp: float | None, wind: float = 1.0, at_: Any = NEWEST) -> None:
        """Write a row past the components, of the newest row's times."""
        store = open_online(self.store)
        [table] = [name for name in store.tables() if name.startswith("weather")]
        times = pa.array([at_], pa.timestamp("us", "UTC"))
        created = pa.array([at("03 19:00")], pa.timestamp("us", "UTC"))
        rows = {"origin": [origin], "hour": times, "known_at": created}
        rows |= {"temp": pa.array([temp], pa.float64()), "wind": pa.array([wind], pa.float64())}
        store.write(table, pa.table(rows), keys=["origin"], event_time="hour", created_time="known_at")
        store.close()


@pytest.fixture(params=["packed", "columns"])
def loaded(bigtable: str, tmp_path: Path, request: pytest.FixtureRequest) -> Loaded:
    """The place, in both ways of writing cells."""
    here = Loaded(furnish(tmp_path), bigtable if request.param == "packed" else f"{bigtable}?cells=columns")
    here.place.load("weather")
    here.load()
    return here


def test_what_was_loaded_is_read_back_cell_by_cell(loaded: Loaded) -> None:
    """Of a load by its manifest, and of what serves features by the registry."""
    assert loaded.check() == {"temp@1": (2, {}), "wind@1": (2, {})}
    loaded.place.load("planes", date=DAYS[2], out=str(loaded.place.root / "planes"))
    loaded.load(features=[SEATS], out=None)
    assert loaded.check(features=[TEMP, SEATS]) == {"temp@1": (2, {}), "seats@1": (2, {})}


@pytest.mark.parametrize(("temp", "kind", "was"), [(99.0, "mismatch", "99.0"), (None, "missing", "None")])
def test_a_wrong_cell_is_named(loaded: Loaded, temp: float | None, kind: str, was: str) -> None:
    """By feature, key and both values; the other feature of the row and the other key are right."""
    loaded.inject("JFK", temp)
    with pytest.raises(
        SkewFound, match=rf"^1 of 2 cells .*temp@1' are {kind}: at origin JFK it was {was}, .* is 38.0$"
    ):
        loaded.check()
    allowed = {"mismatch": 0.5, "missing": 0.5}
    assert loaded.check(thresholds=allowed) == {"temp@1": (2, {kind: 1}), "wind@1": (2, {})}


def test_a_missing_key_is_named(loaded: Loaded) -> None:
    """With every feature that it had."""
    store = open_online(loaded.store)
    store.forget("airport", [["LGA"]])
    with pytest.raises(SkewFound, match=r"1 of 2 cells .*temp@1' are missing: at origin LGA it was None, .* is 38.0"):
        loaded.check()
    found = loaded.check(thresholds={"missing": 0.5})
    assert found == {"temp@1": (2, {"missing": 1}), "wind@1": (2, {"missing": 1})}


def test_a_key_that_no_partition_has_is_another_loads(loaded: Loaded) -> None:
    """Loads of other dates and streams left it: it is read by nobody's mistake, and the check leaves it alone.

    A load that replaces takes it away.
    """
    loaded.inject("EWR", 7.0)
    assert loaded.check() == {"temp@1": (2, {}), "wind@1": (2, {})}
    loaded.load(replace=True)
    assert loaded.check() == {"temp@1": (2, {}), "wind@1": (2, {})}
    store = open_online(loaded.store)
    [table] = store.tables()
    assert store.read(table, [{"origin": "EWR"}]) == [None]


def test_older_and_newer_rows_than_the_partitions_are_told_apart(loaded: Loaded) -> None:
    """A newer one was streamed and is right; one that is behind is stale, and stops where a threshold says so."""
    loaded.inject("JFK", 50.0, at_=at("03 18:30"))
    assert loaded.check() == {"temp@1": (1, {}), "wind@1": (1, {})}
    hour = at("03 20:00")
    loaded.place.weather(DAYS[2], [("LGA", hour, hour, 1.0, 1.0)])
    loaded.place.load("weather")
    assert loaded.check(features=[TEMP]) == {"temp@1": (1, {"stale": 1})}
    with pytest.raises(SkewFound, match="temp@1' are stale"):
        loaded.check(features=[TEMP], thresholds={"stale": 0.5})


def test_a_filtered_load_is_missing_nothing_but_what_it_loaded(loaded: Loaded, tmp_path: Path) -> None:
    """A key that the filter left out is none to miss; a table that is gone is said to be."""
    write(tmp_path / "only.parquet", pa.table({"origin": ["LGA"]}))
    loaded.load(table="filtered", filter_keys=str(tmp_path / "only.parquet"))
    assert loaded.check() == {"temp@1": (1, {}), "wind@1": (1, {})}
    open_online(loaded.store).drop("filtered")
    with pytest.raises(NotRegistered, match="online table 'filtered' is not in"):
        loaded.check()
