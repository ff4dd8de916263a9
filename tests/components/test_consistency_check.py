"""The component that proves that training and serving agree: it names what differs, and in which way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from jukebox.engine import cell_tally
from jukebox.errors import SkewFound
from jukebox.stores import open_lineage
from jukebox.tables import Manifest
from tests.components.place import DAYS, DECLARED, DELAY, LATE, SEATS, TEMP, WIND, at
from tests.components.serving import (
    HOUR,
    JFK,
    LATER,
    LGA,
    Serving,
    changed,
    counts,
    found,
    loaded,
    poison,
    report,
    rewritten,
)
from tests.serving.logs import in_each_format

if TYPE_CHECKING:
    from tests.components.place import Place


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, offline and online."""
    return loaded(here)


@in_each_format
def test_what_is_in_step_has_no_difference(serving: Serving, storage: str) -> None:
    """Five features of three kinds of keys, zoned, static and with a created time; fresh, stale and missing ones."""
    requests = ((f"r{n}", entity, LATER + n * HOUR) for n in range(4) for entity in (JFK, LGA, [JFK, LGA]))
    serving.serve(*requests, storage_format=storage)
    told = serving.check()
    assert {name: (each["cells"], counts(each)) for name, each in told.items()} == {
        f"{name}@1": (16, {}) for name in ("temp", "wind", "seats", "delay", "late")
    }
    made = Manifest.read(serving.check_out, "consistency")
    assert (made.rows, made.details["cells"], made.details["unchecked"]) == (16, 80, {})
    assert [source.uri for source in made.inputs] == [str(serving.log)]


def test_a_log_in_both_formats_is_checked_as_one(serving: Serving) -> None:
    """A server that was started with the other one goes on in the same folder; numbers that float32 rounds agree."""
    serving.place.weather(DAYS[2], [("JFK", at("03 18:00"), at("03 19:00"), 0.1, 1 / 3)])
    serving.load("weather")
    serving.load_online([TEMP, WIND])
    serving.serve(("a", JFK, LATER), features=[WIND])
    serving.serve(("b", JFK, LATER), ("c", JFK, LATER), features=[WIND], storage_format="tfrecord")
    assert {file.name.partition(".")[2] for file in serving.log.rglob("served*")} == {"parquet", "tfrecord.gz"}
    told = serving.check()["wind@1"]
    assert (told["cells"], counts(told), serving.logged()[f"{WIND}@1"].to_pylist()) == (3, {}, [1 / 3] * 3)


def test_naive_times_are_replayed_on_the_clock_that_they_are_served_on(here: Place) -> None:
    """An endpoint without a zone counts in UTC's clock time."""
    here.register(DECLARED.replace("event_time: arrived, time_zone: America/New_York", "event_time: arrived"))
    serving = Serving(here)
    serving.load("arrivals")
    serving.load_online([DELAY])
    moments = [at("03 23:30").replace(tzinfo=None) + n * HOUR for n in range(3)]
    serving.serve(*((f"r{n}", JFK, moment) for n, moment in enumerate(moments)), features=[DELAY])
    [told] = serving.check().values()
    assert (told["feature"], told["cells"], counts(told)) == (f"{DELAY}@2", 3, {})


def test_a_skew_of_one_in_a_thousand_cells_is_found_and_named(serving: Serving) -> None:
    """Of 20,000 vectors, 20 cells of one feature are off by a hundredth: none else is told."""
    serving.serve(*((f"r{n}", [JFK, LGA] * 500, LATER + n * HOUR) for n in range(20)), features=[TEMP, WIND])
    skewed = set(np.random.default_rng(7).choice(20_000, 20, replace=False).tolist())
    changed(serving, WIND, lambda cells: [value + 0.01 * (n in skewed) for n, value in enumerate(cells)])
    with pytest.raises(
        SkewFound, match=r"^20 of 20000 cells \(0.10%\) of '.*name/wind@1' are mismatch: at request_id r"
    ):
        serving.check()
    assert not (serving.check_out / "manifest.json").exists()
    [replay] = report(serving)["replay"]
    wrong = {each["feature"].rpartition("/")[2]: each["differing"]["mismatch"] for each in replay["features"]}
    assert wrong == {"temp@1": 0, "wind@1": 20}
    [wind] = [each for each in replay["features"] if each["feature"].endswith("wind@1")]
    assert (round(wind["greatest_error"], 9), round(wind["greatest_relative_error"], 6)) == (0.01, 0.009901)
    first = wind["examples"][0]
    assert (first["served"], first["offline"], len(wind["examples"])) == (1.01, 1.0, 5)
    assert first["where"]["position"] + 1_000 * int(first["where"]["request_id"][1:]) in skewed


def test_a_value_that_was_loaded_late_is_stale_and_no_wrong_value(here: Place) -> None:
    """The day was known offline, and the store still served the day before; a wrong value beside it is told apart."""
    serving = Serving(here)
    serving.load("weather")
    serving.load_online([TEMP, WIND], date=DAYS[1])
    serving.serve(("a", JFK, at("03 01:30")), ("b", LGA, at("02 20:00")), features=[TEMP])
    assert serving.check()["temp@1"]["stale"] == 1
    told = serving.check(thresholds={"stale": 0.5})["temp@1"]
    assert (told["cells"], counts(told)) == (2, {"stale": 1})
    with pytest.raises(SkewFound, match=r"1 of 2 cells \(50.00%\) of .*temp@1' are stale, more than 40.00%"):
        serving.check(thresholds={"stale": 0.4})
    changed(serving, TEMP, lambda cells: [value if value is None else value + 5 for value in cells])
    assert found(serving) == {"temp@1": {"mismatch": 1, "stale": 1}}


def test_an_older_row_within_its_age_is_stale_by_its_value_and_time(here: Place) -> None:
    """A value that some older row happens to hold is no proof: its event time must be that row's."""
    serving = Serving(here)
    for day, wind in zip(DAYS, (3.0, 4.0, 5.0), strict=True):
        hour = at(f"{day[-2:]} 06:00")
        here.weather(day, [("JFK", hour, hour + HOUR, 20.0, wind)])
    serving.load("weather")
    serving.load_online([WIND], date=DAYS[0])
    serving.serve(("a", JFK, at("02 09:00")), features=[WIND])
    assert found(serving) == {"wind@1": {"stale": 1}}
    rewritten(serving, f"{WIND}@1 event_time", lambda _: [at("01 05:00")])
    assert found(serving) == {"wind@1": {"mismatch": 1}}


def test_a_row_that_is_newer_than_any_offline_is_ahead(serving: Serving) -> None:
    """It was streamed, or its day is not loaded offline yet; where the key has no row at all it is extra."""
    poison(serving, "weather", minutes=90, temp=50.0)
    serving.serve(("a", JFK, at("03 20:45")), ("b", {**LGA, "origin": "SFO"}, at("03 20:45")), features=[TEMP])
    assert found(serving) == {"temp@1": {"ahead": 1}}
    said = r"are ahead: at .* origin JFK it was 50.0 of \S+T19:30:00\S*Z, and offline it is None of \S+T18:00:00\S*Z"
    with pytest.raises(SkewFound, match=said):
        serving.check()


def test_what_differs_beyond_the_cells_that_are_looked_at_is_told_by_its_time(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that lags behind is no wrong value, however many cells there are."""
    monkeypatch.setattr(cell_tally, "LOOKED_AT", 3)
    serving = Serving(here)
    for day, wind in zip(DAYS, (3.0, 4.0, 5.0), strict=True):
        hour = at(f"{day[-2:]} 06:00")
        here.weather(day, [("JFK", hour, hour + HOUR, 20.0, wind)])
    serving.load("weather")
    serving.load_online([WIND], date=DAYS[1])
    serving.serve(*((f"r{n}", JFK, at(f"0{2 + n % 2} 09:00")) for n in range(20)), features=[WIND])
    assert found(serving) == {"wind@1": {"stale": 10}}
    changed(serving, WIND, lambda cells: [6.0 if n == 19 else 4.5 if n == 18 else cell for n, cell in enumerate(cells)])
    assert found(serving) == {"wind@1": {"mismatch": 1, "stale": 10}}


def test_a_static_value_of_an_older_delivery_is_stale(here: Place) -> None:
    """Static rows have no time to go by but the value."""
    serving = Serving(here)
    here.load("planes", date=DAYS[0], out=str(here.root / "planes"))
    serving.load_online([SEATS])
    serving.serve(("a", JFK, LATER), features=[SEATS])
    (here.source / "planes.csv").write_text("tail,seats,maker\nN1,200,A\n")
    here.load("planes", date=DAYS[2], out=str(here.root / "planes"))
    assert found(serving) == {"seats@1": {"stale": 1}}
    changed(serving, SEATS, lambda _: [150])
    assert found(serving) == {"seats@1": {"mismatch": 1}}


def test_what_was_served_and_not_known_yet_is_early(serving: Serving) -> None:
    """A row whose created time is later than the moment it was served for: the leak, at serving."""
    serving.serve(("a", JFK, at("03 19:00")), features=[WIND, TEMP])
    rewritten(serving, "served_at", lambda _: [at("03 18:30")])
    assert found(serving) == {"temp@1": {"early": 1}}
    with pytest.raises(SkewFound, match=r"temp@1' are early"):
        serving.check()


def test_missing_and_extra_cells_are_told_apart(serving: Serving) -> None:
    """Nothing served where there is a value, and a value where there is none."""
    serving.serve(("a", JFK, LATER), ("b", {**LGA, "tail": "N7"}, LATER), features=[DELAY, WIND])
    changed(serving, WIND, lambda cells: [None, *cells[1:]])
    changed(serving, DELAY, lambda cells: [cells[0], 9])
    rewritten(serving, f"{DELAY}@1 status", lambda cells: [cells[0], "fresh"])
    assert found(serving) == {"delay@1": {"extra": 1}, "wind@1": {"missing": 1}}


def test_numbers_within_the_tolerance_are_close_and_no_difference(serving: Serving) -> None:
    """It is a share of the greater of the two, and never makes a null a number."""
    serving.serve(("a", [JFK, LGA], LATER), features=[WIND, LATE])
    changed(serving, WIND, lambda cells: [cells[0] * (1 + 1e-7), cells[1] * (1 + 1e-3)])
    told = serving.check(tolerance=1e-6, thresholds={"mismatch": 0.5})
    assert (told["wind@1"]["close"], counts(told["wind@1"])) == (1, {"mismatch": 1})
    assert serving.check(tolerance=2e-3)["wind@1"]["close"] == 2
    with pytest.raises(SkewFound, match="2 of 2 cells"):
        serving.check()


def test_a_shorter_age_and_a_role_are_replayed_as_they_were_asked_for(serving: Serving) -> None:
    """The same feature three times, of two airports and for the last hour alone."""
    entity = {"origin": "JFK", "to": "LGA"}
    asked = {TEMP: [{"column": "now", "max_age": "30m"}, {"column": "there", "keys": {"to": "origin"}}, "here"]}
    serving.serve(("a", entity, at("03 19:00")), ("b", {**entity, "to": "EWR"}, at("03 19:00")), features=asked)
    told = serving.check()
    assert {name: (each["cells"], counts(each)) for name, each in told.items()} == {
        "temp@1": (2, {}),
        "temp@1?key.to=origin": (2, {}),
        "temp@1?max_age=30m": (2, {}),
    }
    assert serving.logged()[f"{TEMP}@1?max_age=30m"].to_pylist() == [None, None]
    assert serving.logged()[f"{TEMP}@1?key.to=origin"].to_pylist() == [38.0, None]


def test_the_lineage_knows_the_log_the_features_and_the_statistics(serving: Serving) -> None:
    """As of every other component."""
    serving.serve(("a", JFK, LATER), features=[TEMP])
    serving.check()
    lineage = open_lineage(serving.place.registry)
    [made] = lineage.nodes_at(str(serving.check_out))
    [run] = [event.execution for event in lineage.events_of_artifacts([made.id]) if event.output]
    read = {event.artifact for event in lineage.events_of_executions([run]) if not event.output}
    assert {(node.type, node.name or node.uri) for node in lineage.artifacts(sorted(read))} == {
        ("jukebox.ServedLog", str(serving.log)),
        ("jukebox.Feature", f"{TEMP}@1"),
    }
    assert made.type == "jukebox.Consistency"


def test_a_null_key_is_replayed_as_none_whatever_else_the_entity_has(serving: Serving) -> None:
    """The name that was looked at first counts, with a null too: another one beside it was not read by."""
    entities = [{"origin": None, "airport": "JFK"}, {"airport": "JFK"}, {"origin": "LGA", "airport": "JFK"}]
    serving.serve(("a", entities, LATER), features=[WIND])
    assert serving.logged()[f"{WIND}@1"].to_pylist() == [None, 1.0, 1.0]
    told = serving.check()["wind@1"]
    assert (told["cells"], counts(told)) == (3, {})
