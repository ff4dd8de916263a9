"""What stands before the server's routes: tokens, bodies that do not come, failures, probes of other methods."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.serving import FeatureReader
from tests.components.place import SEATS, TEMP
from tests.serving.conftest import Scene
from tests.serving.test_faults import SlowOnce

pytest.importorskip("fastapi", reason="no fastapi: pip install 'jukebox[serve]'")

from fastapi.testclient import TestClient

from jukebox.serving.server import Limits, make_app

if TYPE_CHECKING:
    from fastapi import FastAPI

READ = "/v1/features:read"
BODY = {"features": [SEATS], "entities": [{"tail": "N1"}]}


def client_of(app: FastAPI) -> TestClient:
    """Return a client that shows the server's own errors as answers."""
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_token_is_in_letters_of_either_size(scene: Scene, scheme: str) -> None:
    """As RFC 9110 has it; another scheme is none, and what is refused says which is wanted."""
    with client_of(make_app(FeatureReader(scene.registry), token="s3cret")) as client:
        assert client.post(READ, json=BODY, headers={"authorization": f"{scheme} s3cret"}).status_code == 200
        refused = client.post(READ, json=BODY, headers={"authorization": "Basic s3cret"})
    assert (refused.status_code, refused.json()) == (401, {"error": "the request has no valid token"})
    assert refused.headers["www-authenticate"] == "Bearer"


def test_a_failure_of_the_server_is_json_and_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells nothing of the inside, and the server goes on."""
    reader = FeatureReader(scene.registry)
    with client_of(make_app(reader)) as client:
        with monkeypatch.context() as broken:
            broken.setattr(reader, "lookup", lambda _: 1 // 0)
            answer = client.post(READ, json=BODY)
        assert (answer.status_code, answer.json()) == (500, {"error": "the server failed; its log says why"})
        assert client.post(READ, json=BODY).status_code == 200
        told = client.get("/metrics").text
    for status in (500, 200):
        assert f'jukebox_requests_total{{path="{READ}",status="{status}"}} 1.0' in told
    assert 'status="0"' not in told


def test_probes_are_answered_to_head_too_and_other_methods_are_told(scene: Scene) -> None:
    """A HEAD is a GET without a body; another method says in JSON that it is not allowed, and which is."""
    with client_of(make_app(FeatureReader(scene.registry))) as client:
        for path in ("/healthz", "/readyz"):
            answer = client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
        for method, path, allowed in (("OPTIONS", READ, "POST"), ("GET", READ, "POST"), ("PUT", "/v1/models/a", "GET")):
            answer = client.request(method, path)
            assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
            assert answer.headers["allow"] == allowed


def test_a_body_that_does_not_come_is_refused(scene: Scene) -> None:
    """Its first half came, and a client that never sends the rest does not keep the connection."""
    app, sent, pieces = make_app(FeatureReader(scene.registry), limits=Limits(upload=0.05)), [], [json.dumps(BODY)[:9]]

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": pieces.pop().encode(), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": READ, "headers": [], "query_string": b"", "http_version": "1.1"}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"]) == {"error": "the body is not there after 0.05 seconds"}


def test_a_model_or_a_store_may_take_longer_than_a_body(scene: Scene) -> None:
    """The time that a body has ends when it is there."""
    limits = Limits(upload=0.2, seconds=60)
    reader = FeatureReader(scene.registry)
    looked_up = reader.lookup

    def slow(features: Any = None) -> Any:
        time.sleep(0.5)
        return looked_up(features)

    reader.lookup = slow  # type: ignore[method-assign]
    with client_of(make_app(reader, limits=limits)) as client:
        assert client.post(READ, json=BODY).status_code == 200


def test_the_document_tells_of_the_token_where_there_is_one(scene: Scene) -> None:
    """For every route but the probes; and of no answer that is never given."""
    for token in (None, "s3cret"):
        app = make_app(FeatureReader(scene.registry), token=token)
        told = app.openapi()
        assert told == app.openapi()
        for path, routes in told["paths"].items():
            for route in routes.values():
                wants = token is not None and path not in ("/healthz", "/readyz")
                assert route.get("security") == ([{"token": []}] if wants else None)
                assert "422" not in route["responses"]
        schemes = told["components"].get("securitySchemes")
        assert schemes == (None if token is None else {"token": {"type": "http", "scheme": "bearer"}})


def test_a_request_that_names_a_value_twice_has_the_last(scene: Scene) -> None:
    """As JSON's readers mostly do, and every part of the server alike."""
    body = f'{{"features":["{TEMP}"],"features":["{SEATS}"],"entities":[{{"tail":"XX","tail":"N1"}}]}}'
    with client_of(make_app(FeatureReader(scene.registry))) as client:
        assert client.post(READ, content=body).json()["vectors"][0][SEATS]["value"] == 100


def test_a_request_may_wait_no_longer_than_the_server_lets_it(scene: Scene) -> None:
    """Whatever timeout it gives; a shorter one is its own."""
    for limit, timeout, said in ((0.2, 1_000.0, "0.2"), (1_000.0, 0.2, "0.2")):
        store = SlowOnce(scene.place.root / "online.db", slow=1)
        reader = FeatureReader(scene.registry, store=store)
        reader.lookup([SEATS])
        with client_of(make_app(reader, limits=Limits(seconds=limit))) as client:
            answer = client.post(READ, json={**BODY, "timeout": timeout})
            store.go.set()
        assert (answer.status_code, answer.json()) == (504, {"error": f"there is no answer after {said} seconds"})
