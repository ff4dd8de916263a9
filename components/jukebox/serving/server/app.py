"""The server's routes, as an ASGI application."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jukebox.errors import InvalidType, InvalidValue, JukeboxError, MissingDependency, NotRegistered

try:
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse
except ImportError as exc:
    raise MissingDependency.of("fastapi", "serve") from exc

from jukebox.serving.server import metrics as told
from jukebox.serving.server.bodies import (
    ModelFeatures,
    ModelStatus,
    Predict,
    Predictions,
    Probe,
    ReadFeatures,
    ReadModelFeatures,
    Vectors,
)
from jukebox.serving.server.documents import WRONG, document
from jukebox.serving.server.errors import status_of
from jukebox.serving.server.guards import Guard
from jukebox.serving.server.settings import Limits, Model
from jukebox.serving.server.values import instant, plain, to_json, understood
from jukebox.serving.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from jukebox.serving.feature_log import FeatureLog
    from jukebox.serving.reader import FeatureReader
    from jukebox.serving.server.bodies import _Read
    from jukebox.serving.vectors import FeatureVectors

_THREADS = 32  # requests that wait for a store or a model at once


class _Answers:
    """What the routes answer with."""

    def __init__(self, reader: FeatureReader, models: Sequence[Model], limits: Limits) -> None:
        self.reader, self.limits = reader, limits
        self.models = {model.name: model for model in models}
        self.metrics = told.Metrics(lambda: sum(each.hedged for each in self._readers()))
        self.threads = Threads(_THREADS, "jukebox-server")

    def _readers(self) -> list[FeatureReader]:
        return [self.reader, *(model.reader for model in self.models.values())]

    def model(self, name: str) -> Model:
        if name not in self.models:
            there = ", ".join(self.models) or "none"
            raise NotRegistered(f"model '{name}' is not served here; there is {there}")
        return self.models[name]

    async def read(self, reader: FeatureReader, body: _Read, features: Any = None) -> Response:
        limits = self.limits
        if len(body.entities) > limits.entities:
            raise InvalidValue(f"{len(body.entities)} entities are asked for; a request may have {limits.entities}")
        if features is not None and not isinstance(features, list | dict):
            raise InvalidType(f"features is {features!r}; it takes a list of names, or a mapping from them")
        if features is not None and len(features) > limits.features:
            raise InvalidValue(f"{len(features)} features are asked for; a request may have {limits.features}")
        seconds = limits.seconds if body.timeout is None else min(body.timeout, limits.seconds)
        vectors = await self.threads.awaited(partial(_read, reader, body, features, seconds), seconds)
        self.metrics.served(vectors)
        return answer(_told(vectors))

    async def predict(self, name: str, body: Predict, version: str | None = None) -> Response:
        model, seconds = self.model(name), self.limits.seconds
        if model.predictor is None:
            raise NotRegistered(f"model '{name}' has features and no SavedModel here; it cannot predict")
        served = model.predictor.model.version
        if version not in (None, served):
            raise NotRegistered(f"model '{name}' is served in version {served}, not {version}")
        if (body.instances is None) == (body.inputs is None):
            raise InvalidValue("a prediction takes either instances or inputs")
        count = _longest(body.inputs) if body.instances is None else len(body.instances)
        if count > self.limits.entities:
            raise InvalidValue(f"{count} instances are given; a request may have {self.limits.entities}")
        request_id = body.request_id or os.urandom(16).hex()
        at = None if body.at is None else instant(body.at)
        options = {"timeout": seconds, "at": at, "request_id": request_id}
        if body.instances is not None:
            call = partial(model.predictor.rows, body.signature_name, body.instances, **options)
            found = {"predictions": await self.threads.awaited(call)}
        else:
            call = partial(model.predictor.columns, body.signature_name, body.inputs, **options)
            found = {"outputs": await self.threads.awaited(call)}
        made = answer(found)
        made.headers["X-Request-Id"] = quote(request_id)
        return made

    async def ready(self) -> Response:
        for reader in self._readers():
            await self.threads.awaited(reader.check, self.limits.seconds)
        return answer({"status": "ready"})

    def close(self) -> None:
        for reader in self._readers():
            reader.close()
        self.threads.close()


def answer(body: Any, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(to_json(body), status, media_type="application/json")


def _longest(inputs: Any) -> int:
    columns = inputs.values() if isinstance(inputs, dict) else [inputs]
    return max((len(column) for column in columns if isinstance(column, list)), default=0)


def _read(reader: FeatureReader, body: _Read, features: Any, seconds: float) -> FeatureVectors:
    *entities, context = understood([*body.entities, body.context], reader.lookup(features))
    return reader.read_many(
        entities,
        features,
        at=None if body.at is None else instant(body.at),
        context=context,
        timeout=seconds,
        request_id=body.request_id,
    )


def _told(vectors: FeatureVectors) -> dict[str, Any]:
    rows = [
        {
            each.name: {"value": plain(each.value), "event_time": plain(each.event_time), "status": each.status}
            for each in vector
        }
        for vector in vectors
    ]
    versions = {column.name: column.feature for column in vectors.columns}
    return {"request_id": vectors.request_id, "features": versions, "vectors": rows}


def _described(model: Model) -> dict[str, Any]:
    lookup = model.reader.lookup()
    asked = [
        {
            "feature": entry.name,
            "column": entry.column,
            "max_age": entry.max_age,
            "keys": dict(entry.keys),
            "identifiers": {name: how.identifier for name, how in entry.written.items()},
        }
        for entry in lookup.entries
    ]
    context = {each.name: each.registered.feature.data_type for each in lookup.context}
    return {"model": model.reader.model, "features": asked, "entity": lookup.keys, "context": context}


def make_app(
    reader: FeatureReader,
    models: Sequence[Model] = (),
    *,
    token: str | None = None,
    limits: Limits | None = None,
    log: FeatureLog | None = None,
) -> FastAPI:
    """Return the server: features by name, those of ``models``, and their predictions.

    With a ``token`` every request but a probe's carries it as ``Authorization: Bearer``. The metrics tell what becomes
    of vectors on their way to the ``log`` that the readers tell. Raises MissingDependency without FastAPI.
    """
    limits = Limits() if limits is None else limits
    answers = _Answers(reader, models, limits)
    if log is not None:
        answers.metrics.logs(lambda: log.counts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        answers.close()

    app = FastAPI(title="Jukebox", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, responses=WRONG)
    app.add_middleware(Guard, token=token, limits=limits, metrics=answers.metrics)
    app.add_exception_handler(JukeboxError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    _add_features(app, answers)
    _add_models(app, answers)
    _add_probes(app, answers)
    document(app, token=token is not None)
    return app


def _add_features(app: FastAPI, answers: _Answers) -> None:
    @app.post("/v1/features:read", response_model=Vectors, tags=["features"])
    async def read_features(body: ReadFeatures) -> Response:
        """Read features by name for one entity or many."""
        return await answers.read(answers.reader, body, body.features)

    @app.get("/v1/models/{model}:features", response_model=ModelFeatures, tags=["models"])
    async def describe_model_features(model: str) -> Response:
        """Tell which features a model reads, and what they are read by."""
        described = partial(_described, answers.model(model))
        return answer(await answers.threads.awaited(described, answers.limits.seconds))

    @app.post("/v1/models/{model}:features", response_model=Vectors, tags=["models"])
    async def read_model_features(model: str, body: ReadModelFeatures) -> Response:
        """Read the features of a model for one entity or many."""
        return await answers.read(answers.model(model).reader, body)


def _add_models(app: FastAPI, answers: _Answers) -> None:
    @app.post("/v1/models/{model}:predict", response_model=Predictions, tags=["models"])
    async def predict(model: str, body: Predict) -> Response:
        """Predict, as TensorFlow Serving does; what an instance does not give of the model's features is fetched."""
        return await answers.predict(model, body)

    @app.post("/v1/models/{model}/versions/{version}:predict", response_model=Predictions, tags=["models"])
    async def predict_with(model: str, version: str, body: Predict) -> Response:
        """Predict with the version that is served; another is not found."""
        return await answers.predict(model, body, version)

    @app.get("/v1/models/{model}", response_model=ModelStatus, tags=["models"])
    async def status(model: str) -> Response:
        """Tell the state of a model, as TensorFlow Serving does."""
        found = answers.model(model).predictor
        version = "0" if found is None else found.model.version
        fine = {"error_code": "OK", "error_message": ""}
        return answer({"model_version_status": [{"version": version, "state": "AVAILABLE", "status": fine}]})


def _add_probes(app: FastAPI, answers: _Answers) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", response_model=Probe, tags=["probes"])
    async def alive() -> Response:
        """Tell that the server runs."""
        return answer({"status": "alive"})

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", response_model=Probe, tags=["probes"])
    async def ready() -> Response:
        """Tell whether the online stores answer."""
        return await answers.ready()

    @app.get("/metrics", response_class=PlainTextResponse, tags=["probes"])
    async def metrics() -> Response:
        """Tell Prometheus' metrics."""
        return Response(answers.metrics.text(), media_type=told.CONTENT_TYPE)


async def _refused(_: Request, error: Exception) -> Response:
    status = status_of(error) if isinstance(error, JukeboxError) else 500
    return answer({"error": str(error)}, status)


async def _malformed(_: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    said = [_fault(fault) for fault in faults]
    return answer({"error": "; ".join(said) or "the request cannot be read"}, 400)


def _fault(fault: Any) -> str:
    if fault["type"] == "json_invalid":
        return f"the body is no JSON: {fault['ctx']['error']}, at character {fault['loc'][-1]}"
    return f"{'.'.join(map(str, fault['loc'][1:])) or 'the body'}: {fault['msg']}"


async def _http(_: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    headers = getattr(error, "headers", None)
    made = answer({"error": str(detail)}, status)
    made.headers.update(headers or {})
    return made
