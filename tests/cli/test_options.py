"""Options that hold more than text."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jukebox.cli import options
from jukebox.errors import InvalidValue, NameClash, StorageError, UnknownFeature
from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.stores import open_registry

if TYPE_CHECKING:
    from jukebox.stores import Registry

NOON = datetime(2013, 7, 1, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Return a registry of a feature that is keyed by a number and a text."""
    known = open_registry(f"mlmd+sqlite://{tmp_path_factory.mktemp('registry')}/registry.db")
    keys = (Key("user_id", "user", "int64"), Key("artist", "artist", "base62"))
    endpoint = Endpoint("plays", "plays.csv", "csv", keys, "at")
    known.register([Feature(FeatureName.parse("/user_artist/plays/count"), endpoint, "count", "int64")])
    return known


def test_a_request_is_names_or_json() -> None:
    """Spaces and empty names fall away; JSON keeps what it maps to."""
    assert options.request(" /a/b/c, d/e/f,") == ["/a/b/c", "d/e/f"]
    assert options.request(' {"a/b/c": {"column": "x"}}') == {"a/b/c": {"column": "x"}}
    assert options.request("") == []


def test_json_that_is_no_object_is_refused() -> None:
    """The option is named, and so is the place of the fault."""
    assert options.json_object("--keys", None) is None
    assert options.json_object("--keys", "{}") == {}
    with pytest.raises(InvalidValue, match=r"--keys is no JSON: .*line 1 column 2"):
        options.json_object("--keys", "{a: 1}")
    with pytest.raises(InvalidValue, match="--keys is a JSON str; it must be an object"):
        options.json_object("--keys", '"a"')


def test_keys_are_numbers_where_the_identifier_is_one(registry: Registry) -> None:
    """By key column or primitive entity; a text of digits stays a text, and may hold an equals sign."""
    names = ["/user_artist/plays/count"]
    assert options.entity(["user_id=007", "artist=123=4"], registry, names) == {"user_id": 7, "artist": "123=4"}
    assert options.entity(["user=-1", "artist="], registry, names) == {"user": -1, "artist": ""}
    assert options.entity([], registry, names) == {}


def test_keys_that_are_none_are_refused(registry: Registry) -> None:
    """No equals sign, no name, no number, and a key given twice."""
    names = ["/user_artist/plays/count"]
    for text, said in (("user", "is no key"), ("=7", "is no key"), ("user=x", "must hold a whole number")):
        with pytest.raises(InvalidValue, match=said):
            options.entity([text], registry, names)
    with pytest.raises(NameClash, match="gives 'artist' twice, a and b"):
        options.entity(["artist=a", "artist=b"], registry, names)
    with pytest.raises(UnknownFeature):
        options.entity(["user=1"], registry, ["/user/plays/count"])


def test_times_are_iso_with_a_zone_or_without() -> None:
    """A Z is UTC; a date is its midnight."""
    assert options.time("--at", None) is None
    assert options.time("--at", "2013-07-01T12:00:00Z") == options.time("--at", "2013-07-01T14:00:00+02:00") == NOON
    assert options.time("--at", "2013-07-01") == datetime(2013, 7, 1)
    with pytest.raises(InvalidValue, match="--at '1 July' is no time; it is written 2013"):
        options.time("--at", "1 July")


def test_a_registry_is_there_or_is_an_error(tmp_path: Path) -> None:
    """Looking for it makes nothing."""
    uri = f"mlmd+sqlite://{tmp_path}/none.db"
    with pytest.raises(StorageError, match=r"there is no metadata store at .*none\.db; --registry names another"):
        options.there(uri)
    open_registry(uri)
    assert options.there(uri) == uri
