"""What the log loses and what it does not: full queues and disks, kills, forks, and servers side by side."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jukebox.engine.served_logs import open_log
from jukebox.serving.feature_log import FeatureLog
from tests.components.limits import full_disk
from tests.serving.logs import files, in_each_format, rows, served


def test_a_full_queue_drops_rounds_and_counts_them(tmp_path: Path) -> None:
    """The reader is never made to wait: what does not fit is let go, and the rest is there."""
    with FeatureLog(str(tmp_path), capacity=10) as log:
        gate = threading.Event()
        log._sampled = lambda _: gate.wait(30)
        for name in ("a", "b", "c"):
            log(served({"user": 1}, {"user": 2}, {"user": 3}, {"user": 4}, request_id=name))
        assert (log.counts.offered, log.counts.dropped, log.counts.waiting) == (12, 4, 8)
        gate.set()
    assert log.counts.written == 8
    assert {row["request_id"] for row in rows(tmp_path)} == {"a", "b"}


def test_what_comes_after_the_end_is_dropped_and_counted(tmp_path: Path) -> None:
    """A server that stops may still be answering."""
    log = FeatureLog(str(tmp_path))
    assert log.close()
    log(served({"user": 1}))
    assert (log.counts.offered, log.counts.dropped, files(tmp_path)) == (1, 1, [])


@in_each_format
@pytest.mark.parametrize("room", [300, 3_000])
def test_a_full_disk_is_counted_and_told_once_and_never_raised(
    tmp_path: Path, storage: str, room: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that looks whole is left, and when there is room again the log goes on, and says what is gone."""
    log = FeatureLog(str(tmp_path), storage_format=storage)
    with full_disk(room), caplog.at_level(logging.WARNING):
        for _ in range(2):
            log(served(*({"user": n} for n in range(5_000))))
            assert log.flush(60)
    assert (log.counts.failed, log.counts.written) == (10_000, 0)
    assert "too large" in (log.counts.error or "")
    assert files(tmp_path) == []
    [lost] = caplog.messages
    assert lost.startswith(f"served vectors are lost to the log in {tmp_path}, reads go on: ")
    log(served({"user": 1}))
    log(served({"user": 2}))
    assert log.close()
    assert (log.counts.written, log.counts.waiting, len(rows(tmp_path))) == (2, 0, 2)
    assert caplog.messages[1:] == [f"the log in {tmp_path} is written again; 10000 served vectors were lost"]


def test_a_folder_that_is_gone_later_is_counted(tmp_path: Path) -> None:
    """A file is in its place."""
    with FeatureLog(str(tmp_path / "log")) as log:
        (tmp_path / "log").rmdir()
        (tmp_path / "log").write_text("in the way")
        log(served({"user": 1}))
    assert (log.counts.failed, log.counts.written) == (1, 0)
    assert "log" in (log.counts.error or "")


@in_each_format
def test_a_vector_that_has_no_place_in_a_file_fails_alone(tmp_path: Path, storage: str) -> None:
    """A value of another type than its feature's, a key that is none; what was served beside them is there."""
    with FeatureLog(str(tmp_path), storage_format=storage) as log:
        log(served({"user": 1}, {"user": 2}, {"user": 3}, values=[1.0, "two", 3.0]))
        log(served({"user": object()}))
        log(served({"user": 4}))
    assert sorted(row["key:user:integer"] for row in rows(tmp_path)) == [1, 3, 4]
    assert (log.counts.failed, log.counts.written) == (2, 3)


_CRASH = """
import os, sys, time
from jukebox.serving.feature_log import FeatureLog
from tests.serving.logs import served
log = FeatureLog(sys.argv[1], rotate_seconds=3600, storage_format=sys.argv[2])
log(served(*({"user": n} for n in range(1000)), request_id="first"))
assert log.flush()
log(served(*({"user": n} for n in range(1000)), request_id="second"))
while log._queued:
    time.sleep(0.01)
print("held", flush=True)
time.sleep(600)
"""


@in_each_format
def test_a_killed_process_loses_what_was_not_written_and_no_more(tmp_path: Path, storage: str) -> None:
    """What it leaves is whole."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", _CRASH, str(tmp_path), storage]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGKILL)
    assert [row["request_id"] for row in rows(tmp_path)] == ["first"] * 1000


@in_each_format
def test_what_a_kill_leaves_of_a_file_is_not_read(tmp_path: Path, storage: str) -> None:
    """Files are written under a hidden name and take their own at the end."""
    with FeatureLog(str(tmp_path), storage_format=storage) as log:
        log(served({"user": 1}))
    for whole in files(tmp_path):
        (whole.parent / f".{whole.name}.abc.tmp").write_bytes(whole.read_bytes()[:100])
    if storage == "tfrecord":
        # Of a kill between the two: the columns are told, and there are no records.
        [columns] = [file for file in files(tmp_path) if file.suffix == ".json"]
        columns.with_name(columns.name.replace("served-2", "served-3")).write_bytes(columns.read_bytes())
    assert len(rows(tmp_path)) == 1


def _serve_in_a_child(log: FeatureLog) -> None:
    log(served({"user": 2}, request_id="child"))
    log.close()


def test_each_process_after_a_fork_writes_its_own_and_nothing_twice(tmp_path: Path) -> None:
    """Servers fork: the log may be made before."""
    log = FeatureLog(str(tmp_path), rotate_seconds=3_600)
    log(served({"user": 1}, request_id="parent"))
    child = multiprocessing.get_context("fork").Process(target=_serve_in_a_child, args=(log,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert log.close()
    assert sorted(row["request_id"] for row in rows(tmp_path)) == ["child", "parent"]


_SERVE = """
import sys
from jukebox.serving.feature_log import FeatureLog
from tests.serving.logs import served
with FeatureLog(sys.argv[1], rotate_bytes=20_000, storage_format=sys.argv[2]) as log:
    for name in range(40):
        log(served(*({"user": n} for n in range(100)), request_id=f"{sys.argv[2]} {name}"))
        log.flush()
"""


def test_servers_side_by_side_write_into_one_folder_whatever_their_formats(tmp_path: Path) -> None:
    """Their files are read as one log; nothing is lost or twice."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": path}
    commands = [[sys.executable, "-c", _SERVE, str(tmp_path), storage] for storage in ("parquet", "tfrecord")]
    servers = [subprocess.Popen(command, env=env) for command in commands]
    assert [server.wait(120) for server in servers] == [0, 0]
    log = open_log(str(tmp_path))
    assert len(log.files) == log.count_rows() / 100 == 80
    assert sorted((row["request_id"], row["position"]) for row in rows(tmp_path)) == sorted(
        (f"{storage} {name}", n) for storage in ("parquet", "tfrecord") for name in range(40) for n in range(100)
    )


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    """The counts add up, and so do the rows."""
    with FeatureLog(str(tmp_path), capacity=10**6) as log:
        threads = [
            threading.Thread(target=lambda: [log(served({"user": n}, {"user": -n})) for n in range(1, 200)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert log.counts.offered == log.counts.written == len(rows(tmp_path)) == 8 * 199 * 2


def test_the_servers_metrics_tell_what_becomes_of_vectors(tmp_path: Path) -> None:
    """Whatever is dropped can be seen from outside."""
    for name in ("fastapi", "prometheus_client"):
        pytest.importorskip(name, reason="pip install 'jukebox[serve]' brings it")
    from jukebox.serving.server.metrics import Metrics

    told = Metrics(lambda: 0)
    log = FeatureLog(str(tmp_path), capacity=1)
    told.logs(lambda: log.counts)
    log(served({"user": 1}, {"user": 2}))
    log(served({"user": 3}))
    log.close()
    lines = told.text().decode().splitlines()
    for outcome, count in {"offered": 3, "dropped": 2, "written": 1, "waiting": 0, "failed": 0, "left_out": 0}.items():
        assert f'jukebox_logged_vectors{{outcome="{outcome}"}} {count}.0' in lines
