"""Loading and unloading from the command line, as the Jukebox slides write it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.formats import tfrecord
from tests.components.place import DAYS, TEMP, WIND

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal
    from tests.components.place import Place

KEYS = json.dumps(
    [{"primitive_entity": "PRIMITIVE_ENTITY_AIRPORT", "identifier": "IDENTIFIER_IATA", "column_name": "airport_gid"}]
)
ENDPOINT = "jukebox.examples.apm.AirportKeys"
FILTER = ("--filter-keys", KEYS, "--filter-data-endpoint", ENDPOINT)
TABLE = ("--bigtable-instance", "jukebox-apm", "--bigtable-table", "airport")
BAD = [
    ((*FILTER,), "--filter-data-endpoint needs --uri-prefix"),
    (("--filter-keys", KEYS), "need --filter-data-endpoint"),
    (("--uri-prefix", "data"), "need --filter-data-endpoint"),
    (("--filter-keys", '[{"prim', *FILTER[2:], "--uri-prefix", "data"), "--filter-keys is no JSON"),
    (("--filter-keys", "keys.csv", *FILTER[2:], "--uri-prefix", "data"), "'keys.csv' is no JSON"),
    ((*FILTER, "--uri-prefix", "nowhere"), f"filter endpoint '{ENDPOINT}' has no data at "),
    (("--filter-data-endpoint", "weather", "--uri-prefix", "source"), "which of them holds the keys"),
    (("--project", "p"), "takes --project and --bigtable-instance"),
    (("--store", "sqlite://x.db", "--project", "p", *TABLE), "--store and --project both say where"),
    (("--store", "bigtable://p"), "is no Bigtable table"),
    (("--store", "bigtable://p", "--dry-run"), "is no Bigtable table"),
    (("--project", "p", *TABLE[:2], "--bigtable-table", ""), "'' is no name of a Bigtable table"),
    (("--project", "p", *TABLE[:2], "--bigtable-table", "my table"), "'my table' is no name of a Bigtable table"),
    (("--store", "redis://p"), "is no online store; its URI starts with sqlite:// or bigtable://"),
    (("--prices", "{}"), "--prices is of --dry-run"),
    (("--dry-run", "--prices", '{"node": 1}'), "'node' is no price; there are node_hour, gib_month, rows_a_second"),
    (("--dry-run", "--prices", '{"node_hour": -1}'), "node_hour is -1; it is a number above 0"),
    (("--dry-run", "--prices", "0.5"), "--prices is a JSON float; it must be an object"),
    (("--date", "2024-02-01"), "is not loaded offline for 2024-02-01"),
]


@pytest.fixture
def loaded(jukebox: Terminal, here: Place) -> Terminal:
    """Return a terminal where the weather is loaded offline, and a data set of keys lies beside."""
    here.load()
    rows = pa.table({"airport_gid": ["LGA", "XXX"], "user": [1, 2]})
    path = here.root / "data" / ENDPOINT / DAYS[0] / "part.tfrecord.gz"
    tfrecord.write(path, rows.to_batches(), schema=rows.schema)
    return jukebox


def test_a_load_as_the_slides_write_it(loaded: Terminal, bigtable: str) -> None:
    """Features by source column, a filter endpoint below a prefix, a Bigtable table and a date."""
    table = bigtable.rpartition("/")[2]
    features = json.dumps({TEMP.lstrip("/"): "temp", WIND.lstrip("/"): "wind_speed"})
    place = ("--project", "sp-ml-infra", "--bigtable-instance", "jukebox-apm", "--bigtable-table", table)
    filtered = (*FILTER, "--filter-storage-format", "STORAGE_FORMAT_TF_EXAMPLE", "--uri-prefix", "data")
    told = loaded.done("load-online", "--features", features, *filtered, *place, "--date", DAYS[0])
    assert told.startswith(f"loaded into bigtable://sp-ml-infra/jukebox-apm/{table}\n")
    assert told.splitlines()[-1].split()[1:] == ["1", "1", "0", "2"]
    found = json.loads(loaded.done("get", TEMP, "-e", "airport=LGA", "--json"))
    assert (found[TEMP]["value"] or found[TEMP]["too_old"]) == 18.0


def test_a_dry_run_prices_bigtable_and_loads_nothing(loaded: Terminal) -> None:
    """No server is needed; for the embedded store there is no price."""
    told = loaded.done("load-online", "--features", TEMP, "--project", "p", *TABLE, "--dry-run", "--json")
    [load] = json.loads(told)
    assert (load["read"], load["rows"]) == (24, 2)
    assert load["cost"]["node_seconds"] == load["rows"] / 10_000
    own = json.dumps({"node_hour": 3600, "gib_month": 2**30, "rows_a_second": 2})
    dry = ("--features", TEMP, "--project", "p", *TABLE, "--dry-run", "--prices", own)
    [load] = json.loads(loaded.done("load-online", *dry, "--json"))
    assert load["cost"] == {"node_seconds": 1.0, "writing": 1.0, "storing": load["bytes"]}
    assert "3600 USD a node and hour" in " ".join(loaded.done("load-online", *dry).split())
    assert "USD" not in loaded.done("load-online", "--features", TEMP, "--dry-run")
    assert "not been loaded online" in loaded.refused("get", TEMP, "-e", "airport=LGA")


def test_what_is_unloaded_can_no_longer_be_looked_up(loaded: Terminal) -> None:
    """The table goes; with --keep it stays."""
    for keep, tables in ((["--keep"], 1), ([], 0)):
        loaded.done("load-online", "--features", TEMP, "--store", "sqlite://online.db")
        told = loaded.done("unload-online", "--features", TEMP, *keep)
        assert told.startswith("no longer served: weather-")
        assert "unloaded" in loaded.refused("get", TEMP, "-e", "airport=LGA")
        from jukebox.stores import open_online

        assert len(open_online(f"sqlite://{loaded.root}/online.db").tables()) == tables
    assert "unloaded" in loaded.refused("unload-online", "--features", TEMP)


@pytest.mark.parametrize(("options", "said"), BAD)
def test_options_that_make_no_sense_are_told(loaded: Terminal, options: tuple[str, ...], said: str) -> None:
    """In one sentence, and nothing is loaded."""
    assert said in loaded.refused("load-online", "--features", TEMP, *options)
    assert "not been loaded online" in loaded.refused("get", TEMP, "-e", "airport=LGA")


def test_a_source_column_that_is_not_the_registered_one_is_refused(loaded: Terminal) -> None:
    """As an offline load does."""
    told = loaded.refused("load-online", "--features", json.dumps({TEMP: "temperature"}))
    assert f"'{TEMP}' is registered from column 'temp', the load says 'temperature'" in told


def test_a_stream_on_beam_refuses_what_only_the_puller_does(loaded: Terminal) -> None:
    """And a subscription that is none, before Beam is started."""
    about = ("--data-endpoint", "weather", "--offline-table", "tables/stream", "--subscription")
    told = loaded.refused("stream", *about, "projects/p/subscriptions/plays", "--idle", "3", "--", "--runner=X")
    assert "--idle is for a stream without Beam" in told
    assert "none of Pub/Sub's subscriptions" in loaded.refused("stream", *about, "plays", "--", "--runner=X")
