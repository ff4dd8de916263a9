"""The server's routes, as a client sees them."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.errors import InvalidValue
from jukebox.serving import FeatureReader
from tests.components.place import DELAY, SEATS, TEMP
from tests.serving.conftest import KEYS, Scene

pytest.importorskip("fastapi", reason="no fastapi: pip install 'jukebox[serve]'")

from fastapi.testclient import TestClient

from jukebox.serving.server import Limits, Model, make_app
from jukebox.serving.server.values import plain, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

READ, MODEL = "/v1/features:read", "/v1/models/late:features"
AT = "2024-01-03T19:30:00Z"
ENTITY = {**KEYS, "device": "phone", "hour": 8}


def client_of(scene: Scene, **about: Any) -> TestClient:
    """Return a client of a server for the scene's model."""
    model = Model("late", FeatureReader.for_model(scene.model, scene.registry))
    return TestClient(make_app(FeatureReader(scene.registry), [model], **about), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(scene: Scene) -> Iterator[TestClient]:
    """A client of a server without a token."""
    with client_of(scene) as client:
        yield client


def test_features_are_read_by_name(client: TestClient) -> None:
    """Values, event times and states for each entity, in order, and the version of each feature."""
    body = {"features": [TEMP, SEATS], "entities": [ENTITY, {"airport": "XXX", "tail": "N1"}], "at": AT}
    answer = client.post(READ, json={**body, "request_id": "r1"})
    assert answer.status_code == 200
    fresh = {"value": 38.0, "event_time": "2024-01-03T18:00:00+00:00", "status": "fresh"}
    seats = {"value": 100, "event_time": None, "status": "fresh"}
    unknown = {"value": None, "event_time": None, "status": "unknown_entity"}
    assert answer.json() == {
        "request_id": "r1",
        "features": {TEMP: f"{TEMP}@1", SEATS: f"{SEATS}@1"},
        "vectors": [{TEMP: fresh, SEATS: seats}, {TEMP: unknown, SEATS: seats}],
    }


def test_a_models_features_are_told_and_read(client: TestClient) -> None:
    """GET tells what a model reads, and POST reads it without a feature's name."""
    told = client.get(MODEL).json()
    assert [each["column"] for each in told["features"]] == ["seats", "temp", "out_temp", "late", "device", "hour"]
    assert told["features"][2] == {
        "feature": f"{TEMP}@1",
        "column": "out_temp",
        "max_age": "1h",
        "keys": {"base": "origin"},
        "identifiers": {},
    }
    assert (told["entity"]["base"], told["context"]) == ("text", {"device": "string", "hour": "int64"})
    answer = client.post(MODEL, json={"entities": [KEYS], "context": {"device": "phone", "hour": 8}, "at": AT}).json()
    values = {name: each["value"] for name, each in answer["vectors"][0].items()}
    assert values == {"seats": 100, "temp": 38.0, "out_temp": None, "late": 2.25, "device": "phone", "hour": 8}
    assert answer["vectors"][0]["out_temp"]["status"] == "stale"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (READ, {"features": ["/airport/weather/tmp"], "entities": [{}]}, 404, "nearest: "),
        (READ, {"features": [DELAY], "entities": [{}]}, 404, "not been loaded online"),
        (READ, {"features": [TEMP], "entities": [{"usr": 1}]}, 400, "'origin' or 'airport'"),
        (READ, {"features": [TEMP], "entities": [{"airport": 1}]}, 400, "'origin' is text"),
        (READ, {"features": [TEMP], "entities": [{"airport": 1.5}]}, 400, "is no key"),
        (READ, {"features": [TEMP], "entities": [{"airport": ["JFK"]}]}, 400, "is no key"),
        (READ, {"features": [TEMP], "entities": [{"airport": "JFK"}], "at": "noon"}, 400, "'noon' is no time"),
        (READ, {"features": [TEMP], "entities": [{"airport": "JFK"}], "at": "2024-01-01"}, 400, "'at' has no zone"),
        (READ, {"features": [TEMP], "entities": [{"airport": "JFK"}], "timeout": 0}, 400, "timeout"),
        (READ, {"features": [], "entities": []}, 400, "no feature"),
        (
            READ,
            {"features": "temp", "entities": [{}]},
            400,
            "features is 'temp'; it takes a list of names, or a mapping",
        ),
        (READ, {"features": None, "entities": [{}]}, 400, "no feature is asked for"),
        (READ, {"features": [7], "entities": [{}]}, 400, "asks for 7; it asks for features by name"),
        (READ, {"features": [None], "entities": []}, 400, "asks for None; it asks for features by name"),
        (READ, {"features": [[TEMP]], "entities": [{}]}, 400, "it takes a list of names, or a mapping from them"),
        (
            READ,
            {"features": {TEMP: {"keys": {"origin": {"identifier": "base62"}}}}, "entities": [{}]},
            400,
            "wanted as iata",
        ),
        (READ, {"features": [TEMP, TEMP], "entities": [{}]}, 400, "asked for twice"),
        (READ, {"features": {TEMP: {"colum": "x"}}, "entities": [{}]}, 400, "colum"),
        (READ, {"features": {TEMP: {"last_non_null": True}}, "entities": [{}]}, 400, "last_non_null"),
        (READ, {"features": ["\ud800"], "entities": [{}]}, 400, "is no feature name"),
        (READ, {"features": [TEMP], "entities": [{"airport": "\ud800"}]}, 400, "surrogates"),
        (READ, {"features": [TEMP], "entities": ["JFK"]}, 400, "entities.0"),
        (READ, {"features": [TEMP]}, 400, "entities: Field required"),
        (READ, {"features": [TEMP], "entities": [], "extra": 1}, 400, "extra"),
        (READ, [], 400, "the body"),
        (MODEL, {"entities": [KEYS]}, 400, "known only in the request"),
        ("/v1/models/other:features", {"entities": [KEYS]}, 404, "there is late"),
        ("/v1/models/late:predict", {"instances": [KEYS]}, 404, "cannot predict"),
        ("/v1/nothing", {}, 404, "Not Found"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(client: TestClient, path: str, body: Any, status: int, words: str) -> None:
    """Each is the caller's fault, and says what was wrong."""
    answer = client.post(path, content=json.dumps(body))
    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert words in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"entities": NaN}', b"1" * 5_000, b"null"])
def test_bytes_that_are_no_request_are_refused(client: TestClient, body: bytes) -> None:
    """No JSON, half of it, another encoding, depth without end: 400 with a word on it."""
    answer = client.post(READ, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_body_that_is_no_json_is_said_to_be_none(client: TestClient) -> None:
    """With the character where it breaks off."""
    assert client.post(READ, content=b'{"entities":[').json() == {
        "error": "the body is no JSON: Expecting value, at character 13"
    }


def test_values_that_json_has_no_type_for() -> None:
    """NaN and infinities go by their names, times are ISO 8601, bytes are base64, and all of it is ASCII."""
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
    values = [math.nan, -math.inf, 0.5, b"\xff", moment, moment.date(), Decimal("1.50"), ["é", None], {"x": math.inf}]
    told = json.loads(to_json(plain(values)).decode("ascii"))
    assert told[:6] == ["NaN", "-Infinity", 0.5, {"b64": "/w=="}, "2024-01-01T00:00:00+00:00", "2024-01-01"]
    assert told[6:] == ["1.50", ["é", None], {"x": "Infinity"}]


def test_a_token_is_asked_for_everywhere_but_by_probes(scene: Scene) -> None:
    """No token and another one are 401; the right one, and a probe without, are answered."""
    with client_of(scene, token="s3cret") as client:
        for headers in (
            {},
            {"authorization": "Bearer s3cre"},
            {"authorization": "s3cret"},
            {"authorization": "Bearer é"},
        ):
            encoded = {name: value.encode("latin-1") for name, value in headers.items()}
            for path in (MODEL, "/metrics", "/openapi.json"):
                assert client.get(path, headers=encoded).status_code == 401  # type: ignore[arg-type]
        assert client.get(MODEL, headers={"authorization": "Bearer s3cret"}).status_code == 200
        assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_limits_of_a_request(scene: Scene) -> None:
    """A body, entities and features beyond the limit are refused; a body too, whose length nobody declared."""
    limits = Limits(body=1_000, entities=2, features=1)
    with client_of(scene, limits=limits) as client:
        long = json.dumps({"features": [TEMP], "entities": [{"airport": "J" * 1_000}]}).encode()
        pieces = (long[place : place + 100] for place in range(0, len(long), 100))
        assert [client.post(READ, content=each).status_code for each in (long, pieces)] == [413, 413]
        for body, words in (
            ({"features": [TEMP], "entities": [{}] * 3}, "may have 2"),
            ({"features": [TEMP, SEATS], "entities": []}, "may have 1"),
        ):
            answer = client.post(READ, json=body)
            assert (answer.status_code, words in answer.json()["error"]) == (400, True)
    with pytest.raises(InvalidValue, match="limit of body is 0"):
        Limits(body=0)


def test_metrics_count_requests_and_states(scene: Scene) -> None:
    """By route and status, never by what a request names; and by feature and state of what was served."""
    with client_of(scene) as client:
        client.post(READ, json={"features": [TEMP], "entities": [{"airport": "JFK"}, {"airport": "?"}], "at": AT})
        client.get("/v1/models/whatever:features")
        client.get("/v1/other")
        told = client.get("/metrics").text
    for line in (
        'jukebox_requests_total{path="/v1/features:read",status="200"} 1.0',
        'jukebox_requests_total{path="/v1/models/{model}:features",status="404"} 1.0',
        'jukebox_requests_total{path="(none)",status="404"} 1.0',
        f'jukebox_feature_values_total{{feature="{TEMP}@1",status="fresh"}} 1.0',
        f'jukebox_feature_values_total{{feature="{TEMP}@1",status="unknown_entity"}} 1.0',
        "jukebox_hedged_reads 0.0",
    ):
        assert line in told


def test_a_lost_store_is_503_and_not_ready(scene: Scene, tmp_path: Any) -> None:
    """A server whose store is gone says so, and is alive."""
    reader = FeatureReader(scene.registry, store=f"sqlite://{tmp_path}/gone.db")
    with TestClient(make_app(reader), raise_server_exceptions=False) as client:
        answer = client.post(READ, json={"features": [TEMP], "entities": [{"airport": "JFK"}]})
        assert (answer.status_code, "no online store" in answer.json()["error"]) == (503, True)
        assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]


def test_the_openapi_document_names_every_route(client: TestClient) -> None:
    """With what each takes and answers."""
    told = client.get("/openapi.json").json()
    assert set(told["paths"]) == {
        "/v1/features:read",
        "/v1/models/{model}:features",
        "/v1/models/{model}:predict",
        "/v1/models/{model}/versions/{version}:predict",
        "/v1/models/{model}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert told["paths"][READ]["post"]["responses"]["200"]["content"]["application/json"]["schema"]


def test_an_application_may_be_started_again(scene: Scene) -> None:
    """What its end let go of is there for the next start."""
    app = make_app(FeatureReader(scene.registry))
    for _ in range(2):
        with TestClient(app, raise_server_exceptions=False) as client:
            assert client.post(READ, json={"features": [SEATS], "entities": [{"tail": "N1"}]}).status_code == 200
