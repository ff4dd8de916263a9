"""Filter keys of an online load: a data set whose keys are the only ones that are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.errors import InvalidType, MissingColumn, NoPartition, NotRegistered
from jukebox.formats import tfrecord
from tests.components.place import DAYS, LATE, SEATS, TEMP, UTC, at, write
from tests.components.test_online_load import load_online, served

if TYPE_CHECKING:
    from tests.components.place import Place


@pytest.mark.parametrize("layout", ["csv", "parquet", "folder", "dictionary", "tfrecord"])
def test_filter_keys_are_the_only_ones_that_are_loaded(here: Place, layout: str) -> None:
    """Whatever holds them, with columns beside them, keys twice, null keys, and keys that no feature has."""
    here.load()
    keys = pa.table({"rank": [1, 2, 3, 4], "origin": pa.array(["LGA", "LGA", None, "XXX"])})
    path = here.root / {"csv": "keys.csv", "folder": "keys", "tfrecord": "keys.tfrecord.gz"}.get(layout, "keys.parquet")
    if layout == "csv":
        path.write_text("rank,origin\n1,LGA\n2,LGA\n3,\n4,XXX\n")
    elif layout == "tfrecord":
        tfrecord.write(path, keys.to_batches(), schema=keys.schema)
    else:
        coded = keys.set_column(1, "origin", keys["origin"].dictionary_encode()) if layout == "dictionary" else keys
        write(path / "part.parquet" if layout == "folder" else path, coded)
    assert load_online(here, features=[TEMP], filter_keys=str(path))["rows"] == 1
    assert [served(here, airport=airport) for airport in ("JFK", "LGA")] == [None, 38.0]


def test_a_composite_key_is_filtered_by_all_its_columns(here: Place) -> None:
    """JFK to SFO is asked for; JFK to LAX and SFO to JFK are not."""
    ways = [("JFK", "SFO"), ("JFK", "LAX"), ("SFO", "JFK")]
    columns = {"origin": [o for o, _ in ways], "dest": [d for _, d in ways], "at": pa.array([at("01 00:00")] * 3, UTC)}
    rows = pa.table({**columns, "late": [0.5, 0.25, 0.125]})
    tfrecord.write(here.source / "routes" / DAYS[0] / "part.tfrecord.gz", rows.to_batches(), schema=rows.schema)
    here.load("routes", date=DAYS[0])
    (here.root / "keys.csv").write_text("dest,origin\nSFO,JFK\nJFK,LAX\n")
    assert load_online(here, features=[LATE], filter_keys=str(here.root / "keys.csv"))["rows"] == 1
    assert [served(here, LATE, origin=origin, dest=dest) for origin, dest in ways] == [0.5, None, None]


def test_keys_in_a_csv_are_read_as_the_tables_keys_are(here: Place) -> None:
    """7 is a tail number here, and another one than 007."""
    (here.source / "planes.csv").write_text("tail,seats,maker\n007,100,A\n7,200,B\n")
    here.load("planes", date=DAYS[0])
    (here.root / "keys.csv").write_text("tail\n7\n")
    load_online(here, features=[SEATS], filter_keys=str(here.root / "keys.csv"))
    assert [served(here, SEATS, aircraft=tail) for tail in ("007", "7")] == [None, 200]


def test_filter_keys_that_match_nothing_or_are_none_load_nothing(here: Place) -> None:
    """The features are served all the same, and every key is missing."""
    here.load()
    for text in ("origin\nXXX\n", "origin\n"):
        (here.root / "keys.csv").write_text(text)
        load = load_online(here, features=[TEMP], filter_keys=str(here.root / "keys.csv"))
        assert (load["read"], load["rows"], load["written"]) == (24, 0, 0)
        assert served(here) is None


def test_filter_keys_that_do_not_fit_are_refused(here: Place) -> None:
    """Without the key column, with a key of another type, and where there are none."""
    here.load()
    (here.root / "keys.csv").write_text("airport,city\nJFK,New York\n")
    write(here.root / "keys.parquet", pa.table({"origin": [1, 2]}))
    for name, kind, said in (
        ("keys.csv", MissingColumn, r"key 'origin' is not in the filter .*keys\.csv; it has airport, city"),
        ("keys.parquet", InvalidType, "key 'origin' is text in the rows and integer in the filter keys"),
        ("nowhere.csv", NoPartition, r"nowhere\.csv does not exist"),
    ):
        with pytest.raises(kind, match=said):
            load_online(here, features=[TEMP], filter_keys=str(here.root / name))
    with pytest.raises(NotRegistered):
        served(here)
