"""A load that breaks off, whatever the reason: nothing half-written looks whole, and a rerun works."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from jukebox import offline_load
from jukebox.errors import CorruptData, NoPartition, StorageError
from jukebox.formats import parquet
from jukebox.stores import open_registry
from jukebox.tables import Manifest, partitions
from tests.components.limits import full_disk, unwritable
from tests.components.place import DAYS, TEMP, UTC, files, labels, write

if TYPE_CHECKING:
    from tests.components.place import Place

MANY = [date(2024, 1, 1) + timedelta(days=n) for n in range(60)]
LOADER = """\
import json, sys
from jukebox import offline_load, stores, formats
stores.open_registry(json.loads(sys.argv[1])["registry"])
print(0, flush=True)
sys.stdin.readline()
offline_load.run(**json.loads(sys.argv[1]), progress=lambda done, _: print(done, flush=True))
"""


def first_day(place: Place) -> Path:
    """Return the source file of the first day."""
    return place.source / "weather" / f"{DAYS[0]}.parquet"


def is_known(place: Place) -> bool:
    """Return whether the registry knows where the temperature lies."""
    return bool(open_registry(place.registry).offline_sources(f"{TEMP}@1"))


@pytest.mark.parametrize("day", [0, 2])
@pytest.mark.parametrize("damage", ["truncated", "overwritten", "text"])
def test_a_corrupt_source_is_refused_by_its_name_and_a_mended_one_loads(here: Place, damage: str, day: int) -> None:
    """No table is there after it, nor does the registry know one; the rerun gives what an undisturbed load gives."""
    path = here.source / "weather" / f"{DAYS[day]}.parquet"
    whole = path.read_bytes()
    damaged = {
        "truncated": whole[:-20],
        "overwritten": whole[: len(whole) // 2] + bytes(len(whole) // 2),
        "text": b"a,b\n",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(CorruptData, match=f"{DAYS[day]}.parquet is not whole Parquet"):
        here.load()
    assert not (here.table / "manifest.json").exists()
    assert [str(there) for there in partitions(here.table)] == list(DAYS[:day])
    assert not is_known(here)
    path.write_bytes(whole)
    assert here.load().fingerprint == here.load(out=str(here.root / "undisturbed")).fingerprint


def test_a_corrupt_source_leaves_the_partition_that_was_there(here: Place) -> None:
    """What was loaded before is there byte for byte, and is still joined."""
    here.load()
    before = files(here.table)
    first_day(here).write_bytes(b"PAR1 and no more")
    with pytest.raises(CorruptData):
        here.load()
    assert files(here.table) == before
    here.join(labels(("JFK", "01 07:30")))
    assert here.joined()["temp"].to_pylist() == [6.0]


def test_a_place_that_cannot_be_written_is_refused(here: Place) -> None:
    """File modes do not stop root, so the places are below a regular file and in /proc; elsewhere the load works."""
    for out in unwritable(here.root):
        with pytest.raises(StorageError, match="cannot be written"):
            here.load(out=out)
    assert not is_known(here)
    assert here.load().rows == 24


def test_a_full_disk_is_an_error_and_leaves_the_old_partition(here: Place) -> None:
    """The disk is as good as full where no file may grow beyond a megabyte; with room again the load works."""
    here.load()
    before = files(here.table)
    hours = [datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=n) for n in range(200_000)]
    values = np.random.default_rng(1).random(len(hours))
    times = pa.array(hours, UTC)
    about = {"origin": ["JFK"] * len(hours), "hour": times, "known_at": times, "temp": values, "wind_speed": values}
    write(first_day(here), pa.table(about))
    with full_disk(1 << 20), pytest.raises(StorageError, match="cannot be written"):
        here.load(date=DAYS[0])
    assert files(here.table) == before
    assert here.load(date=DAYS[0]).rows == 200_016


def many_days(place: Place, temp: float) -> dict[str, str]:
    """Write sixty days of weather; return the parameters of their load."""
    for day in MANY:
        hour = datetime(day.year, day.month, day.day, 6, tzinfo=timezone.utc)
        place.weather(str(day), [("JFK", hour, hour, temp, 0.0)] * 1000)
    where = {"endpoint": "weather", "source": str(place.source), "registry": place.registry, "out": str(place.table)}
    return {**where, "start": str(MANY[0]), "end": str(MANY[-1])}


def loading(parameters: dict[str, str]) -> subprocess.Popen[str]:
    """Return a process that loads as soon as it is told a line, and tells how many partitions are done."""
    command = [sys.executable, "-c", LOADER, json.dumps(parameters)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def broken_off(parameters: dict[str, str], kind: signal.Signals, after: int) -> int:
    """Load in a process of its own, signal it after so many partitions, and return its exit code."""
    with loading(parameters) as process:
        print(file=process.stdin, flush=True)
        for line in process.stdout or ():
            if int(line) == after:
                process.send_signal(kind)
    return process.returncode


def whole_partitions(place: Place) -> dict[date, str]:
    """Return the fingerprints of the partitions, each of which is read to its last row."""
    there = partitions(place.table)
    for day, part in there.items():
        path = place.table / f"date={day}" / part.details["data"]
        assert sum(batch.num_rows for batch in parquet.read(path)) == part.rows == 1000
    return {day: part.fingerprint for day, part in there.items()}


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_a_first_load_that_is_killed_leaves_no_table_and_a_rerun_is_as_if_undisturbed(
    here: Place, kind: signal.Signals
) -> None:
    """Whole days may be there, but neither a manifest of the table nor word of it in the registry."""
    parameters = many_days(here, 1.0)
    assert broken_off(parameters, kind, after=20) == -kind
    assert 20 <= len(whole_partitions(here)) < len(MANY)
    assert not (here.table / "manifest.json").exists()
    assert not is_known(here)
    again = offline_load.run(**parameters)
    undisturbed = offline_load.run(**{**parameters, "out": str(here.root / "undisturbed")})
    assert (again.fingerprint, again.inputs) == (undisturbed.fingerprint, undisturbed.inputs)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_a_second_load_that_is_killed_leaves_every_date_old_or_new_and_whole(here: Place, kind: signal.Signals) -> None:
    """Each date is joined as one or the other; the rerun leaves the new rows and nothing of the old."""
    old = {part.fingerprint for part in _loaded(many_days(here, 1.0))}
    parameters = many_days(here, 2.0)
    assert broken_off(parameters, kind, after=30) == -kind
    mixed = whole_partitions(here)
    assert len(mixed) == len(MANY)
    assert 30 <= sum(fingerprint not in old for fingerprint in mixed.values()) < len(MANY)
    here.join(labels(("JFK", "01 07:30")))
    assert here.joined()["temp"].to_pylist() == [2.0]
    new = {part.fingerprint for part in _loaded(parameters)}
    assert not old & new
    # A killed writer's temporary file starts with a dot and is never read.
    left = [path for path in here.table.rglob("part-*.parquet") if path.is_file()]
    assert len(left) == len(MANY)


def _loaded(parameters: dict[str, str]) -> list[Manifest]:
    return list(partitions(offline_load.run(**parameters).uri).values())


def test_loads_of_other_dates_into_one_table_at_once_lose_none(here: Place) -> None:
    """The table's manifest and the registry tell of all dates, whichever process ended last."""
    parameters = many_days(here, 1.0)
    spans = [{"start": str(part[0]), "end": str(part[-1])} for part in (MANY[0:5], MANY[5:10], MANY[10:15])]
    loads = [loading({**parameters, **span}) for span in spans]
    ready = [load.stdout.readline() for load in loads if load.stdout is not None]
    assert ready == ["0\n"] * 3
    for load in loads:
        print(file=load.stdin, flush=True)
    for load in loads:
        load.communicate(timeout=60)
    assert [load.returncode for load in loads] == [0] * 3
    [source] = open_registry(here.registry).offline_sources(f"{TEMP}@1")
    table = Manifest.read(here.table, "feature_table")
    assert table.details["dates"] == [str(day) for day in source.dates] == [str(day) for day in MANY[:15]]
    assert source.fingerprint == table.fingerprint


def test_a_data_set_that_is_gone_is_a_missing_partition(here: Place) -> None:
    """An endpoint that is not dated names the place where it should lie."""
    (here.source / "planes.csv").unlink()
    with pytest.raises(NoPartition, match=r"'planes' has no data at .*planes\.csv"):
        here.load("planes")
