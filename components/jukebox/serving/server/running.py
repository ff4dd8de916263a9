"""Running the server until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from jukebox.errors import MissingDependency

try:
    import uvicorn
except ImportError as exc:
    raise MissingDependency.of("uvicorn", "serve") from exc

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from jukebox.serving.server.guards import App, Message, Receive, Send

_FAREWELL = 0.5
_CLOSE = b"connection", b"close"


class _Server(uvicorn.Server):
    """A server that, when it is told to stop, first tells whoever keeps a connection that it is the last answer.

    uvicorn closes kept connections without a word: a request that is on its way there is lost.
    """

    async def shutdown(self, sockets: Any = None) -> None:
        """End when it has told so, and what is under way has ended."""
        await asyncio.sleep(_FAREWELL)
        await super().shutdown(sockets)


def run(app: FastAPI, *, host: str, port: int, connections: int, patience: float) -> None:
    """Answer requests until SIGTERM or Ctrl-C; those under way then have ``patience`` seconds to end.

    For half a second before connections close, answers say that theirs is. Of more than ``connections`` at once the
    rest is answered with 503.
    """
    # uvicorn raises the signal again when all is done, which would end the process as if it had failed.
    signal.signal(signal.SIGTERM, lambda *_: None)
    config = uvicorn.Config(
        _parting(app, lambda: server.should_exit),
        host=host,
        port=port,
        limit_concurrency=connections,
        timeout_graceful_shutdown=max(1, round(patience)),
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    server = _Server(config)
    server.run()


def _parting(app: App, is_over: Callable[[], bool]) -> App:
    async def answers(scope: Message, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if is_over() and message["type"] == "http.response.start" and _CLOSE not in message["headers"]:
                message["headers"] = [*message["headers"], _CLOSE]
            await send(message)

        await app(scope, receive, told)

    return answers
