"""The server held to its own OpenAPI document: whatever a body holds, no answer is the server's fault."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.serving import FeatureReader
from tests.components.place import SEATS, TEMP
from tests.serving.conftest import DEVICE, KEYS, Scene

pytest.importorskip("fastapi", reason="no fastapi: pip install 'jukebox[serve]'")
schemathesis = pytest.importorskip("schemathesis", reason="no schemathesis: install the group dev")

from hypothesis import HealthCheck, given, settings  # noqa: E402 - it may be missing
from hypothesis import strategies as st  # noqa: E402 - it may be missing
from hypothesis.errors import Unsatisfiable  # noqa: E402 - it may be missing
from schemathesis.specs.openapi.checks import (  # noqa: E402 - it may be missing
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient  # noqa: E402 - it may be missing

from jukebox.serving.server import Limits, Model, make_app  # noqa: E402 - it may be missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

OURS = {500, 501, 502, 503}  # 504 is the answer to the timeout that a request has itself
TRUE = [status_code_conformance, content_type_conformance, response_schema_conformance]
PATHS = [
    "read",
    "describe",
    "read of a model",
    "predict",
    "predict of a version",
    "model",
    "healthz",
    "readyz",
    "metrics",
]
QUIET = settings(
    max_examples=20,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SIMPLE, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3))
NAMES = st.sampled_from([TEMP, SEATS, DEVICE, f"{TEMP}@1", f"{TEMP}@9", "/airport/weather/tmp"]) | st.text()


@pytest.fixture(scope="module")
def app(scene: Scene) -> FastAPI:
    """A server for the scene's model; hours may pass before an answer, for a slow machine is no fault."""
    model = Model("late", FeatureReader.for_model(scene.model, scene.registry))
    return make_app(FeatureReader(scene.registry), [model], limits=Limits(seconds=3_600.0))


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client of it that shows the server's own errors as answers."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def document(app: FastAPI) -> Any:
    """The OpenAPI document, from which schemathesis makes requests, those that break it too."""
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=str)
def test_no_request_is_the_servers_fault(document: Any, client: TestClient, mode: Any) -> None:
    """Of all that the document allows, and of what it does not, nothing is answered with 5xx or as it does not say."""
    operations = [each.ok() for each in document.get_all_operations()]
    assert len(operations) == len(PATHS)
    for operation in operations:
        with contextlib.suppress(Unsatisfiable):
            held(operation, mode, client)


def held(operation: Any, mode: Any, client: TestClient) -> None:
    """Hold the server to one operation; raises Unsatisfiable where no request to it can be wrong."""

    @QUIET
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        answer = case.call(session=client)
        assert answer.status_code not in OURS, answer.text
        case.validate_response(answer, checks=TRUE)

    holds()


@QUIET
@given(
    entity=st.dictionaries(st.sampled_from([*KEYS, "airport", "device", "hour"]) | st.text(), JSON, max_size=6),
    names=st.lists(NAMES, max_size=3) | st.dictionaries(NAMES, JSON, max_size=2),
    rest=st.fixed_dictionaries({}, optional={"at": JSON, "context": JSON, "timeout": JSON, "request_id": JSON}),
)
def test_what_looks_like_a_request_is_no_fault_either(
    client: TestClient, entity: dict[str, Any], names: Any, rest: dict[str, Any]
) -> None:
    """Names that are there and near them, keys of any type, times and contexts of any kind."""
    for path, body in (
        ("/v1/features:read", {"features": names, "entities": [entity], **rest}),
        ("/v1/models/late:features", {"entities": [{**KEYS, **entity}], **rest}),
        ("/v1/models/late:predict", {"instances": [entity]}),
    ):
        answer = client.post(path, content=json.dumps(body))
        assert answer.status_code not in OURS, answer.text
