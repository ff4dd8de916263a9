"""How a Bigtable table is made, and what of a table that is there already is left or refused: garbage, families."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import grpc
import pyarrow as pa
import pytest

from jukebox.core.coordinates import prefixes
from jukebox.errors import InvalidValue
from jukebox.stores import open_online
from jukebox.stores.bigtable import BigtableStore, cells
from jukebox.stores.bigtable.places import parsed

MOMENT = datetime(2024, 2, 29, tzinfo=timezone.utc)
STATIC = pa.table({"user": ["a"], "value": [1]})
TIMED = STATIC.append_column("at", pa.array([MOMENT], pa.timestamp("us", "UTC")))
BY_AGE = {"max_age": timedelta(days=1)}
BY_NUMBER = {"max_num_versions": 2}


def write(store: BigtableStore, table: str = "t") -> Any:
    """Write a row that has a time."""
    return store.write(table, TIMED, keys=["user"], event_time="at")


def write_static(store: BigtableStore) -> Any:
    """Write a row that has none."""
    return store.write("static", STATIC, keys=["user"], event_time=None)


def rule(store: BigtableStore) -> Any:
    """Return the garbage collection of the features' family."""
    return store._connection.admin().get_table(name=store.place.path).column_families["f"].gc_rule


def made_by_hand(uri: str, gc_rule: dict[str, Any]) -> BigtableStore:
    """Return a store whose table somebody else has made, with a family of another name beside."""
    store = open_online(uri)
    families = {"f": {"gc_rule": gc_rule}, "theirs": {"gc_rule": {"max_num_versions": 7}}}
    request = {"parent": store.place.parent, "table_id": store.place.table, "table": {"column_families": families}}
    store._connection.admin().create_table(request=request)
    return store


def test_versions_and_age_are_what_the_uri_asks_for(bigtable: str) -> None:
    """By default one version and any age, so that a year of history does not delete itself."""
    for options, versions, age in (("", 1, None), ("-b?versions=3&max_age=90d", 3, timedelta(days=90))):
        store = open_online(bigtable + options)
        write(store)
        rules = list(rule(store).union.rules) or [rule(store)]
        assert rules[0].max_num_versions == versions
        assert [each.max_age for each in rules[1:]] == ([] if age is None else [age])


def test_static_rows_are_refused_where_rows_go_by_age(bigtable: str) -> None:
    """They have no age: garbage collection would take them at once, whether this URI says so or the table was made so.

    No table is made for them.
    """
    dated = open_online(f"{bigtable}?max_age=90d")
    with pytest.raises(InvalidValue, match="without an event time have no age"):
        write_static(dated)
    assert dated.versions("static").held == ()
    write(dated)
    with pytest.raises(InvalidValue, match="without an event time have no age"):
        write_static(open_online(bigtable))
    assert dated.tables() == ["t"]


@pytest.mark.parametrize(
    ("gc_rule", "is_taken"),
    [
        (BY_NUMBER, True),
        ({}, True),
        ({"intersection": {"rules": [BY_AGE, BY_NUMBER]}}, True),
        ({"union": {"rules": [BY_NUMBER, {"intersection": {"rules": [BY_AGE, BY_AGE]}}]}}, False),
        ({"union": {"rules": [BY_AGE, BY_NUMBER]}}, False),
        (BY_AGE, False),
    ],
)
def test_a_table_that_was_made_by_hand_is_used_as_it_is(bigtable: str, gc_rule: dict[str, Any], is_taken: bool) -> None:
    """Its rules and families stay; static rows are taken where a newest cell never goes."""
    store = made_by_hand(bigtable, gc_rule)
    before = rule(store)
    write(store)
    if is_taken:
        write_static(store)
    else:
        with pytest.raises(InvalidValue, match="without an event time have no age"):
            write_static(store)
    assert rule(store) == before
    families = store._connection.admin().get_table(name=store.place.path).column_families
    assert sorted(families) == ["f", "m", "theirs"]
    [found] = store.read("t", [{"user": "a"}])
    assert found is not None


def test_garbage_collection_that_a_table_does_not_have_is_refused(bigtable: str) -> None:
    """Whoever asks for it is not left to believe that it is so; who asks for nothing takes what there is."""
    write(open_online(f"{bigtable}?versions=2"))
    for options in ("?versions=3", "?max_age=90d", "?versions=2&max_age=90d"):
        with pytest.raises(InvalidValue, match="was made with other garbage collection than the URI's"):
            write(open_online(bigtable + options), "u")
    write(open_online(f"{bigtable}?versions=2"), "u")
    write(open_online(bigtable), "v")
    assert open_online(bigtable).tables() == ["t", "u", "v"]


class Hearing(grpc.UnaryUnaryClientInterceptor):
    """Keeps the requests that make tables."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def intercept_unary_unary(self, continuation, details, request):
        """Pass the call on."""
        if details.method.endswith("/CreateTable"):
            self.heard.append(request)
        return continuation(details, request)


@pytest.mark.parametrize("tablets", [1, 7, 16, 256])
def test_a_table_is_split_evenly_by_salt(bigtable: str, tablets: int) -> None:
    """As many tablets as the URI asks for begin at salts that part the keys in equal shares."""
    ear = Hearing()
    store = BigtableStore(parsed(f"{bigtable}?splits={tablets}"), interceptors=[ear])
    write(store)
    [request] = ear.heard
    starts = [0, *(split.key[0] for split in request.initial_splits), 256]
    assert len(starts) == tablets + 1
    shares = [after - before for before, after in pairwise(starts)]
    assert max(shares) - min(shares) <= 1 <= min(shares)


def test_as_many_versions_of_a_millisecond_are_kept_as_the_uri_asks_for(bigtable: str) -> None:
    """Beaten rows have columns of their own, which no rule of the family counts: a load leaves so many, and no more."""
    for options, kept in (("", 1), ("-b?versions=2", 2), ("-c?versions=4", 4)):
        store = open_online(bigtable + options)
        for micros in range(1, 7):
            at = pa.array([MOMENT + timedelta(microseconds=micros)], pa.timestamp("us", "UTC"))
            store.write("t", STATIC.append_column("at", at), keys=["user"], event_time="at")
        every = {"pass_all_filter": True}
        [(_, found)] = cells.scan(store._connection, prefixes("user"), every)
        assert len(found) == kept
