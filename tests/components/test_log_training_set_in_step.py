"""Training sets of logs beside what else is made of the same rows: the join, the check, models, lineage."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jukebox.engine.replaying import replay
from jukebox.engine.served_logs import ABOUT
from jukebox.errors import InvalidValue
from jukebox.formats.framing import records
from jukebox.serving import FeatureReader
from jukebox.serving.feature_log import FeatureLog
from jukebox.stores import OnlineSource, Recorded, open_lineage, open_online, open_registry
from jukebox.tables import Manifest
from tests.components.place import DAYS, TEMP, UTC, WIND, Place, at, copied, write
from tests.components.serving import JFK, LATER, Serving, outcomes, served, told

if TYPE_CHECKING:
    from datetime import datetime


@pytest.fixture
def serving(here: Place) -> Serving:
    """A place with everything loaded, and a log of three requests for temperature and wind."""
    return served(here)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], list[tuple[str, datetime]]]:
    """Draw rows of weather and requests: few airports, few instants, late rows, corrections and nulls."""
    minute = st.integers(0, 40).map(lambda n: at("01 00:00") + n * timedelta(minutes=15))
    value = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 0.1, float("nan")]))
    row = st.tuples(st.sampled_from(["JFK", "LGA"]), minute, st.integers(0, 8), value, value)
    rows = [
        (o, h, h + n * timedelta(minutes=15), t, w) for o, h, n, t, w in draw(st.lists(row, min_size=1, max_size=12))
    ]
    once = {(row[0], row[1], row[2]): row for row in rows}
    asked = st.tuples(st.sampled_from(["JFK", "LGA", "SFO"]), minute)
    return list(once.values()), draw(st.lists(asked, min_size=1, max_size=8))


def serve_in_step(
    serving: Serving, rows: list[tuple[Any, ...]], requests: list[tuple[str, datetime]], **about: Any
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
    with FeatureLog(str(serving.log), **about) as log, FeatureReader(registry, told=log) as reader:
        for name, (origin, moment) in sorted(enumerate(requests), key=lambda each: each[1][1]):
            fresh = [n for n, row in enumerate(rows) if n not in known and max(row[1], row[2]) <= moment]
            known |= set(fresh)
            columns = list(zip(*(rows[n] for n in fresh), strict=True)) or [()] * len(schema)
            arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            store.write("weather", pa.table(arrays, schema=schema), **write_)
            reader.read({"origin": origin}, [TEMP, WIND], at=moment, request_id=str(name))
    store.close()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.sampled_from([1.0, 0.6, 0.0]), st.sampled_from(["parquet", "tfrecord"]))
def test_a_log_in_step_makes_the_training_set_of_the_point_in_time_join(
    furnished: Place, history: tuple[list[tuple[Any, ...]], list[tuple[str, datetime]]], sample: float, storage: str
) -> None:
    """Whatever share is logged, in whichever format: cell by cell what the join gives; a check finds no difference."""
    rows, requests = history
    with tempfile.TemporaryDirectory() as folder:
        serving = Serving(copied(furnished, Path(folder)))
        serving.place.weather(DAYS[0], rows)
        serving.place.load(date=DAYS[0])
        serve_in_step(serving, rows, requests, sample=sample, storage_format=storage)
        labels = outcomes(*(str(n) for n in range(len(requests))))
        labels = labels.append_column("origin", pa.array([origin for origin, _ in requests]))
        labels = labels.append_column("at", pa.array([moment for _, moment in requests], UTC))
        serving.place.join(labels, [TEMP, WIND])
        expected = serving.place.joined()
        if not any(serving.log.iterdir()):
            write(serving.log / "served.parquet", ABOUT.empty_table())
        else:
            assert serving.checked().details["cells"] > 0
        made = serving.stitch(labels, [TEMP, WIND], label_time="at")
        stitched = serving.stitched()
        for column in ("temp", "wind"):
            assert [repr(value) for value in stitched[column].to_pylist()] == [
                repr(value) for value in expected[column].to_pylist()
            ]
        assert sum(told(made, "temp")[::2]) == len(requests)


def test_a_check_passes_on_the_log_that_the_training_set_is_of(serving: Serving) -> None:
    """The two components read one log alike."""
    made = serving.stitch(outcomes("a", "b", "c"))
    checked = serving.checked()
    assert checked.inputs[0].fingerprint == made.inputs[1].fingerprint


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
