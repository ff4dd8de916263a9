"""What stands before the server's routes: the token, the size of bodies, and the count of what was answered."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from jukebox.serving.server.values import to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from jukebox.serving.server.metrics import Metrics
    from jukebox.serving.server.settings import Limits

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = ("/healthz", "/readyz")
"""What a probe asks, which has no token."""
_TOO_LARGE, _TOO_SLOW = 413, 408
_JSON = b"content-type", b"application/json"


class Guard:
    """An ASGI application before another one: refuses what has no token or is too large or slow, and counts answers."""

    def __init__(self, app: App, *, token: str | None, limits: Limits, metrics: Metrics) -> None:
        self._app, self._limits, self._metrics = app, limits, metrics
        self._large = f"the body has more than {limits.body} bytes"
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Whatever a client says, bodies are JSON: curl -d calls them a form, and TensorFlow Serving takes them so.
        scope["headers"] = [*((n, v) for n, v in scope["headers"] if n != b"content-type"), _JSON]
        began, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            if not self._may(scope):
                await _refuse(noted, 401, "the request has no valid token", [(b"www-authenticate", b"Bearer")])
            elif _declared(scope) > self._limits.body:
                await _refuse(noted, _TOO_LARGE, self._large)
            else:
                await self._app(scope, self._limited(receive), noted)
        except Exception:
            if status == 0:
                await _refuse(noted, 500, "the server failed; its log says why")
            raise
        finally:
            path = getattr(scope.get("route"), "path", "(none)")
            self._metrics.answered(path, status, time.perf_counter() - began)

    def _limited(self, receive: Receive) -> Receive:
        """Return what receives a body that is neither too large nor too long in coming."""
        size, end, more = 0, time.monotonic() + self._limits.upload, True

        async def limited() -> Message:
            nonlocal size, more
            try:
                message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()) if more else None)
            except asyncio.TimeoutError as exc:
                # FastAPI lets no other error out of the reading of a body.
                raise HTTPException(_TOO_SLOW, f"the body is not there after {self._limits.upload:g} seconds") from exc
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
            if size > self._limits.body:
                raise HTTPException(_TOO_LARGE, self._large)
            return message

        return limited

    def _may(self, scope: Message) -> bool:
        if self._token is None or scope["path"] in OPEN:
            return True
        given = b"".join(value for name, value in scope["headers"] if name == b"authorization")
        scheme, _, token = given.partition(b" ")
        return hmac.compare_digest(token, self._token) and scheme.lower() == b"bearer"


def _declared(scope: Message) -> int:
    told = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(told[0]) if told and told[0].isdigit() else 0


async def _refuse(send: Send, status: int, why: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    body = to_json({"error": why})
    told = [_JSON, (b"content-length", str(len(body)).encode()), *(headers or [])]
    # What is left of the body is not read: the connection cannot be used again.
    told.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
