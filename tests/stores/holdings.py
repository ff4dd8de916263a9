"""Holdings of registries for Hypothesis: any text, any times, histories of any length."""

from __future__ import annotations

from datetime import timedelta, timezone

from hypothesis import strategies as st

from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.stores.nouns import (
    Chronicle,
    FormerRevision,
    Holdings,
    OfflineSource,
    OnlineSource,
    RegisteredFeature,
)

# Whatever UTF-8 can hold, and what YAML takes for something else.
odd = st.sampled_from(
    ["no", "1:30", "2013-01-01", "010", "~", "", " ", "a: b", "# x", "\u0085", "\ufeff", "é\n\n b ", "/x"]
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | odd
called = texts.filter(bool)  # ML Metadata has no contexts without a name
words = st.text("abcXYZ019_", min_size=1, max_size=4) | st.just("x" * 1000)
times = st.datetimes(timezones=st.just(timezone.utc) | st.just(timezone(timedelta(hours=5, minutes=30))))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
endpoints = st.builds(
    Endpoint,
    name=called,
    uri=texts,
    format=texts,
    keys=st.lists(st.builds(Key, texts, texts, texts), max_size=2).map(tuple),
    event_time=st.none() | texts,
    static=st.booleans(),
    time_zone=st.none() | texts,
    description=st.none() | texts,
    null_values=st.lists(texts, max_size=2).map(tuple),
)


def features(name: FeatureName, endpoint: st.SearchStrategy[Endpoint]) -> st.SearchStrategy[Feature]:
    """Return features of one name."""
    return st.builds(
        Feature,
        name=st.just(name),
        endpoint=endpoint,
        column=texts,
        data_type=texts,
        description=texts,
        owner=st.none() | texts,
        max_age=st.none() | st.timedeltas(min_value=timedelta(0)),
        tags=st.lists(texts, max_size=2).map(tuple),
        scope=st.sampled_from(["team", "broad", "undefined"]),
        life_cycle=st.sampled_from(["experimental", "production", "deprecated", "retired", "undefined"]),
        quality=st.dictionaries(texts, scalars | st.lists(scalars, max_size=2), max_size=2),
    )


@st.composite
def chronicles(draw: st.DrawFn, name: FeatureName, endpoint: st.SearchStrategy[Endpoint]) -> Chronicle:
    """Return a feature with a history, in which any revision may be a new version."""
    every, version = [], 0
    for revision in range(1, draw(st.integers(1, 4)) + 1):
        version += 1 if version == 0 else draw(st.integers(0, 1))
        every.append(RegisteredFeature(draw(features(name, endpoint)), version, revision))
    return Chronicle(every[-1], tuple(FormerRevision(each, draw(times)) for each in every[:-1]))


@st.composite
def holdings(draw: st.DrawFn) -> Holdings:
    """Return a whole registry."""
    names = sorted(draw(st.sets(st.builds(FeatureName, words, words, words), max_size=4)), key=str)
    shared = st.sampled_from(draw(st.lists(endpoints, min_size=1, max_size=3)))
    found = tuple(draw(chronicles(name, shared)) for name in names)
    known = [version.versioned for chronicle in found for version in chronicle.versions]
    some = st.lists(st.sampled_from(known), unique=True, max_size=3).map(tuple) if known else st.just(())
    offline = st.lists(
        st.builds(
            OfflineSource, called, texts, some, st.lists(st.dates(), max_size=3).map(tuple), texts, delivered_at=times
        ),
        max_size=3,
        unique_by=lambda source: source.uri,
    )
    source = st.builds(OnlineSource, texts, texts, some, st.integers(0, 2**60), texts, times)
    sources = draw(st.lists(source, min_size=1, max_size=2))
    online = tuple((name, draw(st.sampled_from(sources))) for name in known if draw(st.booleans()))
    return Holdings(found, tuple(draw(offline)), online)
