"""Looking features up from the command line, by ids in either way of writing and with what the request alone tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tests.components.place import DAYS, UTC, at, write

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal
    from tests.components.place import Place

SHORT, LONG = "5sWHDYs0csV6RS48xBl0tH", "b39fe8081e1f4c54be38e8d6f9f12bb9"
NAME, PLAYS, HOUR, DEVICE = "/artist/catalog/name", "/artist/logs/plays", "/flight/app/hour", "/flight/app/device"
DECLARED = f"""\
endpoints:
  - {{name: names, uri: names.parquet, format: parquet, event_time: at,
     keys: [{{column: artist, primitive_entity: artist, identifier: gid_hex}}]}}
  - {{name: plays, uri: plays.parquet, format: parquet, event_time: at,
     keys: [{{column: artist, primitive_entity: artist, identifier: base62}}]}}
features:
  - {{name: {NAME}, endpoint: names, column: name, data_type: string}}
  - {{name: {PLAYS}, endpoint: plays, column: plays, data_type: int64}}
  - {{name: {HOUR}, contextual: true, column: hour, data_type: int64}}
  - {{name: {DEVICE}, contextual: true, data_type: string}}
"""
BOTH = (NAME, PLAYS)


@pytest.fixture
def loaded(jukebox: Terminal, here: Place) -> Terminal:
    """A terminal where the names of artists by one identifier and their plays by the other are served."""
    moment = pa.array([at("01 00:00")], UTC)
    write(here.source / "names.parquet", pa.table({"artist": [LONG], "at": moment, "name": ["Abba"]}))
    write(here.source / "plays.parquet", pa.table({"artist": [SHORT], "at": moment, "plays": [7]}))
    here.register(DECLARED)
    for name in ("names", "plays"):
        here.load(name, date=DAYS[0], out=str(here.root / name))
    jukebox.done("load-online", "--features", ",".join(BOTH), "--store", "sqlite://online.db")
    return jukebox


def values(told: str) -> list[object]:
    """Return the values of a lookup that was printed as JSON."""
    return [each["value"] for each in json.loads(told).values()]


@pytest.mark.parametrize(("identifier", "given"), [("base62", SHORT), ("gid_hex", LONG)])
def test_ids_of_either_way_of_writing_look_both_tables_up(loaded: Terminal, identifier: str, given: str) -> None:
    """Under the key's own name, and under another one."""
    own = ("--keys", json.dumps({"artist": {"identifier": identifier}}))
    assert values(loaded.done("get", *BOTH, "-e", f"artist={given}", *own, "--json")) == ["Abba", 7]
    other = ("--keys", json.dumps({"who": {"column": "artist", "identifier": identifier}}))
    assert values(loaded.done("get", *BOTH, HOUR, "-e", f"who={given}", "-e", "hour=8", *other, "--json"))[2] == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*BOTH, "-e", f"artist={SHORT}"), "'artist' meets keys that are written as base62 and as gid_hex; say which"),
        ((NAME, "-e", "artist=x", "--keys", '{"artist": {"identifier": "base62"}}'), "1 of 1 values are no base62"),
        (
            (NAME, "-e", "artist=x", "--keys", '{"user": {"identifier": "base62"}}'),
            "'user', no key of the features; keys",
        ),
        (
            (NAME, "-e", "artist=x", "--keys", '{"artist": {"identifier": "int64"}}'),
            "written as int64 and wanted as gid",
        ),
        ((NAME, "-e", "artist=x", "--keys", '{"artist": 7}'), "--keys has the keys"),
        ((NAME, "-e", "artist=x", "--keys", "["), "--keys is no JSON"),
        ((NAME, "-e", "user=1"), "is read by 'artist', and the entity has 'user'"),
        ((HOUR, "-e", "hour=eight"), "--entity hour is no JSON"),
        ((HOUR, "-e", "hour=1.5"), "takes int64, not 1.5"),
        ((HOUR, "-e", "device=8"), "pass it as 'hour'; there is 'device'"),
    ],
)
def test_what_makes_no_sense_is_refused(loaded: Terminal, arguments: tuple[str, ...], said: str) -> None:
    """In one sentence."""
    assert said in loaded.refused("get", *arguments)


def test_what_the_request_tells_is_of_its_type(loaded: Terminal) -> None:
    """A number is a number, and a text stays one, whatever it looks like."""
    assert values(loaded.done("get", HOUR, DEVICE, "-e", "hour=8", "-e", "device=8", "--json")) == [8, "8"]


def test_what_the_request_tells_is_not_loaded(loaded: Terminal) -> None:
    """Neither online nor offline is there anything of it."""
    assert "is contextual, known in a request alone" in loaded.refused("load-online", "--features", HOUR)
