"""The log of what is served: every vector once, beside the reads, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jukebox.engine.served_logs import open_log
from jukebox.errors import InvalidValue
from jukebox.serving.feature_log import FeatureLog
from jukebox.serving.log_buffers import is_sampled
from jukebox.serving.served import Served, ServedFeature
from tests.components.limits import full_disk

NOON = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
TEMP, QUEUE = "/entity/airport/component/weather/name/temp@1", "/entity/airport/component/local/name/queue@2"


def served(*entities: dict[str, Any], request_id: str | None = "r", values: list[Any] | None = None) -> Served:
    """A round of one feature, by default its place as its value."""
    count = len(entities)
    found = [float(place) for place in range(count)] if values is None else values
    times = [NOON - timedelta(hours=1)] * count
    return Served(request_id, NOON, entities, [ServedFeature(TEMP, found, times, ["fresh"] * count, pa.float64())], "m")


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of the log."""
    log = open_log(str(folder))
    return pa.Table.from_batches(log.read(log.schema.names), log.schema).to_pylist()


def files(folder: Path) -> list[Path]:
    """Everything that lies below the log's folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_every_vector_is_a_row_with_all_that_was_known_of_it(tmp_path: Path) -> None:
    """Request, place in it, model, moment, keys, values, event times and states."""
    entities = {"origin": "JFK", "user": 7}, {"origin": "LGA", "user": 2**63}
    with FeatureLog(str(tmp_path)) as log:
        log(served(*entities, values=[20.5, None]))
    one, other = rows(tmp_path)
    assert one == {
        "request_id": "r",
        "position": 0,
        "model": "m",
        "served_at": NOON,
        "key:origin:text": "JFK",
        "key:user:integer": 7,
        "key:user:large integer": None,
        TEMP: 20.5,
        f"{TEMP} event_time": NOON - timedelta(hours=1),
        f"{TEMP} status": "fresh",
    }
    assert (other["position"], other["key:user:large integer"], other[TEMP]) == (1, 2**63, None)
    assert (log.counts.offered, log.counts.written, log.counts.files, log.counts.waiting) == (2, 2, 2, 0)


def test_features_in_roles_and_under_limits_of_age_have_columns_of_their_own(tmp_path: Path) -> None:
    """One version of a feature may be asked for of two airports, and for the last hour alone."""
    roles = [("5m", {}), (None, {"to": "origin"}), (None, {})]
    features = [
        ServedFeature(TEMP, [float(n)], [None], ["fresh"], None, age, keys) for n, (age, keys) in enumerate(roles)
    ]
    with FeatureLog(str(tmp_path)) as log:
        log(Served("r", NOON, [{"origin": "JFK", "to": "LGA"}], features))
    [row] = rows(tmp_path)
    assert [row[TEMP], row[f"{TEMP}?max_age=5m"], row[f"{TEMP}?key.to=origin"]] == [2.0, 0.0, 1.0]
    assert open_log(str(tmp_path)).features == (TEMP, f"{TEMP}?key.to=origin", f"{TEMP}?max_age=5m")


def test_requests_for_other_features_and_of_other_keys_are_read_as_one_table(tmp_path: Path) -> None:
    """What was not served to a row has no status there; a naive time stays one."""
    queue = ServedFeature(QUEUE, [4], [NOON.replace(tzinfo=None)], ["fresh"], pa.int64())
    with FeatureLog(str(tmp_path)) as log:
        log(served({"origin": "JFK"}, request_id="a"))
        log(Served("b", NOON, [{"airport": None, "n": 1}], [queue]))
        log(Served(None, NOON, [{"origin": 5}], [queue]))
    found = {row["request_id"]: row for row in rows(tmp_path)}
    assert [found[name][f"{TEMP} status"] for name in ("a", "b", None)] == ["fresh", None, None]
    assert [found[name][QUEUE] for name in ("a", "b", None)] == [None, 4, 4]
    assert (found["a"]["key:origin:text"], found[None]["key:origin:integer"], found["b"]["key:n:integer"]) == (
        "JFK",
        5,
        1,
    )
    assert open_log(str(tmp_path)).schema.field(f"{QUEUE} event_time").type == pa.timestamp("us")


def test_whole_keys_are_sampled_the_same_everywhere() -> None:
    """By the value of the key, whatever it is called; the share is met; and parts of a key may decide."""
    keys = [{"user": n} for n in range(20_000)]
    chosen = [is_sampled(key, 0.1) for key in keys]
    assert 1_850 < sum(chosen) < 2_150
    assert chosen == [is_sampled({"account": key["user"]}, 0.1) for key in keys]
    assert [is_sampled({"user": 7, "item": n}, 0.5, ["user"]) for n in range(50)] == [is_sampled({"user": 7}, 0.5)] * 50
    assert [place for place in range(60) if chosen[place]] == [19, 33, 39, 45, 49, 58]
    assert not is_sampled({"user": 7}, 0.0)


def test_a_sampled_key_is_in_the_log_with_all_of_its_vectors(tmp_path: Path) -> None:
    """And what is left out is counted."""
    with FeatureLog(str(tmp_path), sample=0.3) as log:
        for _ in range(3):
            log(served(*({"user": n} for n in range(100))))
    found = [row["key:user:integer"] for row in rows(tmp_path)]
    assert {found.count(user) for user in set(found)} == {3}
    assert (log.counts.left_out, log.counts.written) == (300 - len(found), len(found))
    assert 15 < len(set(found)) < 45


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


def test_files_are_cut_by_size_and_by_time(tmp_path: Path) -> None:
    """None grows beyond what is held at once, and none waits for its second vector."""
    with FeatureLog(str(tmp_path / "size"), rotate_bytes=40_000, rotate_seconds=3_600) as log:
        for name in range(8):
            log(served(*({"user": n} for n in range(512)), request_id=str(name)))
        log.flush()
        assert log.counts.files > 2
    assert len(rows(tmp_path / "size")) == 8 * 512
    with FeatureLog(str(tmp_path / "time"), rotate_seconds=0.05) as log:
        log(served({"user": 1}))
        deadline = time.monotonic() + 30
        while log.counts.written == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert log.counts.written == 1
        assert len(rows(tmp_path / "time")) == 1


def test_a_caller_may_change_its_entity_after_the_read(tmp_path: Path) -> None:
    """The log holds what it was at the time."""
    entity = {"user": 1}
    with FeatureLog(str(tmp_path)) as log:
        log(served(entity))
        entity["user"] = 2
    assert [row["key:user:integer"] for row in rows(tmp_path)] == [1]


def test_a_full_disk_is_counted_and_never_raised(tmp_path: Path) -> None:
    """Nothing that looks whole is left, and when there is room again the log goes on."""
    log = FeatureLog(str(tmp_path))
    with full_disk(512):
        log(served(*({"user": n} for n in range(5_000))))
        assert log.flush(60)
    assert (log.counts.failed, log.counts.written) == (5_000, 0)
    assert "too large" in (log.counts.error or "")
    assert files(tmp_path) == []
    log(served({"user": 1}))
    assert log.close()
    assert (log.counts.written, log.counts.waiting, len(rows(tmp_path))) == (1, 0, 1)


def test_a_folder_that_cannot_be_made_is_counted(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "log").write_text("in the way")
    with FeatureLog(str(tmp_path / "log")) as log:
        log(served({"user": 1}))
    assert (log.counts.failed, log.counts.written) == (1, 0)
    assert "log" in (log.counts.error or "")


def test_a_vector_that_has_no_place_in_a_file_fails_alone(tmp_path: Path) -> None:
    """A value of another type than its feature's, a key that is none; what was served beside them is there."""
    with FeatureLog(str(tmp_path)) as log:
        log(served({"user": 1}, {"user": 2}, {"user": 3}, values=[1.0, "two", 3.0]))
        log(served({"user": object()}))
        log(served({"user": 4}))
    assert sorted(row["key:user:integer"] for row in rows(tmp_path)) == [1, 3, 4]
    assert (log.counts.failed, log.counts.written) == (2, 3)


_CRASH = """
import os, sys, time
from tests.serving.test_log import FeatureLog, served
log = FeatureLog(sys.argv[1], rotate_seconds=3600)
log(served(*({"user": n} for n in range(1000)), request_id="first"))
assert log.flush()
log(served(*({"user": n} for n in range(1000)), request_id="second"))
while log._queued:
    time.sleep(0.01)
print("held", flush=True)
time.sleep(600)
"""


def test_a_killed_process_loses_what_was_not_written_and_no_more(tmp_path: Path) -> None:
    """What it leaves is whole."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", _CRASH, str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGKILL)
    assert [row["request_id"] for row in rows(tmp_path)] == ["first"] * 1000


def test_what_a_kill_leaves_of_a_file_is_not_read(tmp_path: Path) -> None:
    """Files are written under a hidden name and take their own at the end."""
    with FeatureLog(str(tmp_path)) as log:
        log(served({"user": 1}))
    [whole] = files(tmp_path)
    (whole.parent / f".{whole.name}.abc.tmp").write_bytes(whole.read_bytes()[:100])
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
    metrics = pytest.importorskip("jukebox.serving.server.metrics", reason="pip install 'jukebox[serve]' brings it")
    told = metrics.Metrics(lambda: 0)
    log = FeatureLog(str(tmp_path), capacity=1)
    told.logs(lambda: log.counts)
    log(served({"user": 1}, {"user": 2}))
    log(served({"user": 3}))
    log.close()
    lines = told.text().decode().splitlines()
    for outcome, count in {"offered": 3, "dropped": 2, "written": 1, "waiting": 0, "failed": 0, "left_out": 0}.items():
        assert f'jukebox_logged_vectors{{outcome="{outcome}"}} {count}.0' in lines


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sample": 1.5}, "sample is 1.5; it is a share between 0 and 1"),
        ({"sample": -0.1}, "sample is -0.1"),
        ({"capacity": 0}, "capacity is 0; it is more than 0"),
        ({"rotate_bytes": 0}, "rotate_bytes is 0"),
        ({"rotate_seconds": -1.0}, "rotate_seconds is -1.0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    """Before anything is served."""
    with pytest.raises(InvalidValue, match=said):
        FeatureLog(str(tmp_path), **options)
