"""An online load on Beam leaves in the store what the load here leaves, whatever kind of endpoint it is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from jukebox import online_load
from jukebox.engine import beam_online
from jukebox.errors import CorruptData, InvalidValue
from jukebox.stores import open_online
from tests.components.beam_runner import NAME
from tests.components.place import DAYS, SEATS, TEMP, WIND, at
from tests.components.test_online_load import load_online, store

if TYPE_CHECKING:
    from tests.components.place import Place

ENTITIES = {"airport": [{"origin": name} for name in ("JFK", "LGA", "SFO")], "tail": [{"tail": "N1"}, {"tail": "N2"}]}


def noting(place: Place) -> list[str]:
    """Return the flags of a runner that leaves the names of its steps."""
    return [f"--runner={NAME}", f"--temp_location={place.root / 'steps'}"]


def held(uri: str, table: str, entities: list[Any]) -> list[Any]:
    """Return what a store holds of some entities."""
    with closing(open_online(uri)) as online:
        return list(online.read(table, entities))


def compared(place: Place, uris: list[str], entities: list[Any], **about: Any) -> dict[str, Any]:
    """Load the same here and on Beam into two stores, hold them to each other; return what the second told."""
    here = load_online(place, **about, store=uris[0])
    on_beam = load_online(place, **about, store=uris[1], beam_pipeline_args=noting(place))
    assert held(uris[1], on_beam["table"], entities) == held(uris[0], here["table"], entities)
    assert on_beam == here
    assert {"Pieces", "Reduce", "Write"} <= set((place.root / "steps").read_text().splitlines())
    return on_beam


@pytest.mark.parametrize("place_of", ["sqlite", "bigtable"])
def test_what_is_loaded_on_beam_is_what_is_loaded_here(
    here: Place, place_of: str, request: pytest.FixtureRequest
) -> None:
    """Rows, counts and manifest are equal, on both stores; and a second load changes nothing."""
    here.load()
    uris = [f"{store(here)}{n}" if place_of == "sqlite" else f"{request.getfixturevalue('bigtable')}-{n}" for n in "ab"]
    load = compared(here, uris, ENTITIES["airport"], features=[TEMP, WIND])
    assert (load["read"], load["rows"], load["written"]) == (24, 2, 2)
    again = load_online(here, features=[TEMP, WIND], store=uris[1], beam_pipeline_args=noting(here))
    assert again["rows"] == 2
    assert held(uris[1], load["table"], ENTITIES["airport"])[0].values["temp"] == 38.0


@pytest.mark.parametrize("rows", [1, 1_000])
def test_a_share_of_the_keys_has_only_so_many_rows(here: Place, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """However many shares there are, one or as many as rows, each key is in one of them."""
    monkeypatch.setattr(beam_online, "_SHARES", 1)
    monkeypatch.setattr(beam_online, "_ROWS_A_SHARE", rows)
    here.load()
    compared(here, [f"{store(here)}a", f"{store(here)}b"], ENTITIES["airport"], features=[TEMP, WIND])


def test_static_rows_are_as_new_as_their_date_on_beam_too(here: Place) -> None:
    """Of two deliveries the later date's row stays, whichever is loaded last."""
    for day, seats in zip(DAYS[:2], (100, 150), strict=True):
        (here.source / "planes.csv").write_text(f"tail,seats,maker\nN1,{seats},A\n")
        here.load("planes", date=day, out=str(here.root / "tables" / "planes"))
    uris = [f"{store(here)}{n}" for n in "ab"]
    load = compared(here, uris, ENTITIES["tail"], features=[SEATS])
    assert held(uris[1], load["table"], ENTITIES["tail"])[0].values == {"seats": 150}


def test_of_equal_times_the_later_partition_wins_on_beam_too(here: Place) -> None:
    """Three days tell the same hour, known at the same time, each another way: the last in source order is served."""
    hour, known = at("01 06:00"), at("01 07:00")
    for number, day in enumerate(DAYS):
        here.weather(day, [(f"A{n}", hour, known, float(number), 0.0) for n in range(40)])
    here.load()
    entities = [{"origin": f"A{n}"} for n in range(40)]
    uris = [f"{store(here)}{n}" for n in "ab"]
    load = compared(here, uris, entities, features=[TEMP])
    assert {row.values["temp"] for row in held(uris[1], load["table"], entities)} == {2.0}


def test_a_filter_dates_and_a_new_version_go_to_beam_too(here: Place) -> None:
    """Only the wanted keys of the wanted dates are there, in the version that took over."""
    here.load()
    (here.root / "keys.csv").write_text("origin\nLGA\n")
    uris = [f"{store(here)}{n}" for n in "ab"]
    about = {"features": [TEMP], "filter_keys": str(here.root / "keys.csv"), "date": DAYS[0], "replace": True}
    load = compared(here, uris, ENTITIES["airport"], **about)
    assert (load["read"], load["rows"], load["version"]) == (8, 1, 1)


def test_what_a_worker_raises_is_raised(here: Place) -> None:
    """A partition that is not whole is named; flags that Beam cannot use are refused before anything is read."""
    here.load()
    with pytest.raises(InvalidValue, match="beam_pipeline_args"):
        load_online(here, features=[TEMP], beam_pipeline_args=["--direct_num_workers=many"])
    for path in here.table.rglob("part-*.parquet"):
        path.write_bytes(b"PAR1" + path.read_bytes()[4:-8] + b"\0" * 8)
    with pytest.raises(CorruptData, match="parquet"):
        online_load.run(store=store(here), registry=here.registry, features=[TEMP], beam_pipeline_args=noting(here))
