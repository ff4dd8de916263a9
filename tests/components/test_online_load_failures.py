"""An online load that breaks off, or that is not alone: nothing old is served for new, and a rerun works."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from jukebox import online_load
from jukebox.errors import CorruptData, NotRegistered, StorageError
from jukebox.serving import FeatureReader
from jukebox.stores import open_registry
from jukebox.tables import Manifest
from tests.components.limits import full_disk, unwritable
from tests.components.place import DAYS, TEMP, at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place

KEYS = 60_000
LOADER = """\
import json, sys
from jukebox import online_load, stores
print(0, flush=True)
sys.stdin.readline()
online_load.run(**json.loads(sys.argv[1]))
"""


def parameters(place: Place, **about: Any) -> dict[str, Any]:
    """Return the parameters of a load of the temperature."""
    return {"store": f"sqlite://{place.root}/online.db", "registry": place.registry, "features": [TEMP], **about}


def many_keys(place: Place, day: str, temp: float) -> str:
    """Load a day with many airports into a feature table of its own; return the table."""
    hour, known = at(f"{day[-2:]} 06:00"), at(f"{day[-2:]} 07:00")
    place.weather(day, [(f"A{n}", hour, known, temp, 0.0) for n in range(KEYS)])
    return place.load(date=day, out=str(place.root / "tables" / day)).uri


def loading(about: dict[str, Any]) -> subprocess.Popen[str]:
    """Return a process that loads as soon as it is told a line."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", LOADER, json.dumps(about)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    return process


def temperatures(path: Path, place: Place) -> dict[str, int]:
    """Return how many of all the airports have which temperature, by what the store serves."""
    found: dict[str, int] = {}
    entities = [{"airport": f"A{n}"} for n in range(KEYS)]
    reader = FeatureReader(place.registry, store=f"sqlite://{path}")
    for [value] in reader.read_many(entities, [TEMP], at=at("04 00:00")):
        found[str(value.too_old)] = found.get(str(value.too_old), 0) + 1
    return found


def stored(path: Path) -> int:
    """Return how many rows the store holds just now."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM cells").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_load_that_is_killed_is_not_known_and_a_rerun_completes_it(here: Place) -> None:
    """Some of the rows are there; the features are not served from them before the load is done."""
    many_keys(here, DAYS[0], 1.0)
    path = here.root / "online.db"
    with loading(parameters(here)) as process:
        print(file=process.stdin, flush=True)
        while stored(path) == 0:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert 0 < stored(path) < KEYS
    with pytest.raises(NotRegistered):
        open_registry(here.registry).online_source(f"{TEMP}@1")
    [load] = online_load.run(**parameters(here)).details["tables"]
    assert 0 < load["written"] < load["rows"] == KEYS
    assert temperatures(path, here) == {"1.0": KEYS}


def test_two_loads_at_once_leave_the_newest_of_both(here: Place) -> None:
    """Of an older and a newer day, whichever writes a key last."""
    tables = [many_keys(here, day, temp) for day, temp in ((DAYS[0], 1.0), (DAYS[1], 2.0))]
    loads = [loading(parameters(here, feature_table=table)) for table in (*tables, tables[1])]
    for load in loads:
        print(file=load.stdin, flush=True)
    for load in loads:
        load.communicate(timeout=60)
    assert [load.returncode for load in loads] == [0, 0, 0]
    assert temperatures(here.root / "online.db", here) == {"2.0": KEYS}


def test_a_store_that_cannot_be_written_is_an_error_and_serves_nothing(here: Place) -> None:
    """Below a file and in the kernel's tree, for root too; nothing is registered, and elsewhere the load works."""
    here.load()
    for place in unwritable(here.root):
        with pytest.raises(StorageError, match=f"online store {place}/online.db cannot be used"):
            online_load.run(**parameters(here, store=f"sqlite://{place}/online.db"))
    with pytest.raises(NotRegistered):
        open_registry(here.registry).online_source(f"{TEMP}@1")
    assert online_load.run(**parameters(here)).rows == 2


def test_a_full_disk_is_an_error_and_the_rows_from_before_are_served(here: Place) -> None:
    """With room again the same load completes."""
    here.load()
    online_load.run(**parameters(here))
    table = many_keys(here, DAYS[1], 2.0)
    with full_disk(1 << 20), pytest.raises(StorageError, match="online store"):
        online_load.run(**parameters(here, feature_table=table))
    [value] = FeatureReader(here.registry).read({"airport": "JFK"}, [TEMP], at=at("04 00:00"))
    assert value.too_old == 38.0
    online_load.run(**parameters(here, feature_table=table))
    assert temperatures(here.root / "online.db", here) == {"2.0": KEYS}


def test_a_registry_is_no_online_store_and_stays_as_it_was(here: Place) -> None:
    """The file is refused by name before a row is written."""
    here.load()
    with pytest.raises(CorruptData, match=r"registry\.db is a database of another program, not an online store"):
        online_load.run(**parameters(here, store=here.registry.removeprefix("mlmd+")))
    assert len(open_registry(here.registry).features()) == 5


def test_an_out_that_cannot_be_written_is_mended_by_a_rerun(here: Place) -> None:
    """The rows are in the store, and the manifest is what is missing."""
    here.load()
    (here.root / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        online_load.run(**parameters(here, out=str(here.root / "file" / "out")))
    made = online_load.run(**parameters(here, out=str(here.root / "out")))
    assert made.details["tables"][0]["written"] == 0
    assert Manifest.read(here.root / "out", "online_table").rows == 2


def test_a_corrupt_partition_is_named_and_nothing_of_the_table_is_loaded(here: Place) -> None:
    """Not even the partitions before it."""
    here.load()
    [part] = (here.table / f"date={DAYS[2]}").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(CorruptData, match=f"{part.name} is not whole Parquet"):
        online_load.run(**parameters(here))
    assert not (here.root / "online.db").exists()
