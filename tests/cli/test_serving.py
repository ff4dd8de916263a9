"""``jukebox serve``: the command as a person runs it, in a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.engine.served_files import STORAGE_FORMATS
from jukebox.engine.served_logs import open_log
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


def started(scene: Scene, root: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start a server, and wait until it listens; return it and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from jukebox.cli import main; main()", "serve", "--port", str(port)]
    command += ["--model", f"late={scene.model}", "--features-only", "--timeout", "60", *options]
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


def test_connections_that_are_kept_lose_no_request_when_a_server_is_told_to_stop(scene: Scene, tmp_path: Path) -> None:
    """Clients that send request after request are told with an answer that it was the last; all are answered."""
    server, port = started(scene, tmp_path)
    answered, lost = [], []

    def reads() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            while True:
                client.request("POST", "/v1/features:read", BODY, {"Authorization": "Bearer s3cret"})
                answer = client.getresponse()
                answer.read()
                answered.append(answer.status)
                if answer.getheader("connection") == "close":
                    return
        except OSError as exc:
            lost.append(exc)
        finally:
            client.close()

    try:
        threads = [threading.Thread(target=reads) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(answered) < 50:
            time.sleep(0.01)
        server.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert (lost, set(answered)) == ([], {200})
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.communicate()


def _read(port: int, request_id: str) -> None:
    body = json.dumps({**json.loads(BODY), "request_id": request_id}).encode()
    about = {"Authorization": "Bearer s3cret", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/features:read", body, about)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("storage", list(STORAGE_FORMATS))
def test_a_server_that_is_told_to_stop_writes_its_log_and_one_that_is_killed_loses_what_it_held(
    scene: Scene, tmp_path: Path, storage: str
) -> None:
    """Both beside each other in one folder; the first says at the end what became of its vectors."""
    log = str(tmp_path / "log")
    servers = [started(scene, tmp_path, "--log", log, "--log-format", storage) for _ in range(2)]
    try:
        for (_, port), name in zip(servers, ("stopped", "killed"), strict=True):
            for n in range(3):
                _read(port, f"{name} {n}")
        servers[1][0].kill()
        servers[0][0].send_signal(signal.SIGTERM)
        out, err = servers[0][0].communicate(timeout=60)
        assert (servers[0][0].returncode, err) == (0, "")
        assert out.splitlines()[-1] == "3 vectors logged in 1 file"
        rows = pa.Table.from_batches(open_log(log).read(["request_id", f"{SEATS}@1"])).to_pydict()
        assert rows == {"request_id": [f"stopped {n}" for n in range(3)], f"{SEATS}@1": [100] * 3}
    finally:
        for server, _ in servers:
            server.kill()
            server.communicate()


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
        (["--log", "log", "--log-format", "csv"], "a log is not kept as 'csv'; it is kept as parquet or tfrecord"),
        (["--log", "features.yaml/log"], "features.yaml/log"),
    ],
)
def test_a_server_that_cannot_serve_does_not_start(jukebox: Terminal, arguments: list[str], words: str) -> None:
    """What is wrong with the command is one message."""
    assert words in jukebox.refused("serve", *arguments)
