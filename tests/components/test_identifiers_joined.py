"""Joins of labels and features that write the ids of one thing in different ways."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox import verify_training_set
from jukebox.engine.replaying import replay
from jukebox.errors import InvalidType, InvalidValue, MissingColumn
from tests.components.place import DAYS, UTC, Place, at, write

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ["5sWHDYs0csV6RS48xBl0tH", "4GNcXTGWmnZ3ySrqvol3o4"]
LONG = ["b39fe8081e1f4c54be38e8d6f9f12bb9", "9a1b1cfbc6f244569ae0356c77bbe9d8"]
ENDPOINT = "  - {{name: {0}, uri: {0}.parquet, format: parquet, event_time: at, keys: [{1}]}}"
KEY = "{{column: artist, primitive_entity: {}, identifier: {}}}"
DECLARED = f"""\
endpoints:
{ENDPOINT.format("names", KEY.format("artist", "gid_hex"))}
{ENDPOINT.format("plays", KEY.format("artist", "base62"))}
{ENDPOINT.format("tracks", KEY.format("track", "base62"))}
features:
  - {{name: /artist/catalog/name, endpoint: names, column: name, data_type: string}}
  - {{name: /artist/logs/plays, endpoint: plays, column: plays, data_type: int64}}
  - {{name: /track/logs/skips, endpoint: tracks, column: plays, data_type: int64}}
"""
NAME, PLAYS, SKIPS = "/artist/catalog/name", "/artist/logs/plays", "/track/logs/skips"


@pytest.fixture
def music(tmp_path: Path) -> Place:
    """Return a place with the names of artists by one identifier and their plays by the other."""
    place = Place(tmp_path)
    times = pa.array([at("01 00:00")] * 2, UTC)
    write(place.source / "names.parquet", pa.table({"artist": LONG, "at": times, "name": ["Abba", "Bowie"]}))
    for name in ("plays", "tracks"):
        write(place.source / f"{name}.parquet", pa.table({"artist": SHORT, "at": times, "plays": [7, 9]}))
    place.register(DECLARED)
    for name in ("names", "plays", "tracks"):
        place.load(name, date=DAYS[0], out=str(place.root / name))
    return place


def labels(ids: list[str | None], column: str = "artist") -> pa.Table:
    """Return labels of the second day."""
    times = [at("02 00:00") + timedelta(hours=n) for n in range(len(ids))]
    return pa.table({column: pa.array(ids, pa.string()), "at": pa.array(times, UTC)})


def told(identifier: str, **more: str) -> dict[str, Any]:
    """Return keys that say how the label column is written."""
    return {"artist": {"column": "artist", "identifier": identifier, **more}}


@pytest.mark.parametrize(
    ("ids", "identifier"), [([SHORT[1], None, SHORT[0]], "IDENTIFIER_BASE62"), ([LONG[1], None, LONG[0]], "gid_hex")]
)
def test_labels_meet_features_of_either_identifier_and_stay_as_they_are(
    music: Place, ids: list[str | None], identifier: str
) -> None:
    """Each table by its own; there is no column beside the labels' and the asked ones; nulls match nothing."""
    made = music.join(labels(ids), [NAME, PLAYS], keys=told(identifier), proof="full")
    rows = music.joined()
    assert rows.column_names == ["artist", "at", "name", "plays"]
    assert rows["artist"].to_pylist() == ids
    assert rows["name"].to_pylist() == ["Bowie", None, "Abba"]
    assert rows["plays"].to_pylist() == [9, None, 7]
    [converted] = [table["converted"] for table in made.details["tables"] if "converted" in table]
    assert converted[0]["label"] == "artist"


def test_a_converted_training_set_is_verified_and_made_again(music: Place) -> None:
    """The manifest says what was converted: its sources and rules still give its rows."""
    music.join(labels(SHORT), [NAME, PLAYS], keys=told("base62"))
    verify_training_set.run(training_set=str(music.out), out=str(music.root / "report"))
    assert replay(str(music.out)).made.rows == 2


def test_one_role_may_say_it_for_all(music: Place) -> None:
    """What a column holds is true for every feature that is joined by it."""
    music.join(
        labels(LONG, "who"), {NAME: {"keys": {"who": "artist"}}, PLAYS: {"keys": {"who": told("gid_hex")["artist"]}}}
    )
    assert music.joined()["plays"].to_pylist() == [7, 9]


@pytest.mark.parametrize(
    ("features", "keys", "said"),
    [
        ([NAME, PLAYS], None, "'artist' meets keys that are written as base62 and as gid_hex; say which of them it"),
        ([PLAYS, SKIPS], None, "'artist' would name artist and track; a column names one thing"),
        ([PLAYS], told("base62", primitive_entity="PRIMITIVE_ENTITY_TRACK"), "'artist' would name artist and track"),
        ([PLAYS], told("int64"), "column 'artist' is written as int64 and wanted as base62; known are"),
        ([NAME], told("base62"), "column 'artist': 2 of 2 values are no base62 .*: row 0 'b39f"),
        ([NAME], {"artist": {"identifer": "base62"}}, "'identifer' for the key 'artist'; it may have column, prim"),
        ([NAME], {"artist": {"primitive_entity": "artist"}}, "what the key 'artist' names and not its identifier"),
        (
            {NAME: {"keys": told("gid_hex")}, PLAYS: {"keys": told("base62")}},
            None,
            "'artist' is said to hold gid_hex and base62",
        ),
    ],
)
def test_nothing_is_guessed_and_nothing_left_behind(music: Place, features: Any, keys: Any, said: str) -> None:
    """What would match nothing, or the wrong thing, is an error."""
    with pytest.raises(InvalidValue, match=said):
        music.join(labels(LONG), features, keys=keys)
    assert not music.out.exists()


def test_labels_without_the_column_are_refused(music: Place) -> None:
    """By its own name, not by that of what it is converted to."""
    with pytest.raises(MissingColumn, match="column 'artist' is not in the labels; they have who, at"):
        music.join(labels(SHORT, "who"), [NAME], keys=told("base62"))
    with pytest.raises(InvalidType, match="the request has the keys"):
        music.join(labels(SHORT), [NAME], keys={"artist": 7})
