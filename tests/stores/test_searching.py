"""Searching: every filter is a plain condition, and pages are stable."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jukebox.errors import InvalidValue
from jukebox.features import Endpoint, Feature, FeatureName
from jukebox.stores.nouns import RegisteredFeature
from jukebox.stores.searching import Index, Query

few = st.sampled_from(["a", "b", "c-1", "Ä_2"])
plain = st.sampled_from(["a", "b", "c1"])


@st.composite
def registered(draw) -> RegisteredFeature:
    """Return a feature that shares most of what it is with others."""
    name = FeatureName(draw(plain), draw(plain), draw(st.text("abc", min_size=1, max_size=3)))
    feature = Feature(
        name,
        Endpoint(draw(few), "u", "csv", ()),
        "c",
        draw(st.sampled_from(["int64", "string"])),
        description=draw(st.text("aBÄ ", max_size=5)),
        owner=draw(st.none() | few),
        tags=tuple(draw(st.lists(few, max_size=2, unique=True))),
        scope=draw(st.sampled_from(["team", "broad", "undefined"])),
        life_cycle=draw(st.sampled_from(["production", "retired", "undefined"])),
    )
    return RegisteredFeature(feature, draw(st.integers(1, 3)), 3)


some = st.lists(registered(), max_size=12, unique_by=lambda each: str(each.name))
asked = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text("abBä ", max_size=3),
        "entity": plain,
        "owner": few,
        "endpoint": few,
        "tag": few,
        "data_type": st.sampled_from(["int64", "string"]),
        "life_cycle": st.sampled_from(["production", "retired"]),
        "scope": st.just("team"),
        "online": st.booleans(),
    },
)


def is_so(each: RegisteredFeature, asked: dict[str, object], online: set[str]) -> bool:
    """Whether a feature is what was asked for, in the plainest words."""
    feature = each.feature
    is_ = {
        "entity": each.name.entity,
        "owner": feature.owner,
        "endpoint": feature.endpoint.name,
        "data_type": feature.data_type,
        "life_cycle": feature.life_cycle,
        "scope": feature.scope,
        "online": each.versioned in online,
    }
    said = "\n".join([str(each.name), each.name.short, feature.description, *feature.tags]).lower()
    words = str(asked.get("text", "")).lower().split()
    return (
        all(value == is_[name] for name, value in asked.items() if name in is_)
        and all(word in said for word in words)
        and ("tag" not in asked or asked["tag"] in feature.tags)
    )


@given(some, asked, st.data())
@settings(deadline=None)
def test_a_search_finds_just_what_is_so(features, asked, data):
    """In the order of names, whatever is asked together."""
    online = {each.versioned for each in features if data.draw(st.booleans())}
    page = Index(features).search(Query(**asked), online=online)
    wanted = sorted((each for each in features if is_so(each, asked, online)), key=lambda each: str(each.name))
    assert (list(page.features), page.total, page.after) == (wanted, len(wanted), None)


@given(some, asked, st.integers(1, 4), st.data())
@settings(deadline=None)
def test_pages_are_the_whole_though_others_come_and_go(features, asked, limit, data):
    """Between two pages a feature may appear or vanish; those that stay come once each, in order."""
    asked.pop("online", None)
    staying, seen, after = {str(each.name) for each in features}, [], None
    for _ in range(20):
        there = [each for each in features if data.draw(st.integers(0, 9)) or str(each.name) == after]
        staying &= {str(each.name) for each in there}
        page = Index(there).search(Query(**asked, limit=limit, after=after))
        seen += [str(each.name) for each in page.features]
        after = page.after
        if after is None:
            break
    found = {str(each.name) for each in features if is_so(each, asked, set())}
    assert seen == sorted(set(seen))
    assert found & staying <= set(seen) <= found


def test_a_page_goes_on_after_a_name_that_is_gone():
    """The place in the order of names counts, not the feature."""
    features = [RegisteredFeature(_called(name), 1, 1) for name in "acd"]
    page = Index(features).search(Query(after="/a/a/b", limit=1))
    assert [each.name.name for each in page.features] == ["c"]
    assert page.after == "/entity/a/component/a/name/c"


def test_the_nearest_values_are_offered():
    """For each filter that no feature meets."""
    index = Index([RegisteredFeature(replace(_called("x"), owner="weather", tags=("wind",)), 1, 1)])
    assert index.nearest(Query(owner="wether", tag="wind", entity="b")) == (
        "no feature has the entity 'b'",
        "no feature has the owner 'wether'; nearest: weather",
    )


@given(some)
@settings(deadline=None)
def test_counts_are_what_searches_find(features):
    """For each value of each facet, and no value is left out."""
    index = Index(features)
    for facet in ("entity", "endpoint", "owner", "tag", "data_type", "life_cycle", "scope"):
        counts = index.counts(facet)
        assert counts == {value: index.search(Query(**{facet: value})).total for value in counts}
        assert list(counts) == sorted(counts)
    assert sum(index.counts("family").values()) == len(features)
    assert {endpoint.name for endpoint in index.endpoints()} == set(index.counts("endpoint"))
    with pytest.raises(InvalidValue, match="'colour' is no facet; there are entity"):
        index.counts("colour")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"life_cycle": "prod"}, "'prod' is no life cycle"),
        ({"scope": ""}, "'' is no scope"),
        ({"limit": 0}, "a page of 0 features"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked, told):
    """A slip is no empty answer."""
    with pytest.raises(InvalidValue, match=told):
        Query(**asked)


def test_a_cursor_that_is_no_name_is_refused():
    """Any name is one, but not any text."""
    with pytest.raises(InvalidValue, match="is no feature name"):
        Index([]).search(Query(after="7"))


def _called(name: str) -> Feature:
    return Feature(FeatureName("a", "a", name), Endpoint("e", "u", "csv", ()), "c", "int64")
