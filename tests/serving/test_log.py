"""The log of what is served: every vector once, with all that was known of it, in either format."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.engine.served_logs import open_log
from jukebox.errors import InvalidValue, StorageError
from jukebox.serving.feature_log import FeatureLog
from jukebox.serving.log_buffers import is_sampled
from jukebox.serving.served import Served, ServedFeature, ServedFeatures
from tests.components.limits import unwritable
from tests.serving.logs import NOON, QUEUE, TEMP, files, in_each_format, rows, served

if TYPE_CHECKING:
    from pathlib import Path


@in_each_format
def test_every_vector_is_a_row_with_all_that_was_known_of_it(tmp_path: Path, storage: str) -> None:
    """Request, place in it, model, moment, keys, values, event times and states."""
    entities = {"origin": "JFK", "user": 7}, {"origin": "LGA", "user": 2**63}
    with FeatureLog(str(tmp_path), storage_format=storage) as log:
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
    assert (log.counts.offered, log.counts.written, log.counts.files, log.counts.waiting) == (2, 2, 1, 0)


@in_each_format
def test_requests_for_whatever_features_share_a_file(tmp_path: Path, storage: str) -> None:
    """Else all who ask for others make files of their own; two types of one column alone do not go into one."""
    with FeatureLog(str(tmp_path), storage_format=storage) as log:
        for n in range(60):
            names = [f"/entity/user/component/plays/name/f{k}@1" for k in (n % 7, n % 11 + 7, n + 20)]
            log(Served(str(n), NOON, [{"user": n}], [ServedFeature(name, [n], [None], ["fresh"]) for name in names]))
    assert (log.counts.written, log.counts.files) == (60, 1)
    for row in rows(tmp_path):
        n = row["key:user:integer"]
        there = {name: value for name, value in row.items() if row.get(f"{name} status") is not None}
        assert there == {f"/entity/user/component/plays/name/f{k}@1": n for k in (n % 7, n % 11 + 7, n + 20)}
    with FeatureLog(str(tmp_path / "types"), storage_format=storage) as log:
        for value in (1, "one", None):
            log(Served("r", NOON, [{"user": 1}], [ServedFeature(TEMP, [value], [None], ["fresh"])]))
    assert (log.counts.written, log.counts.files) == (3, 2)
    columns = [open_log(str(file)).read([TEMP]) for file in (tmp_path / "types").rglob("served-*")]
    assert sorted(len(batch) for batches in columns for batch in batches) == [1, 2]


def test_what_was_served_is_put_together_when_somebody_looks_and_once() -> None:
    """A reader tells of its round in no time; the log's thread has it."""
    made: list[int] = []

    def features() -> list[ServedFeature]:
        made.append(1)
        return [ServedFeature(TEMP, [1.0], [None], ["fresh"]), ServedFeature(QUEUE, [2], [None], ["fresh"])]

    told = Served("r", NOON, [{"user": 1}], ServedFeatures(features))
    assert made == []
    assert [each.feature for each in told.features] == [told.features[0].feature, QUEUE]
    assert (len(told.features), len(told.features[:1]), made) == (2, 1, [1])


@in_each_format
def test_features_in_roles_and_under_limits_of_age_have_columns_of_their_own(tmp_path: Path, storage: str) -> None:
    """One version of a feature may be asked for of two airports, and for the last hour alone."""
    roles = [("5m", {}), (None, {"to": "origin"}), (None, {})]
    features = [
        ServedFeature(TEMP, [float(n)], [None], ["fresh"], None, age, keys) for n, (age, keys) in enumerate(roles)
    ]
    with FeatureLog(str(tmp_path), storage_format=storage) as log:
        log(Served("r", NOON, [{"origin": "JFK", "to": "LGA"}], features))
    [row] = rows(tmp_path)
    assert [row[TEMP], row[f"{TEMP}?max_age=5m"], row[f"{TEMP}?key.to=origin"]] == [2.0, 0.0, 1.0]
    assert open_log(str(tmp_path)).features == (TEMP, f"{TEMP}?key.to=origin", f"{TEMP}?max_age=5m")


@in_each_format
def test_requests_for_other_features_and_of_other_keys_are_read_as_one_table(tmp_path: Path, storage: str) -> None:
    """What was not served to a row has no status there; a naive time stays one."""
    queue = ServedFeature(QUEUE, [4], [NOON.replace(tzinfo=None)], ["fresh"], pa.int64())
    with FeatureLog(str(tmp_path), storage_format=storage) as log:
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


@in_each_format
def test_a_sampled_key_is_in_the_log_with_all_of_its_vectors(tmp_path: Path, storage: str) -> None:
    """And what is left out is counted."""
    with FeatureLog(str(tmp_path), storage_format=storage, sample=0.3) as log:
        for _ in range(3):
            log(served(*({"user": n} for n in range(100))))
    found = [row["key:user:integer"] for row in rows(tmp_path)]
    assert {found.count(user) for user in set(found)} == {3}
    assert (log.counts.left_out, log.counts.written) == (300 - len(found), len(found))
    assert 15 < len(set(found)) < 45


def test_the_same_keys_are_logged_of_all_models_and_features(tmp_path: Path) -> None:
    """Whatever is asked of a key, and by whom, is there or is not."""
    queue = ServedFeature(QUEUE, [1] * 200, [None] * 200, ["fresh"] * 200, pa.int64())
    users = [{"user": n} for n in range(200)]
    with FeatureLog(str(tmp_path), sample=0.3) as log:
        log(served(*users))
        log(Served("s", NOON, [{"account": n} for n in range(200)], [queue], "another"))
        log(Served("t", NOON, [{"user": n, "item": -n} for n in range(200)], [queue]))
    found: dict[str, set[int]] = {"r": set(), "s": set(), "t": set()}
    for row in rows(tmp_path):
        found[row["request_id"]].add(
            row["key:user:integer"] if row["key:user:integer"] is not None else row["key:account:integer"]
        )
    assert found["r"] == found["s"] == {n for n in range(200) if is_sampled(users[n], 0.3)}
    assert found["t"] != found["r"]
    with FeatureLog(str(tmp_path / "by"), sample=0.3, sample_by=["user"]) as log:
        log(Served("t", NOON, [{"user": n, "item": -n} for n in range(200)], [queue]))
    assert {row["key:user:integer"] for row in rows(tmp_path / "by")} == found["r"]


@in_each_format
def test_files_are_cut_by_size_and_by_time(tmp_path: Path, storage: str) -> None:
    """None grows beyond what is held at once, and none waits for its second vector."""
    with FeatureLog(str(tmp_path / "size"), storage_format=storage, rotate_bytes=40_000, rotate_seconds=3_600) as log:
        for name in range(8):
            log(served(*({"user": n} for n in range(512)), request_id=str(name)))
        log.flush()
        assert log.counts.files > 2
    assert len(rows(tmp_path / "size")) == 8 * 512
    with FeatureLog(str(tmp_path / "time"), storage_format=storage, rotate_seconds=0.05) as log:
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sample": 1.5}, "sample is 1.5; it is a share between 0 and 1"),
        ({"sample": -0.1}, "sample is -0.1"),
        ({"capacity": 0}, "capacity is 0; it is more than 0"),
        ({"rotate_bytes": 0}, "rotate_bytes is 0"),
        ({"rotate_seconds": -1.0}, "rotate_seconds is -1.0"),
        ({"storage_format": "avro"}, "a log is not kept as 'avro'; it is kept as parquet or tfrecord"),
    ],
)
def test_limits_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    """Before anything is served."""
    with pytest.raises(InvalidValue, match=said):
        FeatureLog(str(tmp_path / "log"), **options)
    assert not (tmp_path / "log").exists()


def test_a_folder_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    """And not at the first vector; a folder that can be is left as it was."""
    for folder in unwritable(tmp_path):
        with pytest.raises(StorageError, match=r"cannot be written"):
            FeatureLog(folder)
    FeatureLog(str(tmp_path / "new"))
    assert files(tmp_path / "new") == []
