"""``jukebox serve``: the command as a person runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.components.place import SEATS
from tests.serving.conftest import Scene, staged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Terminal
    from tests.components.place import Place

pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'jukebox[serve]'")
BODY = json.dumps({"features": [SEATS], "entities": [{"tail": "N1"}]}).encode()


@pytest.fixture
def scene(here: Place) -> Scene:
    """The scene of serving, in the test's own place."""
    return staged(here)


def started(scene: Scene, root: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a server, and wait until it listens; return it and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from jukebox.cli import main; main()", "serve", "--port", str(port)]
    command += ["--model", f"late={scene.model}", "--features-only", "--timeout", "60"]
    env = {**os.environ, "JUKEBOX_REGISTRY": scene.registry, "JUKEBOX_TOKEN": "s3cret"}
    server = subprocess.Popen(command, cwd=root, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:  # noqa: PERF203 - it starts
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return server, port


def test_a_server_that_is_told_to_stop_answers_what_is_under_way(scene: Scene, tmp_path: Path) -> None:
    """A request whose body is half there when SIGTERM comes is answered, and the server ends without a complaint."""
    server, port = started(scene, tmp_path)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            head = f"POST /v1/features:read HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n"
            client.sendall(f"{head}authorization: Bearer s3cret\r\n\r\n".encode() + BODY[:10])
            # Whoever is answered now has been accepted after the half of a request.
            with socket.create_connection(("127.0.0.1", port), timeout=60) as other:
                other.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert other.recv(1_000).startswith(b"HTTP/1.1 200")
            server.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            client.sendall(BODY[10:])
            answer = b""
            while part := client.recv(10_000):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["vectors"][0][SEATS]["value"] == 100
        out, err = server.communicate(timeout=60)
        assert (server.returncode, err) == (0, "")
        assert f"http://127.0.0.1:{port}" in out
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "late"], "'late' is no model; it is written late="),
        (["--model", "a=x", "--model", "a=y"], "gives 'a' twice"),
        (["--model", "a=nowhere"], "no SavedModel in nowhere"),
        (["--model", "a=nowhere", "--features-only"], "no artifact at 'nowhere'"),
        (["--token", "schlüssel"], "beyond ASCII"),
        (["--timeout", "0"], "limit of seconds is 0"),
        (["--hedge-after", "-1"], "hedge_after is -1"),
        (["--log", "log", "--log-sample", "2"], "sample is 2"),
    ],
)
def test_a_server_that_cannot_serve_does_not_start(jukebox: Terminal, arguments: list[str], words: str) -> None:
    """What is wrong with the command is one message."""
    assert words in jukebox.refused("serve", *arguments)
