"""A registry as YAML: what is written is read back just so, and what is wrong is told line by line."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from jukebox.errors import InvalidFile, InvalidValue
from jukebox.stores.nouns import Chronicle, FormerRevision, Holdings, RegisteredFeature
from jukebox.stores.reading import from_yaml
from jukebox.stores.writing import to_yaml
from tests.stores.holdings import holdings
from tests.stores.mlmd_writers import ENDPOINT, feature, offline
from tests.stores.test_snapshot import HELD

TEXT = to_yaml(HELD)


@given(holdings())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back_and_written_the_same(held):
    """The nouns are equal and so are the texts, and any reader of YAML takes it."""
    text = to_yaml(held)
    read = from_yaml(text, "registry.yaml")
    assert read == held
    assert to_yaml(read) == text
    assert len(yaml.safe_load(text)["features"]) == len(held.features)


def test_a_small_change_is_a_small_difference():
    """A feature that is edited leaves the lines of the others alone."""
    rain = RegisteredFeature(feature("rain"), 1, 1)
    before = to_yaml(Holdings((Chronicle(rain), *HELD.features)))
    after = to_yaml(Holdings((Chronicle(replace(rain, feature=feature("rain", owner="x"))), *HELD.features)))
    assert set(after.splitlines()) - set(before.splitlines()) == {"  owner: x"}


def test_two_declarations_of_one_endpoint_are_both_kept():
    """What a former revision came from is not what it comes from now."""
    now, was = feature(), feature(endpoint=replace(ENDPOINT, uri="old.csv"))
    former = FormerRevision(RegisteredFeature(was, 1, 1), HELD.features[0].former[0].replaced_at)
    held = Holdings((Chronicle(RegisteredFeature(now, 1, 2), (former,)),))
    assert [each["id"] for each in yaml.safe_load(to_yaml(held))["endpoints"]] == ["weather", "weather#2"]
    assert from_yaml(to_yaml(held), "r") == held


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_yaml_has_no_word_for_is_refused(number):
    """Readers would not agree on it."""
    registered = RegisteredFeature(feature(quality={"max": [number]}), 1, 1)
    with pytest.raises(InvalidValue, match="which YAML's readers do not agree on"):
        to_yaml(Holdings((Chronicle(registered),)))


SLIPS = {
    "another format": ("jukebox_registry: 1", "jukebox_registry: 2", "line 2: jukebox_registry: is 2, and 1 is the"),
    "a field that there is none": ("  uri: weather.csv", "  url: weather.csv", "endpoints[0].url: there is no such"),
    "a missing part": ("online_sources:", "online_source:", "field 'online_sources' is missing"),
    "an unknown endpoint": (
        "  endpoint: weather\n  column: w\n",
        "  endpoint: wether\n  column: w\n",
        "nearest: weather",
    ),
    "a name": ("name/wind\n  version", "nam/wind\n  version", "is no feature name"),
    "a name twice": ("name/wind\n  version", "name/temp\n  version", "is given already"),
    "a time": ("'2013-01-02T00:00:00+00:00'", "yesterday", "Invalid isoformat string: 'yesterday'"),
    "a date": ("'2013-01-01'", "'2013-13-01'", "offline_sources[0].dates[0]: month must be in 1..12"),
    "a version": ("  version: 2\n  revision: 2", "  version: 3\n  revision: 2", "the versions do not count from 1"),
    "a revision": ("  version: 2\n  revision: 2", "  version: 2\n  revision: 4", "the revisions do not count from 1"),
    "a source of nothing": (
        "wind@1]\n  dates",
        "x@1]\n  dates",
        "weather/name/x@1' is not in",
    ),
    "a state": ("life_cycle: production", "life_cycle: prod", "'prod' is not one of"),
    "an age": ("max_age: 2h", "max_age: 2 hours", "'2 hours' is no duration"),
}


@pytest.mark.parametrize(("good", "bad", "told"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_with_its_line(good, bad, told):
    """Nothing of the file counts then."""
    assert good in TEXT
    with pytest.raises(InvalidFile) as caught:
        from_yaml(TEXT.replace(good, bad), "registry.yaml")
    assert any(told in fault for fault in caught.value.faults), caught.value.faults
    assert all(fault.startswith("line ") for fault in caught.value.faults)


def test_all_slips_are_told_at_once():
    """In the order of their lines."""
    text = (
        TEXT.replace("max_age: 2h", "max_age: x")
        .replace("'2013-01-01'", "'x'")
        .replace("loaded_at: '", "loaded_at: 'x")
    )
    with pytest.raises(InvalidFile) as caught:
        from_yaml(text, "registry.yaml")
    lines = [int(fault.removeprefix("line ").partition(":")[0]) for fault in caught.value.faults]
    assert len(lines) >= 3
    assert lines == sorted(lines)


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "a: b: c", "\x00", "{}", "features: 3"])
def test_a_ruin_is_no_registry(text):
    """And says so without a traceback of YAML's."""
    with pytest.raises(InvalidFile, match=r"^r has [0-9]+ fault"):
        from_yaml(text, "r")


def test_a_features_file_is_no_registry():
    """It is told what is missing."""
    with pytest.raises(InvalidFile, match="field 'jukebox_registry' is missing"):
        from_yaml("endpoints: []\nfeatures: []\n", "features.yaml")


def test_an_offline_source_keeps_its_place():
    """The order is that of registration, the newest last."""
    one, other = (offline(uri, "/entity/airport/component/weather/name/temp@1") for uri in "ba")
    held = replace(HELD, offline=(one, other))
    assert [each.uri for each in from_yaml(to_yaml(held), "r").offline] == ["b", "a"]
