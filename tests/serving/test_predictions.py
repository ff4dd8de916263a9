"""Predictions as TensorFlow Serving gives them, with the features fetched that an instance does not give."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.errors import InvalidValue, StorageError
from jukebox.serving import FeatureReader
from tests.components.place import at, copied
from tests.serving.conftest import KEYS, NOON, Scene

pytest.importorskip("fastapi", reason="no fastapi: pip install 'jukebox[serve]'")
tf = pytest.importorskip("tensorflow", reason="no tensorflow: pip install 'jukebox[tfx]'")

from fastapi.testclient import TestClient  # noqa: E402 - it may be missing

from jukebox.serving.server import Limits, Model, make_app  # noqa: E402 - it may be missing
from jukebox.serving.server.predicting import Predictor  # noqa: E402 - it may be missing
from jukebox.serving.server.saved_models import SavedModel, version_folder  # noqa: E402 - it may be missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIVEN = {**KEYS, "device": "phone", "hour": 8, "miles": 2}
EXAMPLES, TENSORS = "/v1/models/examples:predict", "/v1/models/tensors:predict"
INT, FLOAT, TEXT = (tf.io.VarLenFeature(kind) for kind in (tf.int64, tf.float32, tf.string))
SPEC = {"seats": INT, "late": FLOAT, "miles": FLOAT, "hour": INT, "device": TEXT, "temp": FLOAT}


class OfExamples(tf.Module):
    """A model that takes serialized examples, as one behind a transformation does."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: Any) -> dict[str, Any]:
        """Return seats + late + miles + hour, -1,000 where there is no temperature, and the device."""
        parsed = tf.io.parse_example(examples, SPEC)
        names = ("seats", "late", "miles", "hour")
        numbers = {name: tf.cast(self.dense(parsed[name], 0), tf.float32) for name in names}
        known = tf.math.is_finite(self.dense(parsed["temp"], float("nan")))
        return {
            "score": tf.add_n(list(numbers.values())) + tf.where(known, 0.0, -1_000.0),
            "device": self.dense(parsed["device"], "none"),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def when(self, examples: Any) -> dict[str, Any]:
        """Return the label time as the examples have it."""
        return {"at": self.dense(tf.io.parse_example(examples, {"at": INT})["at"], 0)}

    def dense(self, column: Any, default: Any) -> Any:
        """Return one value a row."""
        one_a_row = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], 1])
        return tf.squeeze(tf.sparse.to_dense(one_a_row, tf.cast(default, column.dtype)), axis=1)


class OfTensors(tf.Module):
    """A model that takes a tensor for each of its columns."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="seats"),
            tf.TensorSpec([None], tf.float32, name="out_temp"),
            tf.TensorSpec([None], tf.float32, name="miles"),
        ]
    )
    def serve(self, seats: Any, out_temp: Any, miles: Any) -> dict[str, Any]:
        """Return seats + miles, and 0.5 more where there is no temperature."""
        missing = tf.cast(tf.math.is_nan(out_temp), tf.float32) / 2
        return {"score": tf.cast(seats, tf.float32) + miles + missing}


@pytest.fixture(scope="module")
def models(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, list[Model]]:
    """A scene with both models, exported, and what predicts with them."""
    mine = Scene(copied(scene.place, tmp_path_factory.mktemp("predictions")))
    made = []
    for name, module in (("examples", OfExamples()), ("tensors", OfTensors())):
        folder = str(mine.place.root / name / "12")
        others = {"when": module.when} if isinstance(module, OfExamples) else {}
        tf.saved_model.save(module, folder, signatures={"serving_default": module.serve, **others})
        mine.trained(folder, scene.training_set)
        reader = FeatureReader.for_model(folder, mine.registry)
        made.append(Model(name, reader, Predictor(SavedModel(str(mine.place.root / name)), reader)))
    return mine, made


@pytest.fixture(scope="module")
def client(models: tuple[Scene, list[Model]]) -> Iterator[TestClient]:
    """A client of a server with both models."""
    scene, made = models
    with TestClient(make_app(FeatureReader(scene.registry), made), raise_server_exceptions=False) as client:
        yield client


def test_entity_keys_alone_get_a_prediction(client: TestClient) -> None:
    """What the model was trained on is fetched, and what only the request knows is passed on under its column."""
    answer = client.post(EXAMPLES, json={"instances": [GIVEN, {**GIVEN, "device": None, "tail": "XX", "hour": 1}]})
    # 100 seats, a share of 2.25, 2 miles and the hour; the temperature is long too old.
    scores = [100 + 2.25 + 2 + 8 - 1_000, 2.25 + 2 + 1 - 1_000]
    assert answer.json() == {
        "predictions": [{"device": "phone", "score": scores[0]}, {"device": "none", "score": scores[1]}]
    }


def test_a_prediction_is_as_of_a_time_and_bears_the_id_of_its_request(client: TestClient) -> None:
    """What is fetched is what was known then; the id, given or new, is in a header, for the body is TensorFlow's."""
    body = {"instances": [GIVEN], "at": NOON.isoformat(), "request_id": "a b"}
    answer = client.post(EXAMPLES, json=body)
    assert answer.json()["predictions"][0]["score"] == pytest.approx(100 + 2.25 + 2 + 8)
    assert answer.headers["x-request-id"] == "a%20b"
    others = {client.post(EXAMPLES, json={"instances": [GIVEN]}).headers["x-request-id"] for _ in range(2)}
    assert len(others) == 2


def test_a_prediction_has_the_limit_of_entities_that_a_read_has(models: tuple[Scene, list[Model]]) -> None:
    """Of instances in rows and of inputs in columns."""
    scene, made = models
    app = make_app(FeatureReader(scene.registry), made, limits=Limits(entities=2))
    columns = {name: [value] * 3 for name, value in GIVEN.items()}
    with TestClient(app, raise_server_exceptions=False) as client:
        for body in ({"instances": [GIVEN] * 3}, {"inputs": columns}, {"inputs": [1.5] * 3}):
            answer = client.post(EXAMPLES, json=body)
            assert (answer.status_code, answer.json()) == (
                400,
                {"error": "3 instances are given; a request may have 2"},
            )
        assert client.post(EXAMPLES, json={"instances": [GIVEN] * 2}).status_code == 200


def test_the_version_may_be_named(client: TestClient) -> None:
    """As TensorFlow Serving has it; there is one."""
    path = "/v1/models/examples/versions/{}:predict"
    assert client.post(path.format(12), json={"instances": [GIVEN]}).status_code == 200
    answer = client.post(path.format(7), json={"instances": [GIVEN]})
    assert (answer.status_code, answer.json()["error"]) == (404, "model 'examples' is served in version 12, not 7")


def test_a_time_of_an_instance_is_text_and_the_model_gets_what_it_was_trained_on(client: TestClient) -> None:
    """An integer: the training set's examples hold its times as such."""
    for time in ("2024-01-02T13:00:00Z", "2024-01-02T14:00:00+01:00"):
        answer = client.post(EXAMPLES, json={"signature_name": "when", "instances": [{**GIVEN, "at": time}]})
        assert answer.json() == {"predictions": [int(at("02 13:00").timestamp() * 1_000_000)]}


def test_what_an_instance_gives_goes_before_what_is_fetched(client: TestClient) -> None:
    """A value of its own is used, and no feature is fetched where it gives them all."""
    answer = client.post(EXAMPLES, json={"instances": [{**GIVEN, "seats": 7, "temp": 1}]})
    assert answer.json()["predictions"][0]["score"] == pytest.approx(7 + 2.25 + 2 + 8)
    whole = {"seats": 1, "temp": 1.5, "out_temp": None, "late": 0.5, "device": "x", "hour": 2, "miles": 3.5}
    answer = client.post(EXAMPLES, json={"instances": [whole]})
    assert answer.json()["predictions"][0]["score"] == pytest.approx(1 + 0.5 + 2 + 3.5)


def test_serialized_examples_go_through(client: TestClient) -> None:
    """As clients of TensorFlow Serving send them: base64, by the input's name or alone."""
    example = tf.train.Example()
    example.features.feature["seats"].int64_list.value.append(5)
    example.features.feature["temp"].float_list.value.append(1)
    for name in ("late", "miles"):
        example.features.feature[name].float_list.value.append(1)
    example.features.feature["hour"].int64_list.value.append(1)
    example.features.feature["device"].bytes_list.value.append(b"tv")
    text = {"b64": base64.b64encode(example.SerializeToString()).decode()}
    for body in (
        {"instances": [text]},
        {"instances": [{"examples": text}]},
        {"signature_name": "serving_default", "instances": [text]},
    ):
        assert client.post(EXAMPLES, json=body).json() == {"predictions": [{"device": "tv", "score": 8.0}]}
    assert client.post(EXAMPLES, json={"inputs": {"examples": [text]}}).json() == {
        "outputs": {"device": ["tv"], "score": [8.0]}
    }


def test_a_model_of_tensors_is_fed_column_by_column(client: TestClient) -> None:
    """Rows and columns; a missing number is NaN, and one output stands alone."""
    answer = client.post(TENSORS, json={"instances": [GIVEN, {**GIVEN, "out_temp": 3.5}]})
    assert answer.json() == {"predictions": [102.5, 102.0]}
    columns = {name: [value, value] for name, value in GIVEN.items()}
    assert client.post(TENSORS, json={"inputs": columns}).json() == {"outputs": [102.5, 102.5]}


def test_curl_calls_its_body_a_form(client: TestClient) -> None:
    """The body is JSON whatever its type is said to be."""
    answer = client.post(
        TENSORS,
        content=b'{"instances": [{"seats": 1, "out_temp": 1, "miles": 1}]}',
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.json() == {"predictions": [2.0]}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (EXAMPLES, {}, "either instances or inputs"),
        (EXAMPLES, {"instances": []}, "no instance"),
        (EXAMPLES, {"instances": [{"device": "x", "hour": 1}]}, "read by"),
        (EXAMPLES, {"instances": [{**GIVEN, "hour": "noon"}]}, "takes int64, not 'noon'"),
        (EXAMPLES, {"instances": [{**GIVEN, "miles": "far"}]}, "'miles' takes double, not 'far'"),
        (EXAMPLES, {"instances": [{**GIVEN, "miles": [[1], "a"]}]}, "'miles' takes double"),
        (EXAMPLES, {"instances": [{**GIVEN, "seats": 7.5}]}, "'seats' takes int64, not 7.5"),
        (EXAMPLES, {"instances": [{**GIVEN, "at": "noon"}]}, "'noon' is no time"),
        (EXAMPLES, {"instances": [{**GIVEN, "at": "2024-01-02T13:00:00"}]}, "takes timestamp[us, tz=UTC]"),
        (EXAMPLES, {"instances": [{**GIVEN, "other": [[1], "a"]}]}, "'other' make no column"),
        (EXAMPLES, {"instances": [GIVEN], "at": "noon"}, "'noon' is no time"),
        (EXAMPLES, {"instances": [{**GIVEN, "miles": {"a": 1}}]}, "'miles'"),
        (EXAMPLES, {"instances": ["no example"]}, "cannot take"),
        (EXAMPLES, {"instances": [{"b64": "?"}]}, "is no base64"),
        (EXAMPLES, {"signature_name": "other", "instances": [GIVEN]}, "it has serving_default"),
        (TENSORS, {"instances": [KEYS]}, "known only in the request"),
        (TENSORS, {"instances": [{"seats": 1, "out_temp": 1}]}, "'miles' is no feature"),
        (TENSORS, {"instances": [{**GIVEN, "tail": "XX"}]}, "takes no null"),
        (TENSORS, {"instances": [{**GIVEN, "seats": 1.5}]}, "cannot take"),
        (TENSORS, {"instances": [7]}, "an instance maps"),
        (TENSORS, {"inputs": {"seats": [1], "miles": [1, 2]}}, "equal length"),
        (TENSORS, {"inputs": 7}, "inputs is no mapping"),
    ],
)
def test_what_no_prediction_can_be_made_of(client: TestClient, path: str, body: Any, words: str) -> None:
    """Each is the caller's fault, and says what was wrong."""
    answer = client.post(path, json=body)
    assert (answer.status_code, words in answer.json()["error"]) == (400, True), answer.json()


def test_a_model_says_that_it_is_there(client: TestClient) -> None:
    """Its version is the number of its folder, the highest there is."""
    [told] = client.get("/v1/models/examples").json()["model_version_status"]
    assert (told["version"], told["state"]) == ("12", "AVAILABLE")
    assert client.get("/v1/models/none").status_code == 404


def test_the_highest_whole_version_counts(models: tuple[Scene, list[Model]], tmp_path: Path) -> None:
    """A folder that is no model yet is passed over; no model at all, and half of one, are clear errors."""
    root = models[0].place.root / "tensors"
    (root / "99").mkdir()
    assert version_folder(str(root)) == str(root / "12")
    with pytest.raises(StorageError, match="no SavedModel"):
        version_folder(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"half")
    with pytest.raises(StorageError, match="cannot be loaded"):
        SavedModel(str(tmp_path))
    with pytest.raises(InvalidValue, match="no signature"):
        models[1][0].predictor.model.inputs("x")  # type: ignore[union-attr]
