"""What a consumer may ask for, and how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jukebox.engine.requests import Entry, asked, normalized
from jukebox.errors import InvalidType, InvalidValue, NameClash
from jukebox.features import Endpoint, Feature, FeatureName
from jukebox.stores import RegisteredFeature

TEMP = "/airport/weather/temp"


def registered(max_age: timedelta | None, *, static: bool = False) -> RegisteredFeature:
    """Return the temperature with a limit of age."""
    endpoint = Endpoint("weather", "weather.csv", "csv", (), event_time=None if static else "at", static=static)
    return RegisteredFeature(Feature(FeatureName.parse(TEMP), endpoint, "temp", "float64", max_age=max_age), 1, 1)


@pytest.mark.parametrize(
    "request_",
    [
        *(
            [TEMP],
            (TEMP,),
            {TEMP: None},
            {TEMP: "temp"},
            {TEMP: {}},
            {TEMP: {"column": None}},
            {TEMP: {"column": "temp"}},
        ),
        *({TEMP: [None]}, {TEMP: ["temp"]}, {TEMP: ({},)}, {TEMP: {"keys": None, "last_non_null": False}}),
    ],
)
def test_all_forms_of_a_request_are_one(request_: Any) -> None:
    """A name alone asks for the last part of it as the column."""
    assert normalized(request_) == [Entry(TEMP, "temp")]


def test_a_name_with_a_version_and_dots_has_its_last_part_as_column() -> None:
    """The version is none of it."""
    name = "/user/plays/days_28_summary.total_skips@2"
    assert [entry.column for entry in normalized([name])] == ["days_28_summary.total_skips"]


@pytest.mark.parametrize(
    ("request_", "kind", "said"),
    [
        ([], InvalidValue, "asks for no feature"),
        ({}, InvalidValue, "asks for no feature"),
        (TEMP, InvalidType, f"the text '{TEMP}'; it is a list of names, or a mapping"),
        ([3], InvalidType, "asks for 3; it asks for features by name"),
        ({TEMP: 3}, InvalidType, f"the request for '{TEMP}' is 3; it"),
        ({TEMP: {"age": "2h"}}, InvalidValue, "has 'age'; it may have column, max_age, last_non_null, keys"),
        ({TEMP: []}, InvalidValue, f"the request for '{TEMP}' is an empty list"),
        ({TEMP: [["temp"]]}, InvalidType, r"is \['temp'\]; it is an output column, a mapping, or a list of them"),
        ({TEMP: {"last_non_null": "yes"}}, InvalidType, "has last_non_null 'yes'; it is true or false"),
        ({TEMP: {"last_non_null": 1}}, InvalidType, "has last_non_null 1; it is true or false"),
        (
            {TEMP: {"keys": ["origin"]}},
            InvalidType,
            r"has the keys \['origin'\]; they map label columns to key columns",
        ),
        ({TEMP: {"keys": {"dest": None}}}, InvalidType, "they map label columns to key columns"),
        (
            {TEMP: [{}, {"keys": {"dest": "origin"}}]},
            NameClash,
            f"'{TEMP}' and '{TEMP}' would both be the column 'temp'",
        ),
        ([TEMP, TEMP], NameClash, "would both be the column 'temp'"),
        ({TEMP: ""}, InvalidType, "has the column ''"),
        ({TEMP: {"column": 5}}, InvalidType, "has the column 5"),
        ([TEMP, "/city/weather/temp"], NameClash, f"'/city/weather/temp' and '{TEMP}' would both be the column 'temp'"),
    ],
)
def test_a_request_that_says_too_little_or_too_much_is_refused(request_: Any, kind: type[Exception], said: str) -> None:
    """With the name of the feature and what it may be."""
    with pytest.raises(kind, match=said):
        normalized(request_)


@pytest.mark.parametrize(
    ("own", "wanted", "limit"),
    [
        (None, None, None),
        (None, "1h", timedelta(hours=1)),
        (timedelta(hours=2), None, timedelta(hours=2)),
        (timedelta(hours=2), "30m", timedelta(minutes=30)),
        (timedelta(hours=2), "2h", timedelta(hours=2)),
        (timedelta(hours=2), "0s", timedelta(0)),
    ],
)
def test_a_request_may_shorten_the_registered_age(own: timedelta | None, wanted: str | None, limit: Any) -> None:
    """Without one of its own the registered one holds."""
    request = normalized({TEMP: {"max_age": wanted}})
    assert [each.max_age for each in asked(request, [registered(own)])] == [limit]


def test_a_request_may_not_lengthen_it() -> None:
    """Whoever made the feature knows how long it holds."""
    with pytest.raises(InvalidValue, match="the max_age 121m, longer than its registered 2h"):
        asked(normalized({TEMP: {"max_age": "121m"}}), [registered(timedelta(hours=2))])
    with pytest.raises(InvalidValue, match="'soon' is no duration"):
        asked(normalized({TEMP: {"max_age": "soon"}}), [registered(None)])


def test_a_static_feature_takes_no_age() -> None:
    """Its rows have no moment to count from; a limit would be met by none of them."""
    with pytest.raises(InvalidValue, match="is static, true at all times; take the max_age out of the request"):
        asked(normalized({TEMP: {"max_age": "2h"}}), [registered(None, static=True)])
    with pytest.raises(InvalidValue, match="take the max_age out of its registration"):
        asked(normalized([TEMP]), [registered(timedelta(hours=2), static=True)])


def test_a_feature_may_be_asked_for_in_several_roles_each_a_column() -> None:
    """They come where the name stands, in the order of its list, each with rules of its own."""
    dest = {"column": "temp_dest", "keys": {"dest": "origin"}, "last_non_null": True, "max_age": "1h"}
    entries = normalized({TEMP: ["temp", dest], "/city/weather/rain": None})
    assert [entry.column for entry in entries] == ["temp", "temp_dest", "rain"]
    assert entries[1] == Entry(TEMP, "temp_dest", "1h", last_non_null=True, keys={"dest": "origin"})
    here, there = asked(entries[:2], [registered(timedelta(hours=2))] * 2)
    assert (here.max_age, here.last_non_null) == (timedelta(hours=2), False)
    assert (there.max_age, there.last_non_null) == (timedelta(hours=1), True)
    assert here.versioned == there.versioned == "/entity/airport/component/weather/name/temp@1"
