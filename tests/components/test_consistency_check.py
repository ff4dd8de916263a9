"""The component that proves that training and serving agree: it names what differs, and in which way."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jukebox import consistency_check
from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    MissingColumn,
    NoPartition,
    NotRegistered,
    SkewFound,
    UnknownFeature,
)
from jukebox.stores import open_lineage, open_online, open_registry
from jukebox.tables import Manifest
from tests.components.place import DAYS, DECLARED, DELAY, LATE, SEATS, TEMP, WIND, at, write
from tests.components.serving import ALL, JFK, LATER, LGA, Serving

if TYPE_CHECKING:
    from tests.components.place import Place

KINDS = ("mismatch", "missing", "extra", "early", "stale")
HOUR = timedelta(hours=1)


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, offline and online."""
    serving = Serving(here)
    serving.load()
    serving.load_online()
    return serving


def counts(told: dict[str, Any]) -> dict[str, int]:
    """The differences of a feature that there are, by kind."""
    return {kind: told[kind] for kind in KINDS if told[kind]}


def report(serving: Serving) -> dict[str, Any]:
    """The report that lies there."""
    return json.loads((serving.check_out / "report.json").read_text())


def found(serving: Serving, **about: Any) -> dict[str, dict[str, int]]:
    """The differences by feature, whatever the thresholds."""
    everything = dict.fromkeys(KINDS, 1.0)
    return {
        name: differs
        for name, told in serving.check(thresholds=everything, **about).items()
        if (differs := counts(told))
    }


def changed(serving: Serving, feature: str, change: Any) -> None:
    """Rewrite the log with the cells of a feature changed by a function of their list."""
    rows = serving.logged()
    at_ = rows.schema.get_field_index(f"{feature}@1")
    field = rows.schema.field(at_)
    serving.rewrite(rows.set_column(at_, field, pa.array(change(rows.column(at_).to_pylist()), field.type)))


def test_what_is_in_step_has_no_difference(serving: Serving) -> None:
    """Five features of three kinds of keys, zoned, static and with a created time; fresh, stale and missing ones."""
    serving.serve(*((f"r{n}", entity, LATER + n * HOUR) for n in range(4) for entity in (JFK, LGA, [JFK, LGA])))
    told = serving.check()
    assert {name: (each["cells"], counts(each)) for name, each in told.items()} == {
        f"{name}@1": (16, {}) for name in ("temp", "wind", "seats", "delay", "late")
    }
    made = Manifest.read(serving.check_out, "consistency")
    assert (made.rows, made.details["cells"], made.details["unchecked"]) == (16, 80, {})
    assert [source.uri for source in made.inputs] == [str(serving.log)]


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
    rows = serving.logged()
    late = rows.schema.get_field_index(f"{WIND}@1 event_time")
    moved = pa.array([at("01 05:00")], rows.schema.field(late).type)
    serving.rewrite(rows.set_column(late, rows.schema.field(late), moved))
    assert found(serving) == {"wind@1": {"mismatch": 1}}


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
    rows = serving.logged()
    index = rows.schema.get_field_index("served_at")
    before = pa.array([at("03 18:30")], rows.schema.field(index).type)
    serving.rewrite(rows.set_column(index, rows.schema.field(index), before))
    assert found(serving) == {"temp@1": {"early": 1}}
    with pytest.raises(SkewFound, match=r"temp@1' are early"):
        serving.check()


def test_missing_and_extra_cells_are_told_apart(serving: Serving) -> None:
    """Nothing served where there is a value, and a value where there is none."""
    serving.serve(("a", JFK, LATER), ("b", {**LGA, "tail": "N7"}, LATER), features=[DELAY, WIND])
    changed(serving, WIND, lambda cells: [None, *cells[1:]])
    rows = serving.logged()
    for name, value in ((f"{DELAY}@1", 9), (f"{DELAY}@1 status", "fresh")):
        field, cells = rows.schema.field(name), rows[name].to_pylist()
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array([cells[0], value], field.type))
    serving.rewrite(rows)
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


def test_features_that_cannot_be_checked_are_told(serving: Serving) -> None:
    """One that is not loaded offline any more, and one of a version that the registry does not know."""
    serving.serve(("a", JFK, LATER), features=[TEMP, SEATS])
    rows = serving.logged()
    serving.rewrite(rows.rename_columns([name.replace("seats@1", "seats@9") for name in rows.column_names]))
    made = serving.checked()
    [(name, why)] = made.details["unchecked"].items()
    assert (name, why.startswith("feature '")) == (f"{SEATS}@9", False)
    assert "9" in why
    with pytest.raises(NoPartition, match=r"no feature in the log .* can be checked"):
        serving.checked(features=[f"{SEATS}@9"])


def test_features_rows_and_tables_may_be_chosen(serving: Serving) -> None:
    """By short names too; the same rows for the same seed."""
    serving.serve(*((f"r{n}", JFK, LATER) for n in range(50)), features=[TEMP, WIND, SEATS])
    told = serving.check(features=["/airport/weather/temp", f"{SEATS}@1"], rows=10, seed=3)
    assert {name: each["cells"] for name, each in told.items()} == {"temp@1": 10, "seats@1": 10}
    weather = serving.checked(feature_tables=[str(serving.place.root / "tables" / "weather")])
    assert list(weather.details["unchecked"]) == [f"{SEATS}@1"]
    with pytest.raises(UnknownFeature, match=r"nearest: .*temp@1"):
        serving.check(features=["/airport/weather/tmp"])


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


def poison(serving: Serving, endpoint: str, minutes: int = 0, **values: Any) -> None:
    """Write another row of JFK into the online tables of an endpoint, some minutes later than the newest."""
    hour = at("03 18:00") + timedelta(minutes=minutes)
    row = {"origin": "JFK", "hour": hour, "known_at": hour + HOUR, "temp": 38.0 - 20.0 + 20.0, "wind": 1.0, **values}
    store = open_online(serving.store)
    for table in [name for name in store.tables() if name.startswith(endpoint)]:
        layout = store.layout(table)
        columns = {name: pa.array([row[name]], layout.schema.field(name).type) for name in layout.schema.names}
        store.write(table, pa.table(columns), keys=["origin"], event_time="hour", created_time="known_at")
    store.close()


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


def test_nothing_to_check_is_refused(serving: Serving) -> None:
    """No log, no table, no feature; a log without files or rows; a feature that is not served."""
    for about, kind, said in (
        ({"log": None}, InvalidValue, "names a log, an online table or features"),
        ({}, NoPartition, "there is no log of served features at .*served"),
        ({"log": str(serving.place.root / "features.yaml")}, CorruptData, "features.yaml is not whole Parquet"),
        ({"log": None, "features": ["/airport/weather/tmp"]}, UnknownFeature, "nearest"),
        (
            {"log": None, "online_table": str(serving.place.root / "tables/weather")},
            InvalidValue,
            "not an online_table",
        ),
        ({"log": None, "features": [TEMP], "rows": -1}, InvalidValue, "rows is -1"),
        ({"log": None, "features": [TEMP], "tolerance": -1.0}, InvalidValue, "tolerance is -1.0"),
        (
            {"log": None, "features": [TEMP], "thresholds": {"stail": 0.1}},
            InvalidValue,
            "no threshold 'stail'; there are",
        ),
        ({"log": None, "features": [TEMP], "thresholds": {"stale": 2}}, InvalidValue, "from 0 to 1"),
        ({"log": None, "features": [TEMP], "thresholds": {"stale": "1"}}, InvalidType, "'stale' is '1'"),
    ):
        with pytest.raises(kind, match=said):
            serving.checked(**about)
    assert not serving.check_out.exists()
    serving.serve(("a", JFK, LATER))
    serving.rewrite(serving.logged().slice(0, 0))
    with pytest.raises(InvalidValue, match="holds no vector; a check of nothing proves nothing"):
        serving.check()
    open_registry(serving.place.registry).remove_online_source([f"{TEMP}@1"])
    with pytest.raises(NotRegistered, match="temp"):
        serving.check(log=None, features=[TEMP])


def test_a_log_that_is_damaged_is_refused_by_name(serving: Serving) -> None:
    """A truncated file, a file of something else, a type that changed, keys of another kind, keys that are gone."""
    serving.serve(("a", JFK, LATER), features=[TEMP])
    [file] = serving.log.rglob("*.parquet")
    whole, rows = file.read_bytes(), serving.logged()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptData, match=file.name):
        serving.check()
    file.unlink()
    write(serving.log / "date=2024-01-04" / "other.parquet", pa.table({"a": [1]}))
    with pytest.raises(InvalidValue, match=r"other\.parquet is no log of served features: it has no 'request_id'"):
        serving.check()
    (serving.log / "date=2024-01-04" / "other.parquet").unlink()
    texts = rows.set_column(rows.schema.get_field_index(f"{TEMP}@1"), f"{TEMP}@1", rows[f"{TEMP}@1"].cast(pa.string()))
    serving.rewrite(texts)
    with pytest.raises(InvalidType, match="temp@1' is string in the log and double in its feature table"):
        serving.check()
    write(serving.log / "date=2024-01-04" / "zweite.parquet", rows)
    with pytest.raises(InvalidType, match=r"is string in .*served.parquet and double in .*zweite.parquet"):
        serving.check()
    (serving.log / "date=2024-01-04" / "zweite.parquet").unlink()
    numbers = pa.array([7] * rows.num_rows)
    at_ = rows.schema.get_field_index("key:origin:text")
    serving.rewrite(rows.set_column(at_, "key:origin:integer", numbers))
    with pytest.raises(InvalidType, match="'origin' is integer in the log and a key of 'weather' that is string"):
        serving.check()
    serving.rewrite(rows.drop(["key:origin:text"]))
    with pytest.raises(MissingColumn, match="'weather' is joined by 'origin' or 'airport'"):
        serving.check()


def test_a_report_of_before_does_not_stand_for_a_check_that_fails(serving: Serving) -> None:
    """The manifest goes first, and comes back only where nothing differs."""
    serving.serve(("a", JFK, LATER), features=[WIND])
    serving.check()
    changed(serving, WIND, lambda cells: [value + 1 for value in cells])
    with pytest.raises(SkewFound):
        serving.check()
    assert sorted(path.name for path in serving.check_out.iterdir()) == ["report.json"]


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
