"""Training sets of a log: what was served, by request, and the point-in-time join where nothing was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.engine import served_records
from jukebox.errors import InvalidValue, NoPartition
from tests.components.place import DAYS, DELAY, LATE, SEATS, TEMP, WIND, Place, at
from tests.components.serving import (
    ALL,
    HOUR,
    JFK,
    LATER,
    LGA,
    Serving,
    loaded,
    outcomes,
    rewritten,
    served,
    times,
    told,
)


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, and a log of three requests for temperature and wind."""
    return served(here)


def test_labels_keep_their_number_and_order_and_get_what_was_served(serving: Serving) -> None:
    """Several labels of one request, and a request without a label."""
    made = serving.stitch(outcomes("c", "a", "c", "c"))
    rows = serving.stitched()
    assert rows.column_names == ["request_id", "n", "served_at", "temp", "wind"]
    assert rows["n"].to_pylist() == [0, 1, 2, 3]
    assert rows["served_at"].to_pylist() == [LATER, at("03 19:00"), LATER, LATER]
    assert (rows["temp"].to_pylist(), rows["wind"].to_pylist()) == ([None, 38.0, None, None], [1.0] * 4)
    assert (told(made, "temp"), told(made, "wind")) == ((4, 3, 0, 0), (4, 0, 0, 0))
    assert made.details["log"]["logged"] == 4
    [temp, _] = made.details["features"]
    assert (temp["answered"], temp["unanswered_too_old"], temp["greatest_age_us"]) == (1, 3, 3_600_000_000)


def test_the_same_log_in_either_format_makes_the_same_training_set(serving: Serving) -> None:
    """Row by row, with the same fingerprint."""
    serving.place.weather(DAYS[2], [("JFK", at("03 18:00"), at("03 19:00"), 0.1, None)])
    serving.load("weather")
    serving.load_online([TEMP, WIND])
    serving.serve(("d", JFK, at("03 19:30")), features=[TEMP, WIND])
    rows, labels = serving.logged(), outcomes("d", "a", "b", "c", "d")
    made = serving.stitch(labels)
    for file in serving.log.rglob("*.parquet"):
        file.unlink()
    served_records.write(serving.log / "one.tfrecord.gz", rows.to_batches(), schema=rows.schema)
    assert serving.stitch(labels, out=str(serving.place.root / "again")).fingerprint == made.fingerprint
    assert serving.stitched()["temp"].to_pylist()[0] == 0.1


def test_a_log_in_both_formats_is_one_log(serving: Serving) -> None:
    """Parquet and TFRecords in one folder: rows of either, and of two for one request the first served."""
    about = {"features": [TEMP, WIND], "storage_format": "tfrecord"}
    serving.serve(("d", JFK, at("03 19:15")), ("a", LGA, at("03 19:45")), ("b", LGA, at("03 18:45")), **about)
    made = serving.stitch(outcomes("d", "a", "b", "c"))
    rows = serving.stitched()
    assert rows["served_at"].to_pylist() == [at("03 19:15"), at("03 19:00"), at("03 18:45"), LATER]
    assert (made.details["log"]["duplicates"], told(made, "wind")) == (2, (4, 1, 0, 0))


def test_the_value_that_was_served_counts_and_not_what_is_right_by_now(serving: Serving) -> None:
    """The table is corrected afterwards; features that were not logged are those of the moment it was served for."""
    hour = at("03 18:00")
    serving.place.weather(DAYS[2], [("JFK", hour, hour + timedelta(minutes=30), -5.0, 9.0)])
    serving.load("weather")
    labels = outcomes("a", "b", dest=["SFO", "SFO"], tail=["N1", "N2"])
    made = serving.stitch(labels, {TEMP: "temp", LATE: "late", SEATS: "seats", DELAY: "delay"})
    rows = serving.stitched().select(["temp", "late", "seats", "delay"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(38.0, 2.25, 100, -3), (38.0, None, None, None)]
    assert (told(made, "temp"), told(made, "late")) == ((2, 0, 0, 0), (0, 0, 2, 1))


def test_features_that_were_not_logged_are_joined_as_of_the_moment_by_the_keys_of_the_log(here: Place) -> None:
    """Column by column: one request asked for two features, the next for all."""
    serving = loaded(here)
    serving.serve(("a", JFK, LATER), features=ALL)
    serving.serve(("b", LGA, LATER), ("c", JFK, LATER + HOUR), features=[WIND, SEATS, DELAY, LATE])
    made = serving.stitch(outcomes("b", "a", "c"), ALL)
    rows = serving.stitched()
    assert rows["temp"].to_pylist() == [None] * 3
    assert rows["seats"].to_pylist() == [None, 100, 100]
    assert rows["late"].to_pylist() == [None, 2.25, 2.25]
    assert (told(made, "temp"), told(made, "seats")) == ((1, 1, 2, 2), (3, 1, 0, 0))
    tables = {Path(source.uri).parts[-3] for source in made.inputs[2:]}
    assert tables == {"weather"}


def test_a_naive_feature_is_filled_in_on_the_clock_of_utc(here: Place) -> None:
    """The label's moment has a zone and the feature's times have none."""
    here.register((here.root / "features.yaml").read_text().replace(", time_zone: America/New_York", ""))
    serving = Serving(here)
    serving.load("weather", "arrivals")
    serving.load_online([TEMP, DELAY])
    serving.serve(("a", JFK, at("03 23:00")), ("b", JFK, at("03 23:45")), features=[TEMP])
    labels = outcomes("a", "b", tail=["N1", "N1"])
    serving.stitch(labels, {TEMP: "temp", DELAY: "delay"})
    assert serving.stitched()["delay"].to_pylist() == [-3, 40]


def test_labels_that_were_not_logged_are_joined_as_of_their_own_time(serving: Serving) -> None:
    """By their own keys; the logged ones keep theirs. Null ids, and ids that nobody served."""
    columns = {
        "origin": ["LGA", "JFK", "JFK", "EWR"],
        "happened": times("02 07:30", "02 07:30", "02 07:30", "02 07:30"),
    }
    labels = outcomes("a", None, "x", "y", **columns)
    made = serving.stitch(labels, label_time="happened")
    rows = serving.stitched()
    assert rows["served_at"].to_pylist() == [at("03 19:00")] + [at("02 07:30")] * 3
    assert rows["temp"].to_pylist() == [38.0, 16.0, 16.0, None]
    assert told(made, "temp") == (1, 0, 3, 1)
    assert (made.details["log"]["unlogged"], made.details["log"]["logged"]) == (3, 1)


def test_of_two_rows_of_one_request_the_first_served_counts_and_the_other_is_counted(serving: Serving) -> None:
    """A retry is served under the same id; so are rows without an id counted."""
    serving.serve(("a", LGA, at("03 19:45")), ("a", JFK, at("03 18:30")), (None, JFK, LATER), features=[TEMP, WIND])
    rewritten(serving, "request_id", lambda ids: [*ids[:-1], None])
    made = serving.stitch(outcomes("a"))
    assert serving.stitched()["served_at"].to_pylist() == [at("03 18:30")]
    assert (made.details["log"]["duplicates"], made.details["log"]["without_request_id"]) == (2, 1)


def test_labels_of_another_key_than_was_served_are_counted(serving: Serving) -> None:
    """The log's key counts; nulls, other kinds and what was not logged are no other key."""
    labels = outcomes(
        "a", "b", "c", "x", origin=["JFK", "JFK", None, "SFO"], dest=[1.5] * 4, t=times(*["02 07:30"] * 4)
    )
    made = serving.stitch(labels, label_time="t")
    assert made.details["log"]["other_keys"] == 1
    assert serving.stitch(outcomes("a", "b")).details["log"]["other_keys"] == 0


def test_requests_of_several_entities_are_told_apart_by_position(serving: Serving) -> None:
    """Without one it is an error; a position that was not served was not logged."""
    serving.serve(("m", [LGA, JFK, LGA], at("03 19:00")), features=[TEMP, WIND])
    with pytest.raises(InvalidValue, match=r"1 requests in the log had several entities: 'm'; name the label column"):
        serving.stitch(outcomes("m", "a"))
    labels = outcomes("m", "m", "a", at=pa.array([1, 0, 0]))
    serving.stitch(labels, position="at")
    assert serving.stitched()["temp"].to_pylist() == [38.0, 38.0, 38.0]
    with pytest.raises(InvalidValue, match="2 of 2 labels were not logged"):
        serving.stitch(outcomes("m", "a", at=pa.array([3, None], pa.int64())), position="at")


def test_a_shorter_age_is_applied_to_what_was_logged_and_a_role_is_its_own(serving: Serving) -> None:
    """Last non-null is never logged; an airport of destination is joined unless it was served as one."""
    serving.serve(("d", {"origin": "JFK", "to": "LGA"}, at("03 19:00")), features={TEMP: {"keys": {"to": "origin"}}})
    asked: dict[str, Any] = {
        TEMP: [{"column": "short", "max_age": "30m"}, {"column": "there", "keys": {"to": "origin"}}],
        WIND: {"column": "kept", "last_non_null": True},
    }
    made = serving.stitch(outcomes("a", "d", to=["LGA", "SFO"]), asked)
    rows = serving.stitched()
    assert (rows["short"].to_pylist(), rows["there"].to_pylist()) == ([None, None], [38.0, 38.0])
    assert (told(made, "short"), told(made, "there"), told(made, "kept")) == ((1, 1, 1, 1), (1, 0, 1, 0), (0, 0, 2, 1))


def test_contextual_features_come_from_the_log_or_from_the_labels(here: Place) -> None:
    """They were known in the request alone: what was not logged the labels bring, or it is an error."""
    declared = (here.root / "features.yaml").read_text()
    here.register(f"{declared}  - {{name: /flight/request/hour, contextual: true, data_type: int64}}\n")
    serving, hour = Serving(here), "/flight/request/hour"
    serving.load("weather")
    serving.load_online([WIND])
    serving.serve(("a", {**JFK, "hour": 7}, LATER), ("b", {**LGA, "hour": None}, LATER), features=[WIND, hour])
    made = serving.stitch(outcomes("b", "a"), [WIND, hour])
    assert serving.stitched()["hour"].to_pylist() == [None, 7]
    assert (told(made, "hour"), "context" in made.details) == ((2, 1, 0, 0), False)
    made = serving.stitch(outcomes("b", "a", hour=[1, 2]), [WIND, hour])
    assert serving.stitched()["hour"].to_pylist() == [1, 2]
    assert [each["column"] for each in made.details["context"]] == ["hour"]
    with pytest.raises(NoPartition, match=r"1 labels have no logged value of .*hour@1', which is contextual: bring it"):
        serving.stitch(outcomes("x", "a", t=times("02 07:30", "02 07:30")), [WIND, hour], label_time="t")
    assert "contextual" in serving.checked().details["unchecked"]["/entity/flight/component/request/name/hour@1"]
