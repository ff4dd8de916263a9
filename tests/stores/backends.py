"""The back ends of MLMD as the tests start them: PostgreSQL, MariaDB and our own gRPC server, each on a free port."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jukebox.stores.mlmd.addresses import parse

PASSWORD = 'p@ss: /?"%'
SPELLED = "p%40ss%3A%20%2F%3F%22%25"


def free_port() -> int:
    """Return a port of the loopback that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL; yields the URI of a store on it, without a database's name."""
    programs = [*Path("/usr/lib/postgresql").glob("*/bin")] or [Path(shutil.which("initdb") or "/no").parent]
    if not (programs[-1] / "initdb").exists():
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    with _folder() as folder:
        data, password = folder / "data", folder / "password"
        password.write_text(PASSWORD)
        _own(password)
        initdb = [programs[-1] / "initdb", "-D", data, "-U", "ann", "-A", "scram-sha-256", f"--pwfile={password}", "-N"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **_somebody())
        port = free_port()
        options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-k", folder]
        with _running([programs[-1] / "postgres", "-D", data, "-p", str(port), *options], folder, port, signal.SIGQUIT):
            yield f"mlmd+postgresql://ann:{SPELLED}@127.0.0.1:{port}"


@contextmanager
def mariadb() -> Iterator[str]:
    """Run MariaDB; yields the URI of a store on it, without a database's name."""
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("MariaDB is not here: apt-get install mariadb-server")
    with _folder() as folder:
        made = ["--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal"]
        subprocess.run([install, *made], check=True, capture_output=True, cwd=folder, **_somebody())
        (folder / "ann.sql").write_text(
            f"CREATE USER ann@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO ann@'127.0.0.1';\n"
            "CREATE DATABASE exact CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n"
        )
        port = free_port()
        where = [f"--datadir={folder}/data", f"--socket={folder}/socket", f"--pid-file={folder}/pid", f"--port={port}"]
        options = ["--bind-address=127.0.0.1", "--skip-name-resolve", f"--init-file={folder}/ann.sql"]
        with _running([server, "--no-defaults", *where, *options], folder, port, signal.SIGKILL):
            yield f"mlmd+mysql://ann:{SPELLED}@127.0.0.1:{port}"


@contextmanager
def grpc_server(store: str, *options: str) -> Iterator[str]:
    """Run ``jukebox metadata serve`` as a process of its own; yields the server's URI."""
    with server_process(store, *options) as (_, address):
        yield address


@contextmanager
def server_process(store: str, *options: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Run ``jukebox metadata serve``; yields its process, which may be ended by whoever has it, and the URI."""
    port = () if "--port" in options else ("--port", "0")
    command = [sys.executable, "-c", "from jukebox.cli import main; main()", "metadata", "serve", "--store", store]
    process = subprocess.Popen([*command, *port, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told = process.stdout.readline()
        assert " at mlmd+grpc://" in told, process.stderr.read()
        yield process, told.split(" at ")[1].split(",")[0]
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


def say(uri: str, statement: str) -> subprocess.Popen:
    """Start the database's own client, which says ``statement`` and ends."""
    address = parse(uri)
    client, variable, options = {
        "mlmd+postgresql": ("psql", "PGPASSWORD", ["-h", "127.0.0.1", "-p", str(address.port), "-U", "ann", "-c"]),
        "mlmd+mysql": ("mariadb", "MYSQL_PWD", ["-h127.0.0.1", f"-P{address.port}", "-uann", "-Ne"]),
    }[address.scheme]
    environment = {**os.environ, variable: PASSWORD}
    return subprocess.Popen(
        [client, *options, statement, address.database], env=environment, stdout=subprocess.PIPE, text=True
    )


@contextmanager
def locked(uri: str, table: str) -> Iterator[None]:
    """Hold a table of a PostgreSQL database for oneself."""
    holder = say(uri, f"BEGIN; LOCK TABLE {table}; SELECT pg_sleep(60)")
    held = f"SELECT pid FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'AccessExclusiveLock' AND granted"
    for _ in range(100):
        if "(1 row)" in say(uri, held).communicate()[0]:
            break
    else:
        raise TimeoutError
    try:
        yield
    finally:
        say(uri, f"SELECT pg_terminate_backend(pid) FROM ({held}) AS holding").communicate()
        holder.communicate()


class Servers(dict[str, str]):
    """The URIs of ``postgresql`` and ``mariadb``, each started when it is first asked for."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running

    def __missing__(self, kind: str) -> str:
        self[kind] = self._running.enter_context({"postgresql": postgresql, "mariadb": mariadb}[kind]())
        return self[kind]


def database(server: str) -> str:
    """Return the URI of a database that is not there yet."""
    return f"{server}/db_{secrets.token_hex(6)}"


@contextmanager
def _folder() -> Iterator[Path]:
    # Not tmp_path: PostgreSQL runs as somebody else than root, who may not look into root's folders.
    folder = Path(tempfile.mkdtemp(prefix="jb-"))
    _own(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, "nobody", "nogroup")


def _somebody() -> dict[str, object]:
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def _running(command: list[object], folder: Path, port: int, stop: signal.Signals) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **_somebody())
        try:
            _wait(process, port, folder / "log")
            yield
        finally:
            process.send_signal(stop)
            process.wait(timeout=60)


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(log.read_text())
