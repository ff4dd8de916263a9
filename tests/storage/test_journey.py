"""The way from a declaration to statistics over object stores: nothing but the registry lies on this machine."""

from __future__ import annotations

import threading
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import (
    convert,
    feature_statistics,
    offline_load,
    point_in_time_join,
    register_features,
    verify_training_set,
)
from jukebox.engine import beam_files
from jukebox.engine.datasets import open_data
from jukebox.engine.feature_tables import write_partition
from jukebox.engine.replaying import replay
from jukebox.errors import NoPartition, SourceChanged, StorageError
from jukebox.formats import parquet, tfrecord
from jukebox.storage import place_of
from jukebox.tables import Manifest, partition_folder, written_whole
from tests.components.place import DAYS, LATE, SEATS, TEMP, UTC, Place, at, furnish, write

if TYPE_CHECKING:
    from pathlib import Path

    from jukebox.storage import Remote

LABELS = pa.table(
    {
        "origin": ["JFK", "LGA", "JFK", "JFK"],
        "dest": ["SFO", "SFO", None, "SFO"],
        "tail": ["N1", "N2", "N1", "N9"],
        "at": pa.array([at("01 07:30"), at("02 03:00"), at("03 23:00"), at("03 23:00")], UTC),
        "n": [0, 1, 2, 3],
    }
)


def run_everything(root: str, registry: str) -> dict[str, Manifest]:
    """Run each component on what lies below ``root``, and leave what it makes there."""
    made = {"set": register_features.run(features=f"{root}/features.yaml", registry=registry, out=f"{root}/set")}
    for endpoint, days in {"weather": DAYS, "planes": DAYS[-1:], "routes": DAYS}.items():
        about = {"source": f"{root}/source", "registry": registry, "start": days[0], "end": days[-1]}
        made[endpoint] = offline_load.run(endpoint=endpoint, out=f"{root}/{endpoint}", **about)
    asked = {"features": (TEMP, SEATS, LATE), "registry": registry, "label_time": "at", "split": "hash:0.5:n"}
    made["training"] = point_in_time_join.run(labels=f"{root}/labels.parquet", out=f"{root}/training", **asked)
    parts = {"schema_out": f"{root}/schema", "anomalies_out": f"{root}/anomalies"}
    for data in ("training", "weather"):
        made[f"{data} statistics"] = feature_statistics.run(data=f"{root}/{data}", out=f"{root}/statistics", **parts)
    made["verified"] = verify_training_set.run(training_set=f"{root}/training", out=f"{root}/verified", rows=4, seed=1)
    return made


def sent(place: Place, bucket: str) -> None:
    """Copy the sources and the declaration into the bucket."""
    for file in [*place.source.rglob("*"), place.root / "features.yaml", place.root / "labels.parquet"]:
        if file.is_file():
            with written_whole(place_of(bucket, *file.relative_to(place.root).parts)) as temporary:
                temporary.write_bytes(file.read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return sources and labels on this machine."""
    made = furnish(tmp_path)
    write(made.root / "labels.parquet", LABELS)
    return made


def test_the_journey_in_a_bucket_leaves_what_it_leaves_on_disk(bucket: str, place: Place) -> None:
    """The same rows, statistics and proof, file by file; and what is made there is made again."""
    sent(place, bucket)
    here = run_everything(str(place.root), f"mlmd+sqlite://{place.root}/here.db")
    there = run_everything(bucket, f"mlmd+sqlite://{place.root}/there.db")
    assert {name: one.fingerprint for name, one in here.items()} == {n: one.fingerprint for n, one in there.items()}
    ours, theirs = (open_data(f"{root}/training") for root in (place.root, bucket))
    for split in ("train", "eval"):
        assert _rows(ours.splits[split]()) == _rows(theirs.splits[split]())
        names = [
            sorted(path.name for path in place_of(f"{r}/training/Split-{split}").glob("*"))
            for r in (place.root, bucket)
        ]
        assert names[0] == names[1]
        records = [_rows(tfrecord.read(f"{root}/training/Split-{split}")) for root in (place.root, bucket)]
        assert records[0] == records[1]
    assert replay(f"{bucket}/training").other_bytes == ()
    converted = convert.run(source=f"{bucket}/labels.parquet", out=f"{bucket}/converted", to_format="tfrecord")
    assert converted.rows == LABELS.num_rows


def test_a_training_set_joined_on_beam_in_a_bucket_is_the_one_joined_here(bucket: str, place: Place) -> None:
    """Labels pass through a folder of the bucket, of which nothing is left."""
    sent(place, bucket)
    about = {"registry": place.registry, "source": f"{bucket}/source", "start": DAYS[0], "end": DAYS[-1]}
    offline_load.run(endpoint="weather", out=f"{bucket}/weather", **about)
    asked = {"labels": f"{bucket}/labels.parquet", "label_time": "at", "registry": place.registry, "features": (TEMP,)}
    here = point_in_time_join.run(**asked, out=f"{bucket}/made/here")
    on_beam = point_in_time_join.run(
        **asked, out=f"{bucket}/made/on_beam", beam_pipeline_args=["--direct_num_workers=1"]
    )
    assert on_beam.fingerprint == here.fingerprint
    assert {one.relative_to(place_of(bucket, "made")).parts[0] for one in place_of(bucket, "made").files_below()} == {
        "here",
        "on_beam",
    }


@pytest.mark.parametrize("most", [0, 1 << 30])
def test_a_file_of_any_size_gets_its_name(bucket: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 copies what is small enough, and of the name of before nothing is left."""
    monkeypatch.setattr(beam_files, "MOST_COPIED", most)
    with beam_files.created(f"{bucket}/begun") as target:
        target.write(b"rows")
    beam_files.renamed(f"{bucket}/begun", f"{bucket}/whole")
    assert [(file.name, file.read_bytes()) for file in place_of(bucket).files_below()] == [("whole", b"rows")]


def _rows(batches: Any) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def test_a_date_without_data_is_told_with_those_there_are(bucket: str, place: Place) -> None:
    """The bucket is listed for them."""
    sent(place, bucket)
    about = {"registry": place.registry, "out": f"{bucket}/table", "source": f"{bucket}/source"}
    with pytest.raises(NoPartition, match=r"no partition for 2024-02-01.*3 there, from 2024-01-01 to 2024-01-03"):
        offline_load.run(endpoint="weather", date="2024-02-01", **about)
    assert not place_of(f"{bucket}/table").exists()


def test_a_partition_that_goes_is_found_out(bucket: str, place: Place) -> None:
    """The training set cannot be made again, and the error names what is gone."""
    sent(place, bucket)
    about = {"registry": place.registry, "source": f"{bucket}/source", "start": DAYS[0], "end": DAYS[-1]}
    offline_load.run(endpoint="weather", out=f"{bucket}/weather", **about)
    asked = {"labels": f"{bucket}/labels.parquet", "label_time": "at", "registry": place.registry}
    point_in_time_join.run(**asked, features=(TEMP,), out=f"{bucket}/training")
    gone = partition_folder(f"{bucket}/weather", date.fromisoformat(DAYS[0]))
    for file in list(gone.glob("*")):
        file.unlink()
    with pytest.raises(SourceChanged, match=f"the partition {gone} is gone"):
        replay(f"{bucket}/training")


def test_readers_of_a_partition_that_is_swapped_see_one_load_or_the_other(bucket: str) -> None:
    """Two loads write the same date over and over: what is read is never of both, nor a part of one."""
    day, done, seen = date(2024, 1, 1), threading.Event(), set()
    about = Manifest("partition", schema={"n": "int64"}, details={"features": {}})

    def load(number: int) -> None:
        for _ in range(6):
            batches = [pa.record_batch([pa.array([number] * 500)], ["n"]) for _ in range(3)]
            write_partition(bucket, day, iter(batches), about)

    load(0)
    writers = [threading.Thread(target=load, args=(number,)) for number in (1, 2)]
    watching = threading.Thread(target=lambda: ([one.join() for one in writers], done.set()))
    for one in (*writers, watching):
        one.start()
    while not done.is_set():
        seen.add(_seen(partition_folder(bucket, day)))
    watching.join()
    seen.add(_seen(partition_folder(bucket, day)))
    assert seen - {None} <= {(0,), (1,), (2,)}
    assert seen & {(1,), (2,)}
    assert _seen(partition_folder(bucket, day)) is not None


def _seen(folder: Remote) -> tuple[int, ...] | None:
    """Return the numbers that a partition holds, None where its file was removed between the two looks."""
    made = Manifest.read(folder, "partition")
    try:
        rows = [row["n"] for batch in parquet.read(folder / made.details["data"]) for row in batch.to_pylist()]
    except (StorageError, NoPartition):
        return None
    assert len(rows) == made.rows == 1_500
    return tuple(set(rows))
