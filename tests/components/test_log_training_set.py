"""Training sets of a log: what was served, by request, and the point-in-time join where nothing was."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox import consistency_check
from jukebox.engine.replaying import replay
from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    MissingColumn,
    NameClash,
    NoPartition,
    UnknownFeature,
)
from jukebox.formats.framing import records
from jukebox.serving import FeatureReader
from jukebox.serving.feature_log import FeatureLog
from jukebox.stores import OnlineSource, Recorded, open_lineage, open_online, open_registry
from jukebox.tables import Manifest
from tests.components.place import DAYS, DELAY, LATE, SEATS, TEMP, UTC, WIND, Place, at, copied, write
from tests.components.serving import ALL, JFK, LATER, LGA, Serving, outcomes, times

if TYPE_CHECKING:
    from datetime import datetime

HOUR = timedelta(hours=1)


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, and a log of three requests for temperature and wind."""
    serving = Serving(here)
    serving.load()
    serving.load_online()
    serving.serve(("a", JFK, at("03 19:00")), ("b", LGA, at("03 19:30")), ("c", JFK, LATER), features=[TEMP, WIND])
    return serving


def told(made: Manifest, column: str) -> tuple[int, ...]:
    """How many cells of a column were logged, of these null, backfilled, of these null."""
    [found] = [each for each in made.details["features"] if each["column"] == column]
    return tuple(found[name] for name in ("logged", "logged_null", "backfilled", "backfilled_null"))


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
    serving = Serving(here)
    serving.load()
    serving.load_online()
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
    rows = serving.logged()
    at_ = rows.schema.get_field_index("request_id")
    ids = [None if n == rows.num_rows - 1 else value for n, value in enumerate(rows["request_id"].to_pylist())]
    serving.rewrite(rows.set_column(at_, "request_id", pa.array(ids, pa.string())))
    made = serving.stitch(outcomes("a"))
    assert serving.stitched()["served_at"].to_pylist() == [at("03 18:30")]
    assert (made.details["log"]["duplicates"], made.details["log"]["without_request_id"]) == (2, 1)


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


def test_a_model_is_served_what_it_was_trained_on(serving: Serving) -> None:
    """Columns, limits of age and roles are those of the training set of the log."""
    asked: dict[str, Any] = {TEMP: [{"column": "there", "keys": {"to": "origin"}}, {"column": "t", "max_age": "1h"}]}
    serving.stitch(outcomes("a", "b", to=["LGA", "JFK"]), asked)
    model = str(serving.place.root / "model")
    trained, registry = [Recorded("jukebox.TrainingSet", str(serving.out))], serving.place.registry
    open_registry(registry).record("train", inputs=trained, outputs=[Recorded("Model", model)])
    with FeatureReader.for_model(model, registry) as reader:
        entity = {"origin": "EWR", "to": "LGA"}
        assert reader.read(entity, at=at("03 19:00")).to_dict() == {"there": 38.0, "t": None}


def test_what_a_reader_for_a_model_served_counts_as_logged(serving: Serving) -> None:
    """It asks under limits of age that it names: equal or longer ones answer, row by row, shorter ones do not."""
    for name, age in (("d", "2h"), ("e", "90m"), ("f", "10m")):
        asked = {TEMP: {"max_age": age, "column": "t"}}
        serving.serve((name, JFK, at("03 19:00")), features=asked)
    made = serving.stitch(outcomes("a", "d", "e", "f"), [TEMP])
    assert (serving.stitched()["temp"].to_pylist(), told(made, "temp")) == ([38.0] * 4, (2, 0, 2, 0))
    made = serving.stitch(outcomes("a", "d", "e", "f"), {TEMP: {"max_age": "1h"}})
    assert (serving.stitched()["temp"].to_pylist(), told(made, "temp")) == ([38.0] * 4, (3, 0, 1, 0))


def test_the_training_set_is_one_to_train_on(serving: Serving) -> None:
    """Splits with all rows, a manifest that says what it was made of, and lineage to features, log and labels."""
    made = serving.stitch(outcomes("c", "a", "b", "a"), split="hash:0.5:n")
    assert Manifest.read(serving.out, "training_set") == made
    assert sum(made.details["splits"].values()) == made.rows == 4
    files = [file for split in ("train", "eval") for file in (serving.out / f"Split-{split}").iterdir()]
    assert sum(len(some) for file in files for some in records(file)) == 4
    lineage = open_lineage(serving.place.registry)
    [node] = lineage.nodes_at(str(serving.out))
    [run] = [event.execution for event in lineage.events_of_artifacts([node.id]) if event.output]
    reads = sorted({event.artifact for event in lineage.events_of_executions([run]) if not event.output})
    found = {(each.type, each.name or each.uri) for each in lineage.artifacts(reads)}
    assert {("jukebox.Feature", f"{TEMP}@1"), ("jukebox.ServedLog", str(serving.log))} <= found
    with pytest.raises(InvalidValue, match=r"was stitched from the log .*consistency_check"):
        replay(str(serving.out))


def test_what_makes_no_sense_is_refused_before_anything_is_written(serving: Serving) -> None:
    """Columns that are not there or clash, labels without a time, features that nobody knows or loaded."""
    good = outcomes("a", "b")
    for labels, about, kind, said in (
        (outcomes("a", "x"), {}, InvalidValue, r"1 of 2 labels were not logged; name .* label_time; .*\['x'\]"),
        (good, {"request_id": "id"}, MissingColumn, "column 'id' is not in the labels; they have request_id, n"),
        (good, {"label_time": "when"}, MissingColumn, "column 'when' is not in the labels"),
        (outcomes("a", "x"), {"label_time": "n"}, InvalidType, "'n' is int64; it is a timestamp with a zone"),
        (outcomes("a", "x", t=pa.array([LATER, None], UTC)), {"label_time": "t"}, InvalidValue, "have no 't'"),
        (outcomes("a", "b", p=["0", "0"]), {"position": "p"}, InvalidType, "'p' is string; positions are whole"),
        (good, {"request_id": "f"}, MissingColumn, "column 'f' is not"),
        (outcomes("a", f=[0.5]), {"request_id": "f"}, InvalidType, "'f' is double; the ids of requests are text"),
        (outcomes("a", temp=[1.0]), {}, NameClash, "'temp' is in the labels already"),
        (outcomes("a", served_at=[1]), {}, NameClash, "column 'served_at'"),
        (good, {"features": ["/airport/weather/tmp"]}, UnknownFeature, "nearest"),
        (good, {"features": [TEMP], "split": "half"}, InvalidValue, "'half' is no split"),
        (good, {"features": [TEMP], "proof": "none"}, InvalidValue, "proof is 'none'"),
        (good, {"features": [LATE], "feature_tables": []}, NoPartition, "2 labels have no logged value of .*late@1"),
        (outcomes("a", tail=[5]), {"features": [SEATS]}, InvalidType, "'tail' is integer in the log|labels"),
        (good, {"features": [DELAY]}, MissingColumn, "'arrivals' is joined by 'tail' or 'aircraft', and .* origin"),
        (
            good,
            {"features": {TEMP: {"keys": {"base": {"column": "origin", "identifier": "gid_hex"}}}}},
            InvalidValue,
            "'base' written as gid_hex, which are converted in a join alone; give them as iata",
        ),
        (good, {"log": str(serving.place.root / "none")}, NoPartition, "there is no log of served features at"),
    ):
        with pytest.raises(kind, match=said):
            serving.stitch(labels, **about)
    assert not serving.out.exists()


def test_a_log_that_is_damaged_is_refused_by_name(serving: Serving) -> None:
    """A truncated file; another type than the feature has offline, which the version would have to change with."""
    files = sorted(serving.log.rglob("*.parquet"))
    rows = serving.logged()
    files[0].write_bytes(files[0].read_bytes()[:-20])
    with pytest.raises(CorruptData, match=files[0].name):
        serving.stitch(outcomes("a"))
    at_ = rows.schema.get_field_index(f"{TEMP}@1")
    serving.rewrite(rows.set_column(at_, f"{TEMP}@1", rows[f"{TEMP}@1"].cast(pa.string())))
    with pytest.raises(InvalidType, match=r"temp@1' is string in the log and double"):
        serving.stitch(outcomes("a"))
    assert not serving.out.exists()


def test_a_log_without_rows_leaves_everything_to_the_join(serving: Serving) -> None:
    """Labels that bring their own time and keys are joined as ever."""
    serving.rewrite(serving.logged().slice(0, 0))
    labels = outcomes("a", "b", origin=["JFK", "LGA"], t=times("02 07:30", "02 06:00"))
    made = serving.stitch(labels, label_time="t")
    assert serving.stitched()["temp"].to_pylist() == [16.0, None]
    assert told(made, "temp") == (0, 0, 2, 1)


def test_labels_without_rows_make_a_training_set_without_rows(serving: Serving) -> None:
    """As the join does."""
    assert serving.stitch(outcomes()).rows == 0
    assert serving.stitched().num_rows == 0


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], list[tuple[str, datetime]]]:
    """Draw rows of weather and requests: few airports, few instants, late rows, corrections and nulls."""
    minute = st.integers(0, 40).map(lambda n: at("01 00:00") + n * timedelta(minutes=15))
    value = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.5, float("nan")]))
    row = st.tuples(st.sampled_from(["JFK", "LGA"]), minute, st.integers(0, 8), value, value)
    rows = [
        (o, h, h + n * timedelta(minutes=15), t, w) for o, h, n, t, w in draw(st.lists(row, min_size=1, max_size=12))
    ]
    once = {(row[0], row[1], row[2]): row for row in rows}
    asked = st.tuples(st.sampled_from(["JFK", "LGA", "SFO"]), minute)
    return list(once.values()), draw(st.lists(asked, min_size=1, max_size=8))


def serve_in_step(
    serving: Serving, rows: list[tuple[Any, ...]], requests: list[tuple[str, datetime]], sample: float
) -> None:
    """Serve requests in the order of time, each when the store holds what is known by then."""
    registry, store = open_registry(serving.place.registry), open_online(serving.store)
    schema = pa.schema(
        [("origin", pa.string()), ("hour", UTC), ("known_at", UTC), ("temp", pa.float64()), ("wind", pa.float64())]
    )
    write_ = {"keys": ["origin"], "event_time": "hour", "created_time": "known_at"}
    store.write("weather", schema.empty_table(), **write_)
    registry.set_online_source(OnlineSource(serving.store, "weather", (f"{TEMP}@1", f"{WIND}@1"), 1, "f", LATER))
    known: set[int] = set()
    with FeatureLog(str(serving.log), sample=sample) as log, FeatureReader(registry, told=log) as reader:
        for name, (origin, moment) in sorted(enumerate(requests), key=lambda each: each[1][1]):
            fresh = [n for n, row in enumerate(rows) if n not in known and max(row[1], row[2]) <= moment]
            known |= set(fresh)
            columns = list(zip(*(rows[n] for n in fresh), strict=True)) or [()] * len(schema)
            arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            store.write("weather", pa.table(arrays, schema=schema), **write_)
            reader.read({"origin": origin}, [TEMP, WIND], at=moment, request_id=str(name))
    store.close()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.sampled_from([1.0, 0.6, 0.0]))
def test_a_log_in_step_makes_the_training_set_of_the_point_in_time_join(
    furnished: Place, history: tuple[list[tuple[Any, ...]], list[tuple[str, datetime]]], sample: float
) -> None:
    """Whatever share of the keys is logged: cell by cell what the join gives; and a check finds no difference."""
    rows, requests = history
    with tempfile.TemporaryDirectory() as folder:
        serving = Serving(copied(furnished, Path(folder)))
        serving.place.weather(DAYS[0], rows)
        serving.place.load(date=DAYS[0])
        serve_in_step(serving, rows, requests, sample)
        labels = outcomes(*(str(n) for n in range(len(requests))))
        labels = labels.append_column("origin", pa.array([origin for origin, _ in requests]))
        labels = labels.append_column("at", pa.array([moment for _, moment in requests], UTC))
        serving.place.join(labels, [TEMP, WIND])
        expected = serving.place.joined()
        if not serving.log.exists():
            write(serving.log / "served.parquet", _no_rows())
        else:
            assert serving.checked().details["cells"] > 0
        made = serving.stitch(labels, [TEMP, WIND], label_time="at")
        stitched = serving.stitched()
        for column in ("temp", "wind"):
            assert [repr(value) for value in stitched[column].to_pylist()] == [
                repr(value) for value in expected[column].to_pylist()
            ]
        assert sum(told(made, "temp")[::2]) == len(requests)


def _no_rows() -> pa.Table:
    from jukebox.engine.served_logs import ABOUT

    return ABOUT.empty_table()


def test_a_check_passes_on_the_log_that_the_training_set_is_of(serving: Serving) -> None:
    """The two components read one log alike."""
    made = serving.stitch(outcomes("a", "b", "c"))
    out = str(serving.check_out)
    checked = consistency_check.run(registry=serving.place.registry, out=out, log=str(serving.log))
    assert checked.inputs[0].fingerprint == made.inputs[1].fingerprint
