"""Where the keys of a load come from, and how their ids are written there."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from jukebox.engine.keys import key_sources
from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.features import Endpoint, Key

ARTIST, USER, FRIEND = Key("artist", "artist", "gid_hex"), Key("user", "user", "int64"), Key("friend", "user", "int64")
SLIDE = {
    "primitive_entity": "PRIMITIVE_ENTITY_ARTIST",
    "identifier": "IDENTIFIER_BASE62",
    "column_name": "artist_gid",
}


def endpoint(*keys: Key) -> Endpoint:
    """Return an endpoint with these keys."""
    return Endpoint("plays", "plays.parquet", "parquet", keys, "at")


def told(column: str, entity: str = "artist", identifier: str = "base62") -> dict[str, str]:
    """Return what a load is told of a key."""
    return {"primitive_entity": entity, "identifier": identifier, "column_name": column}


def test_keys_of_which_nothing_is_told_are_as_declared() -> None:
    """In the endpoint's order."""
    for nothing in (None, []):
        found = key_sources(endpoint(ARTIST, USER), nothing)
        assert [(each.key, each.column, each.converted) for each in found] == [
            (ARTIST, "artist", False),
            (USER, "user", False),
        ]


def test_a_key_is_found_by_its_primitive_entity_and_ids_are_converted() -> None:
    """In the spelling of the slides, beside a key of which nothing is told."""
    artist, user = key_sources(endpoint(ARTIST, USER), SLIDE)
    assert (artist.key, artist.column, artist.identifier, artist.converted) == (ARTIST, "artist_gid", "base62", True)
    assert not user.converted
    ids = artist.ids(pa.array(["5sWHDYs0csV6RS48xBl0tH", None]), 0)
    assert ids.to_pylist() == ["b39fe8081e1f4c54be38e8d6f9f12bb9", None]
    with pytest.raises(InvalidValue, match=r"column 'artist_gid': 1 of 2 values are no base62 .*: row 11 'x'"):
        artist.ids(pa.array([None, "x"]), 10)


def test_of_two_keys_of_one_primitive_entity_the_column_tells_which() -> None:
    """Without it there is no telling, and nothing is guessed."""
    of = endpoint(USER, FRIEND)
    [user, friend] = key_sources(of, [told("friend", "user", "int64")])
    assert (user.column, friend.column) == ("user", "friend")
    with pytest.raises(InvalidValue, match="has 2 keys of the primitive entity 'user'; keys are 'user' of user, 'frie"):
        key_sources(of, told("buddy", "user", "int64"))


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        (told("artist_gid", "track"), InvalidValue, "has no key of the primitive entity 'track'; keys are 'artist' of"),
        (told("artist", "user"), InvalidValue, "has no key 'artist' of the primitive entity 'user'; keys are"),
        (told("artist", identifier="int64"), InvalidValue, "'artist' of endpoint 'plays' is written as int64 and want"),
        ([told("a"), told("b")], NameClash, "'a' and 'b' are both given for the key 'artist' of endpoint 'plays'"),
        ("artist", InvalidType, "keys is 'artist'; it is a mapping with primitive_entity, identifier, column_name"),
        (["artist"], InvalidType, "keys holds 'artist'; it holds mappings"),
        ({"column_name": 1}, InvalidType, "keys holds {'column_name': 1}; it holds mappings"),
        ({"column": "a"}, InvalidValue, "an entry with column; it has primitive_entity, identifier, column_name"),
        ({}, InvalidValue, "an entry with nothing"),
    ],
)
def test_anything_else_is_refused(keys: Any, error: type[Exception], said: str) -> None:
    """Another primitive entity, an identifier without a conversion, two for one key, no such fields."""
    with pytest.raises(error, match=said):
        key_sources(endpoint(ARTIST), keys)
