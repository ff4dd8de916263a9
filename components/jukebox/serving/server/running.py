"""Running the server until it is told to stop."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from jukebox.errors import MissingDependency

try:
    import uvicorn
except ImportError as exc:
    raise MissingDependency.of("uvicorn", "serve") from exc

if TYPE_CHECKING:
    from fastapi import FastAPI


def run(app: FastAPI, *, host: str, port: int, connections: int, patience: float) -> None:
    """Answer requests until SIGTERM or Ctrl-C; those under way then have ``patience`` seconds to end.

    Of more than ``connections`` at once the rest is answered with 503.
    """
    # uvicorn raises the signal again when all is done, which would end the process as if it had failed.
    signal.signal(signal.SIGTERM, lambda *_: None)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        limit_concurrency=connections,
        timeout_graceful_shutdown=max(1, round(patience)),
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    uvicorn.Server(config).run()
