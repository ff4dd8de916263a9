"""The OpenAPI document, held to what the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jukebox.serving.server.bodies import Error
from jukebox.serving.server.guards import OPEN

if TYPE_CHECKING:
    from fastapi import FastAPI

WRONG: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "The request makes no sense."},
    401: {"model": Error, "description": "The token is missing or wrong."},
    404: {"model": Error, "description": "A feature or model is not known, or not loaded online."},
    408: {"model": Error, "description": "The body does not come."},
    413: {"model": Error, "description": "The body is too large."},
    500: {"model": Error, "description": "The online table is corrupt, or the server is."},
    503: {"model": Error, "description": "The online store cannot be used."},
    504: {"model": Error, "description": "The online store did not answer in time."},
}
"""What every route may answer with besides."""
_NEVER = "422"


def document(app: FastAPI, *, token: bool) -> None:
    """Make an application's document tell of its token, where it asks for one, and of no answer that it never gives."""
    drawn = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        told = drawn()
        for path, routes in told["paths"].items():
            for route in routes.values():
                # FastAPI's own answer to what it cannot validate, which here is 400.
                route["responses"].pop(_NEVER, None)
                if token and path not in OPEN:
                    route["security"] = [{"token": []}]
        for name in ("HTTPValidationError", "ValidationError"):
            told["components"]["schemas"].pop(name, None)
        if token:
            told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        return told

    app.openapi = openapi  # type: ignore[method-assign]
