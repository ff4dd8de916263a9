"""Reading an online table back: what it holds beside what its partitions say it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jukebox import consistency_check
from jukebox.errors import SkewFound
from tests.components.place import DAYS, SEATS, TEMP, WIND, at, write
from tests.components.serving import ALL, HOUR, JFK, LATER, Serving, counts, loaded, poison, report

if TYPE_CHECKING:
    from tests.components.place import Place


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, offline and online."""
    return loaded(here)


def test_an_online_table_is_read_back_after_its_load(serving: Serving) -> None:
    """Every key that was loaded, and every feature; a value that the store has otherwise is named by its key."""
    out = serving.place.root / "online_table"
    serving.load_online([TEMP, WIND], out=str(out))
    told = serving.check(log=None, online_table=str(out))
    assert {name: (each["check"], each["cells"], counts(each)) for name, each in told.items()} == {
        "temp@1": ("read_back", 2, {}),
        "wind@1": ("read_back", 2, {}),
    }
    poison(serving, "weather", temp=99.0)
    with pytest.raises(SkewFound, match=r"1 of 2 cells .*temp@1' are mismatch: at origin JFK it was 99.0, .* 38.0"):
        serving.check(log=None, online_table=str(out))


def test_a_newer_row_than_the_partitions_is_right_and_an_older_one_is_stale(serving: Serving) -> None:
    """What was streamed since is no fault; a load that is behind is."""
    poison(serving, "weather", minutes=30, temp=50.0)
    told = serving.check(log=None, features=[TEMP, WIND, SEATS])
    assert {name: (each["cells"], counts(each)) for name, each in told.items()} == {
        "temp@1": (1, {}),
        "wind@1": (1, {}),
        "seats@1": (2, {}),
    }
    [newer] = [each["newer"] for each in report(serving)["read_back"] if each["newer"]]
    assert newer == 1
    hour = at("03 20:00")
    serving.place.weather(DAYS[2], [(o, hour, hour + HOUR, 1.0, 1.0) for o in ("JFK", "LGA", "SFO")])
    serving.load("weather")
    told = serving.check(log=None, features=[TEMP], thresholds={"missing": 0.5})
    assert (told["temp@1"]["cells"], counts(told["temp@1"])) == (3, {"missing": 1, "stale": 2})


def test_keys_that_a_load_left_out_are_not_missing(serving: Serving) -> None:
    """But one that it loaded and that is gone is."""
    only = serving.place.root / "only.parquet"
    write(only, pa.table({"origin": ["LGA"]}))
    out = serving.place.root / "online_table"
    serving.load_online([TEMP], out=str(out), table="filtered", filter_keys=str(only))
    told = serving.check(log=None, online_table=str(out), rows=1)
    assert (told["temp@1"]["cells"], counts(told["temp@1"])) == (1, {})
    assert report(serving)["read_back"][0]["left_out"] == 1


def test_run_takes_both_a_log_and_a_table_in_one_report(serving: Serving) -> None:
    """Its manifest tells both."""
    serving.serve(("a", JFK, LATER), features=ALL)
    out = serving.place.root / "online_table"
    serving.load_online([WIND], out=str(out))
    made = serving.checked(online_table=str(out))
    assert {(each["feature"].rpartition("/")[2], each["check"]) for each in made.details["features"]} >= {
        ("wind@1", "replay"),
        ("wind@1", "read_back"),
        ("seats@1", "replay"),
    }
    assert made.details["report"] == consistency_check.REPORT
    assert pc.sum(serving.logged()[f"{WIND}@1"]).as_py() == 1.0
