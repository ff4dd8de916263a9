"""The rules of change: what registering makes of a feature, and what is refused unless it is forced by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jukebox.errors import ChangeRefused, InvalidValue, UnknownFeature
from jukebox.features import Key
from jukebox.stores.changes import Change, differences, forced_names, next_of, once, refusals, require_allowed
from jukebox.stores.nouns import RegisteredFeature
from tests.stores.mlmd_writers import ENDPOINT, feature

TEMP = "/entity/airport/component/weather/name/temp"
STATES = ("undefined", "experimental", "production", "deprecated", "retired")
FORWARD = {
    ("undefined", "experimental"),
    ("undefined", "production"),
    ("undefined", "deprecated"),
    ("undefined", "retired"),
    ("experimental", "production"),
    ("experimental", "deprecated"),
    ("experimental", "retired"),
    ("production", "deprecated"),
    ("deprecated", "retired"),
}
OTHER_KEYS = replace(ENDPOINT, keys=(Key("origin", "airport", "icao"),))


def change(before, after) -> Change:
    """Return what registering ``after`` does where ``before`` is registered."""
    registered = RegisteredFeature(before, 1, 1)
    return Change(registered, next_of(registered, after))


def nobody(_: str) -> tuple[str, ...]:
    """Return the deployed models where there is none."""
    return ()


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES[1:])
def test_a_life_cycle_goes_forward_and_any_other_step_is_forced(before, after):
    """From experimental to production, deprecated, retired, and from production by way of deprecated."""
    step = change(feature(life_cycle=before), feature(life_cycle=after))
    assert (refusals([step], nobody) == {}) is (before == after or (before, after) in FORWARD)
    assert refusals([step], nobody, {TEMP}) == {}


def test_a_refused_step_says_what_may_follow():
    """And how it is done all the same."""
    step = change(feature(life_cycle="production"), feature(life_cycle="retired"))
    assert list(refusals([step], nobody).values()) == [
        f"'{TEMP}' is in production and may become deprecated, not retired, unless it is forced by name"
    ]


def test_a_declaration_without_a_life_cycle_leaves_it():
    """A file that never spoke of it does not take a deprecation back."""
    step = change(feature(life_cycle="deprecated"), feature(description="new"))
    assert (step.after.feature.life_cycle, step.after.change) == ("deprecated", "edited")
    assert change(feature(life_cycle="deprecated"), feature()).after.change == "unchanged"


@pytest.mark.parametrize("about", [{"data_type": "string"}, {"endpoint": OTHER_KEYS}])
@pytest.mark.parametrize("state", STATES)
def test_type_and_keys_are_fixed_in_production_alone(about, state):
    """Elsewhere the change makes a version; in production it does so only when it is forced."""
    step = change(feature(life_cycle=state), feature(life_cycle=state, **about))
    assert step.after.change == "new version"
    assert bool(refusals([step], nobody)) is (state == "production")
    assert refusals([step], nobody, {TEMP}) == {}


def test_a_refused_type_is_told_with_both_types():
    """A refused key too, column by column."""
    step = change(
        feature(life_cycle="production"), feature(life_cycle="production", data_type="string", endpoint=OTHER_KEYS)
    )
    (why,) = refusals([step], nobody).values()
    assert "its data_type from double to string" in why
    assert "its keys from origin (airport, iata) to origin (airport, icao)" in why


@pytest.mark.parametrize("about", [{"column": "t"}, {"description": "x"}, {"endpoint": replace(ENDPOINT, slo="1h")}])
def test_whatever_else_may_change_in_production(about):
    """Another column, words about it, another time of delivery."""
    assert refusals([change(feature(life_cycle="production"), feature(life_cycle="production", **about))], nobody) == {}


@pytest.mark.parametrize("state", ["deprecated", "retired"])
def test_what_a_deployed_model_uses_stays_forced_or_not(state):
    """The models are listed."""
    step = change(feature(life_cycle="experimental"), feature(life_cycle=state))
    told = refusals([step], lambda name: [f"{name}-model", "other"], {TEMP})
    assert told == {TEMP: f"'{TEMP}' cannot be {state}: deployed models use it: {TEMP}-model, other"}


def test_who_stays_deprecated_is_not_asked_for_models():
    """An edit of a deprecated feature does not deprecate it."""
    step = change(feature(life_cycle="deprecated"), feature(life_cycle="deprecated", owner="x"))
    assert refusals([step], lambda _: ["model"]) == {}


def test_all_refusals_come_in_one_error():
    """A line for each."""
    steps = [
        change(feature(name, life_cycle="production"), feature(name, life_cycle="production", data_type="string"))
        for name in ("a", "b")
    ]
    with pytest.raises(ChangeRefused) as caught:
        require_allowed(steps, nobody)
    assert len(caught.value.reasons) == 2
    assert str(caught.value).splitlines()[0] == "2 changes are refused, and nothing is written:"


def test_differences_are_told_field_by_field():
    """With those of the endpoint by their path."""
    step = change(feature(owner="a"), feature(owner="b", endpoint=replace(ENDPOINT, uri="x.csv")))
    assert [tuple(each) for each in differences(step)] == [
        ("owner", "a", "b"),
        ("endpoint.uri", "weather.csv", "x.csv"),
    ]


@pytest.mark.parametrize("about", [{"life_cycle": "prod"}, {"scope": "all"}])
def test_a_state_that_there_is_none_is_refused(about):
    """Also where no features file was in between."""
    with pytest.raises(InvalidValue, match=r"is no (life cycle|scope); there are"):
        once([feature(**about)])


def test_a_forced_name_that_is_not_given_is_a_slip():
    """It would force nothing."""
    assert forced_names(["airport/weather/temp"], [feature()]) == {TEMP}
    with pytest.raises(UnknownFeature, match="is forced and not among"):
        forced_names(["airport/weather/tmp"], [feature()])


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"description": "a\0b"}, "description"),
        ({"tags": ("warm", "co\0ld")}, "tags"),
        ({"owner": "\0"}, "owner"),
        ({"endpoint": replace(ENDPOINT, owner="a\0")}, "endpoint.owner"),
    ],
)
def test_a_nul_in_a_text_is_refused_by_the_field_s_name(changed, where):
    """ML Metadata would keep what stands before it, and say nothing."""
    with pytest.raises(InvalidValue, match=f"temp' has a NUL character in its {where},"):
        once([feature(**changed)])


def test_a_text_that_only_speaks_of_nul_is_kept():
    """A backslash and the letters after it are no NUL."""
    wanted = feature(description="\\u0000 and \\0 end texts in C")
    assert once([wanted]) == [wanted]
