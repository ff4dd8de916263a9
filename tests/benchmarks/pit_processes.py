"""Where the engines of the point-in-time benchmark run: environments of their own, processes, a limit of memory."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PACKAGES = {
    "duckdb": ["duckdb"],
    "feast": ["feast[duckdb]"],
    "feastbigtable": ["feast", "google-cloud-bigtable"],
}
# Distribution whose version a result names, by the first word of the engine's name.
NAMED = {"floor": "pyarrow", "beam": "apache-beam", "polars": "polars", "duckdb": "duckdb", "feast": "feast"}
CGROUPS = Path("/sys/fs/cgroup")
# DuckDB spills to its working folder, by default until the disk is full.
SPILL = 20 * 2**30


class Skipped(Exception):
    """An engine that could not be run, or did not finish, and why."""


class Run(NamedTuple):
    """The figures of one process; ``walls`` are the engine's own, one a repeat, without interpreter and imports."""

    cpu_seconds: float
    wall_seconds: float
    work_cpu_seconds: float
    peak_mb: float
    walls: list[float]


def environment(folder: Path) -> dict[str, str]:
    """Return the variables for a process whose imports find compiled bytecode, as they do after an installation."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder.resolve() / "bytecode")}


def python_of(engine: str, folder: Path) -> Path:
    """Return the Python that runs an engine, in an environment that is made where it is missing.

    Raises Skipped where it cannot be made.
    """
    name = engine.split("_", maxsplit=1)[0]
    if name not in PACKAGES:
        return Path(sys.executable)
    python = folder / "environments" / name / "bin" / "python"
    if python.exists():
        return python
    uv = shutil.which("uv") or next(iter(HERE.parents[1].glob(".uv/bin/uv")), None)
    if uv is None:
        raise Skipped(f"{name} needs an environment of its own, and there is no uv to make it")
    base = Path(sys.base_prefix) / "bin" / "python3"
    home = python.parents[1]
    try:
        subprocess.run([uv, "venv", "-q", "--python", base, home], check=True, capture_output=True, text=True)
        command = [uv, "pip", "install", "-q", "--python", python, *PACKAGES[name]]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as exc:
        shutil.rmtree(home, ignore_errors=True)
        raise Skipped(f"{name} cannot be installed: {exc.stderr.strip().splitlines()[-1]}") from exc
    return python


def version_of(engine: str, python: Path) -> str:
    """Return the version of the engine's distribution."""
    package = "polars" if engine == "floor_polars" else NAMED.get(engine.split("_", maxsplit=1)[0], "jukebox")
    code = f"import importlib.metadata as m; print(m.version('{package}'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def run(
    engine: str, workload: Path, out: Path, folder: Path, *, repeats: int = 1, seconds: float = 900, limit: str = ""
) -> Run:
    """Return the figures of an engine's process, which leaves ``out``.

    ``limit`` is the path of a control group to join, or "data:BYTES" for the kernel's own limit. The process works in
    a folder that is removed with all that it spilled there. Raises Skipped where it takes longer than ``seconds`` or
    spills more than 20 GB, and with the last line of what it complained of.
    """
    out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        figures, complaint = Path(temporary) / "figures.json", Path(temporary) / "stderr"
        files = [workload.resolve(), out.resolve(), figures]
        command = [python_of(engine, folder).absolute(), HERE / "pit_peers.py", engine, *files, str(repeats)]
        spill = Path(temporary) / "working"
        spill.mkdir()
        kernel = {"JUKEBOX_KERNEL": "numpy"} if engine == "jukebox_numpy" else {}
        with complaint.open("w") as stderr:
            start = time.perf_counter()
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=spill,
                env=environment(folder) | kernel,
                preexec_fn=(lambda: _limited(limit)) if limit else None,  # noqa: PLW1509  no thread is running yet
            )
            ended, broken = threading.Event(), []
            watch = threading.Thread(target=_watched, args=(process, spill, seconds, ended, broken))
            watch.start()
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            ended.set()
            watch.join()
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Skipped(broken[0] if broken else _why(process.returncode, wall, complaint.read_text()))
        found = json.loads(figures.read_text())
    cpu = used.ru_utime + used.ru_stime
    return Run(cpu, wall, found["work_cpu_seconds"], found["peak_mb"], found["walls"])


def _watched(process: subprocess.Popen, spill: Path, seconds: float, ended: threading.Event, broken: list[str]) -> None:
    start = time.perf_counter()
    while not ended.wait(0.5):
        if time.perf_counter() - start > seconds:
            broken.append(f"not finished after {seconds:.0f} s")
        elif _size(spill) > SPILL:
            broken.append(f"more than {SPILL // 2**30} GB spilled to disk after {time.perf_counter() - start:.0f} s")
        if broken:
            process.kill()
            return


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            size += path.lstat().st_blocks * 512
    return size


def _why(code: int, wall: float, complaint: str) -> str:
    if code < 0:
        return f"killed by signal {-code} after {wall:.0f} s (9: out of memory)"
    return next((line for line in reversed(complaint.splitlines()) if line.strip()), f"exit code {code}")


def _limited(limit: str) -> None:
    if limit.startswith("data:"):
        size = int(limit.removeprefix("data:"))
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    else:
        (Path(limit) / "cgroup.procs").write_text("0")


@contextmanager
def memory_limit(size: int):
    """Give what ``run`` takes as its limit: a control group of either version, else a limit of the data segment."""
    for parent, file in ((CGROUPS / "memory", "memory.limit_in_bytes"), (CGROUPS, "memory.max")):
        group = parent / f"jukebox-benchmark-{os.getpid()}"
        try:
            group.mkdir()
            (group / file).write_text(str(size))
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            yield str(group)
        finally:
            group.rmdir()
        return
    yield f"data:{size}"
