"""What of the feature tables is loaded, and what is no longer served: dates, filters, versions, unloading."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox import online_load
from jukebox.errors import InvalidValue, MissingColumn, NoPartition, NotRegistered
from jukebox.formats import tfrecord
from jukebox.stores import open_online, open_registry
from tests.components.place import DAYS, TEMP, WIND, write
from tests.components.test_online_load import load_online, served, store

if TYPE_CHECKING:
    from tests.components.place import Place

KEYS = [{"primitive_entity": "PRIMITIVE_ENTITY_AIRPORT", "identifier": "iata", "column_name": "airport_gid"}]


def test_a_date_or_a_range_keeps_to_its_partitions(here: Place) -> None:
    """The newest row is that of the dates asked for; a later load of all brings the rest."""
    here.load()
    assert load_online(here, features=[TEMP], date=DAYS[0])["read"] == 8
    assert served(here) == 18.0
    assert load_online(here, features=[TEMP], start=DAYS[0], end=DAYS[1])["read"] == 16
    assert served(here) == 28.0
    load_online(here, features=[TEMP])
    assert served(here) == 38.0


def test_dates_that_are_not_there_or_make_no_sense_are_refused(here: Place) -> None:
    """The message says which dates there are; nothing is loaded."""
    here.load()
    for about, kind, said in (
        ({"date": "2024-02-01"}, NoPartition, "2024-02-01; it is for 3 dates from 2024-01-01 to 2024-01-03"),
        ({"start": DAYS[2], "end": "2024-01-05"}, NoPartition, "2024-01-04 and 1 other dates"),
        ({"date": DAYS[0], "end": DAYS[1]}, InvalidValue, "either a date or a range"),
        ({"start": DAYS[1], "end": DAYS[0]}, InvalidValue, "backwards"),
        ({"date": "yesterday"}, InvalidValue, "is no date"),
    ):
        with pytest.raises(kind, match=said):
            load_online(here, features=[TEMP], **about)
    with pytest.raises(NotRegistered):
        served(here)


def test_key_columns_of_a_filter_are_found_by_primitive_entity(here: Place) -> None:
    """As the filter of a slide declares them: the column is called otherwise than the table's key."""
    here.load()
    rows = pa.table({"airport_gid": ["LGA"], "other": [1]})
    tfrecord.write(here.root / "keys.tfrecord.gz", rows.to_batches(), schema=rows.schema)
    path = str(here.root / "keys.tfrecord.gz")
    for columns in (KEYS, {"origin": "airport_gid"}):
        about = {"filter_keys": path, "filter_columns": columns, "filter_format": "STORAGE_FORMAT_TF_EXAMPLE"}
        assert load_online(here, features=[TEMP], **about)["rows"] == 1
    assert [served(here, airport=airport) for airport in ("JFK", "LGA")] == [None, 38.0]


def test_filter_columns_that_do_not_fit_are_refused(here: Place) -> None:
    """An entity that no key is of, another identifier, a column that is not there, and what is no declaration."""
    here.load()
    write(here.root / "keys.parquet", pa.table({"airport_gid": ["LGA"]}))
    [key] = KEYS
    for columns, kind, said in (
        ([{**key, "primitive_entity": "artist"}], InvalidValue, "no key of the primitive entity 'artist'; keys are"),
        ([{**key, "identifier": "icao"}], InvalidValue, "icao"),
        ([{**key, "column_name": "gid"}], MissingColumn, "key 'gid' is not in the filter .*; it has airport_gid"),
        ([{"column_name": "airport_gid"}], InvalidValue, "an entry with column_name; it has"),
        ({"dest": "airport_gid"}, MissingColumn, "'dest' is no key of the features; their keys are origin"),
    ):
        with pytest.raises(kind, match=said):
            load_online(here, features=[TEMP], filter_keys=str(here.root / "keys.parquet"), filter_columns=columns)
    with pytest.raises(InvalidValue, match="there are none"):
        load_online(here, features=[TEMP], filter_columns=KEYS)


def test_a_replacing_load_takes_keys_away_and_can_be_taken_back(here: Place) -> None:
    """What the new version does not hold is gone; of the former ones the last stays."""
    here.load()
    (here.root / "keys.csv").write_text("origin\nLGA\n")
    load = load_online(here, features=[TEMP])
    for version in (2, 3):
        about = {"filter_keys": str(here.root / "keys.csv"), "replace": True}
        assert load_online(here, features=[TEMP], **about)["version"] == version
        assert [served(here, airport=airport) for airport in ("JFK", "LGA")] == [None, 38.0]
    load_online(here, features=[TEMP], replace=True)
    assert served(here) == 38.0
    with closing(open_online(store(here))) as online:
        assert online.versions(load["table"]).held == (3, 4)
        online.serve(load["table"], 3)
    assert served(here) is None


@pytest.mark.parametrize("kind", ["sqlite", "bigtable"])
def test_what_is_unloaded_is_served_no_longer(here: Place, kind: str, request: pytest.FixtureRequest) -> None:
    """The table goes with its last feature; a reader is told, and another load serves again."""
    here.load()
    uri = store(here) if kind == "sqlite" else request.getfixturevalue("bigtable")
    load = load_online(here, features=[TEMP, WIND], store=uri)
    online_load.unload(registry=here.registry, features=[TEMP])
    with closing(open_online(uri)) as online:
        assert online.tables() == [load["table"]]
        assert served(here, WIND) == 1.0
        with pytest.raises(NotRegistered, match="unloaded"):
            served(here)
        [was] = online_load.unload(registry=here.registry, features=[WIND])
        assert (was.table, online.tables()) == (load["table"], [])
    with pytest.raises(NotRegistered):
        online_load.unload(registry=here.registry, features=[WIND])
    load_online(here, features=[TEMP, WIND], store=uri)
    assert served(here) == 38.0


def test_a_table_that_is_gone_is_told_by_name(here: Place, bigtable: str) -> None:
    """The registry points to a table that somebody has taken away."""
    here.load()
    load = load_online(here, features=[TEMP], store=bigtable)
    assert open_registry(here.registry).online_source(f"{TEMP}@1").rows == 2
    with closing(open_online(bigtable)) as online:
        online.drop(load["table"])
        with pytest.raises(NotRegistered, match=f"online table '{load['table']}' is not in {bigtable}; there is none"):
            served(here)
        online._connection.admin().delete_table(name=online.place.path)
    with pytest.raises(NotRegistered, match=f"{bigtable} is not there"):
        served(here)


def test_a_dry_run_tells_rows_and_bytes_and_writes_nothing(here: Place) -> None:
    """The bytes are those of keys, qualifiers, timestamps and cells of the rows that a load would send."""
    here.load()
    [told] = online_load.estimate(registry=here.registry, features=[TEMP, WIND], date=DAYS[0])
    assert (told.read, told.rows) == (8, 2)
    assert 100 < told.bytes < 400
    assert not (here.root / "online.db").exists()
    with pytest.raises(NotRegistered):
        served(here)


def test_features_retyped_renamed_and_removed_after_a_load(here: Place, bigtable: str) -> None:
    """A new version is not served until it is loaded, to a table of its own; the former one is, by its version."""
    here.load()
    load_online(here, features=[TEMP, WIND], store=bigtable)
    text = (here.root / "features.yaml").read_text()
    here.register(text.replace("column: temp, data_type: float64", "column: temp, data_type: float32"))
    with pytest.raises(NotRegistered, match=f"{TEMP}@2"):
        served(here)
    assert served(here, f"{TEMP}@1") == 38.0
    here.load(out=str(here.root / "retyped"))
    load_online(here, features=[TEMP], store=bigtable)
    assert (served(here), served(here, f"{TEMP}@1")) == (38.0, 38.0)
