"""The registry on MLMD: versions, revisions, and where features lie."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from jukebox.errors import ChangeRefused, InvalidValue, NameClash, NotRegistered, UnknownFeature
from jukebox.features import FeatureName
from jukebox.stores import Chronicle, Holdings, OnlineSource, Recorded, RegisteredFeature, open_registry
from jukebox.stores.searching import Query
from jukebox.stores.writing import to_yaml
from tests.stores.holdings import holdings
from tests.stores.mlmd_writers import ENDPOINT, feature, offline, raw
from tests.stores.test_snapshot import HELD, SERVED

TEMP = "/entity/airport/component/weather/name/temp"


@pytest.fixture
def registry(tmp_path):
    """Return a new registry at ``registry.db``."""
    return open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")


def told(registered):
    """Return what happened to each feature."""
    return [(each.name.name, each.change, each.version, each.revision) for each in registered]


def test_what_is_registered_is_read_back_whole(registry, tmp_path):
    """Every field of a feature survives, also in another process's view of the file."""
    written = feature(
        description='°C, "quoted"\n',
        owner="wx",
        max_age=timedelta(hours=2),
        tags=("a", "b"),
        quality={"min": -40.5, "values": [1, None]},
    )
    registry.register([written])
    assert open_registry(f"mlmd+sqlite://{tmp_path}/registry.db").feature("airport/weather/temp").feature == written


def test_the_same_again_writes_nothing(registry, tmp_path):
    """A second registration leaves the file's bytes as they are."""
    registry.register([feature(), feature("wind")])
    before = (tmp_path / "registry.db").read_bytes()
    assert told(registry.register([feature("wind"), feature()])) == [
        ("wind", "unchanged", 1, 1),
        ("temp", "unchanged", 1, 1),
    ]
    assert (tmp_path / "registry.db").read_bytes() == before


def test_a_changed_description_is_an_edit_with_its_history(registry):
    """The version stays, the revision counts, and what was before is kept with its end."""
    began = datetime.now(timezone.utc)
    registry.register([feature(description="one")])
    registry.register([feature(description="two")])
    assert told(registry.register([feature(description="three")])) == [("temp", "edited", 1, 3)]
    history = registry.history(TEMP)
    assert [each.registered.feature.description for each in history] == ["one", "two"]
    assert began <= history[0].replaced_at <= history[1].replaced_at <= datetime.now(timezone.utc)


@pytest.mark.parametrize(
    "change",
    [
        {"column": "t"},
        {"data_type": "float"},
        {"endpoint": replace(ENDPOINT, created_time="made")},
        {"endpoint": replace(ENDPOINT, time_zone="UTC")},
    ],
)
def test_a_changed_definition_is_a_new_version(registry, change):
    """The old version stays as it was, and the newest is what a name means."""
    registry.register([feature()])
    assert told(registry.register([feature(**change)])) == [("temp", "new version", 2, 2)]
    assert registry.feature(TEMP, 1).feature == feature()
    assert registry.feature(TEMP).feature == feature(**change)
    assert [each.versioned for each in registry.features()] == [f"{TEMP}@2"]


def test_going_back_to_an_old_definition_is_a_new_version(registry):
    """Versions only count up: what used the one in between must not be taken for what comes now."""
    registry.register([feature()])
    registry.register([feature(column="t")])
    assert told(registry.register([feature()])) == [("temp", "new version", 3, 3)]


def test_a_plan_says_what_a_registration_does_and_writes_nothing(registry, tmp_path):
    """Version, revision and change of a plan are those that come, in the order asked for."""
    registry.register([feature(), feature("wind"), feature("rain")])
    before = (tmp_path / "registry.db").read_bytes()
    wanted = [feature("snow"), feature(tags=("x",)), feature("wind", column="w"), feature("rain")]
    planned = registry.plan(wanted)
    assert (tmp_path / "registry.db").read_bytes() == before
    assert registry.register(wanted) == planned
    assert [each.change for each in planned] == ["new", "edited", "new version", "unchanged"]


def test_features_come_by_name(registry):
    """The list is in the order of names, whatever the order of registration."""
    registry.register([feature("wind"), feature("rain")])
    registry.register([feature("snow")])
    assert [each.name.name for each in registry.features()] == ["rain", "snow", "wind"]


def test_a_name_twice_in_one_registration_is_refused(registry):
    """Neither of the two is registered."""
    with pytest.raises(NameClash, match="temp is given twice"):
        registry.register([feature(), feature("wind"), feature(column="t")])
    assert registry.features() == ()


def test_an_unknown_name_is_answered_with_the_nearest(registry):
    """A slip of the pen finds what was meant."""
    registry.register([feature(), feature("wind")])
    with pytest.raises(UnknownFeature, match=f"nearest: {TEMP}"):
        registry.feature("/airport/weather/tmp")


def test_an_unknown_version_names_the_newest(registry):
    """The feature is there, the version is not."""
    registry.register([feature()])
    with pytest.raises(UnknownFeature, match="has no version 7; the newest is 1"):
        registry.feature(TEMP, 7)


def test_a_feature_lies_in_its_family_its_entity_and_its_endpoint(registry, tmp_path):
    """MLMD's own contexts tell the family, across producers."""
    elsewhere = replace(feature(), name=FeatureName("airport", "station", "temp"))
    registry.register([feature(), elsewhere, feature("wind")])
    store = raw(tmp_path / "registry.db")
    for kind, name, count in [
        ("jukebox.FeatureFamily", "/airport/temp", 2),
        ("jukebox.Entity", "airport", 3),
        ("jukebox.DataEndpoint", "weather", 3),
    ]:
        context = store.get_context_by_type_and_name(kind, name)
        assert len(store.get_artifacts_by_context(context.id)) == count


def test_names_may_be_long_and_alike(registry):
    """Two names of a thousand letters that differ in the last are two features."""
    names = ["x" * 1000 + end for end in "ab"]
    registry.register([feature(name, column="c") for name in names])
    assert [each.name.name for each in registry.features()] == names
    assert registry.feature(f"/airport/weather/{names[1]}").name.name == names[1]


def test_offline_sources_come_in_the_order_of_their_registration(registry):
    """A source that is registered again becomes the newest, with what it holds now."""
    registry.register([feature(), feature("wind")])
    first, second = offline("a", f"{TEMP}@1"), offline("b", f"{TEMP}@1")
    again = replace(first, dates=(date(2013, 1, 1), date(2013, 1, 2)))
    for source in (first, second, again):
        registry.add_offline_source(source)
    assert registry.offline_sources(f"{TEMP}@1") == (second, again)
    assert registry.offline_sources("/airport/weather/wind@1") == ()


def test_the_same_source_again_becomes_the_newest(registry):
    """Nothing in it has changed but when it was registered."""
    registry.register([feature()])
    first, second = offline("a", f"{TEMP}@1"), offline("b", f"{TEMP}@1")
    for source in (first, second, first):
        registry.add_offline_source(source)
    assert registry.offline_sources(f"{TEMP}@1") == (second, first)


def test_a_table_that_lost_a_feature_is_no_longer_its_source(registry):
    """What a source says now counts, not what it once said."""
    registry.register([feature(), feature("wind")])
    both = offline("a", f"{TEMP}@1", "/entity/airport/component/weather/name/wind@1")
    registry.add_offline_source(both)
    registry.add_offline_source(replace(both, features=(f"{TEMP}@1",)))
    assert registry.offline_sources("/airport/weather/wind@1") == ()


def test_a_version_has_its_own_sources(registry):
    """A new version has not been loaded, though the old one was."""
    registry.register([feature()])
    registry.add_offline_source(offline("a", f"{TEMP}@1"))
    registry.register([feature(column="t")])
    assert registry.offline_sources(f"{TEMP}@2") == ()


def test_a_source_of_an_unknown_feature_is_refused(registry):
    """Nothing is registered of it."""
    with pytest.raises(UnknownFeature):
        registry.add_offline_source(offline("a", f"{TEMP}@1"))


def test_the_online_source_is_the_last_one_set(registry):
    """Each feature is served from one place, and a load of one leaves the others where they are."""
    registry.register([feature(), feature("wind")])
    wind = "/entity/airport/component/weather/name/wind@1"
    at = datetime(2013, 1, 2, tzinfo=timezone.utc)
    both = OnlineSource("sqlite://a.db", "airport", (f"{TEMP}@1", wind), 3, "f00d", at)
    one = OnlineSource("sqlite://b.db", "airport", (f"{TEMP}@1",), 4, "beef", at)
    registry.set_online_source(both)
    registry.set_online_source(one)
    assert registry.online_source(f"{TEMP}@1") == one
    assert registry.online_source(wind) == both


def test_a_feature_that_is_not_online_says_so(registry):
    """The error names the feature."""
    registry.register([feature()])
    with pytest.raises(NotRegistered, match="temp@1' has not been loaded online"):
        registry.online_source(f"{TEMP}@1")


def deployed(registry, *features):
    """Record a model of some features that serves at an endpoint."""
    data, model = Recorded("jukebox.TrainingSet", "set"), Recorded("Model", "models/1")
    registry.record("point_in_time_join", reads=features, outputs=[data])
    registry.record("trainer", inputs=[data], outputs=[model])
    live = Recorded("jukebox.Deployment", "endpoints/live", properties=(("endpoint", "live"), ("active", "true")))
    registry.record("record_deployment", inputs=[model], outputs=[live])


def test_what_a_deployed_model_uses_is_neither_deprecated_nor_retired(registry):
    """By registration or by name, forced or not; the others in the same call stay as they are too."""
    registry.register([feature(life_cycle="experimental"), feature("wind", life_cycle="experimental")])
    deployed(registry, f"{TEMP}@1")
    assert registry.deployed_models(TEMP) == ("models/1",)
    assert registry.deployed_models("/airport/weather/wind") == ()
    for state in ("deprecated", "retired"):
        with pytest.raises(ChangeRefused, match=f"cannot be {state}: deployed models use it: models/1"):
            registry.set_life_cycle([TEMP, "/airport/weather/wind"], state, force=[TEMP])
        with pytest.raises(ChangeRefused, match="models/1"):
            registry.register([feature(life_cycle=state)], force=[TEMP])
    assert {each.feature.life_cycle for each in registry.features()} == {"experimental"}
    assert told(registry.set_life_cycle(["airport/weather/wind"], "retired")) == [("wind", "edited", 1, 2)]


def test_a_new_version_does_not_free_what_an_old_one_is_deployed_with(registry):
    """The feature is deprecated as a whole."""
    registry.register([feature()])
    deployed(registry, f"{TEMP}@1")
    registry.register([feature(column="t")])
    with pytest.raises(ChangeRefused, match="models/1"):
        registry.set_life_cycle([TEMP], "deprecated")


def test_a_refused_registration_writes_nothing(registry, tmp_path):
    """Neither the features that are refused nor those beside them."""
    registry.register([feature(life_cycle="production")])
    before = (tmp_path / "registry.db").read_bytes()
    with pytest.raises(ChangeRefused, match="data_type"):
        registry.register([feature("wind"), feature(data_type="string")])
    assert (tmp_path / "registry.db").read_bytes() == before
    assert told(registry.register([feature(data_type="string")], force=[TEMP])) == [("temp", "new version", 2, 2)]
    assert registry.feature(TEMP).feature.life_cycle == "production"


@pytest.mark.parametrize(
    ("names", "state", "error"),
    [
        (["/airport/weather/tmp"], "retired", UnknownFeature),
        ([TEMP], "gone", InvalidValue),
        ([TEMP] * 2, "retired", NameClash),
    ],
)
def test_a_life_cycle_is_set_of_what_there_is(registry, names, state, error):
    """Unknown names, unknown states and names given twice change nothing."""
    registry.register([feature()])
    with pytest.raises(error):
        registry.set_life_cycle(names, state)
    assert registry.history(TEMP) == ()


def test_a_search_by_model_finds_what_went_into_it(registry):
    """In whatever version; the newest is what is listed."""
    registry.register([feature(), feature("wind"), feature("rain")])
    deployed(registry, f"{TEMP}@1", "/airport/weather/rain@1")
    registry.register([feature(column="t")])
    found = registry.search(Query(model="models/1"))
    assert [each.versioned for each in found.features] == ["/entity/airport/component/weather/name/rain@1", f"{TEMP}@2"]
    assert registry.search(Query(model="models/1", text="rain")).total == 1
    with pytest.raises(NotRegistered, match="no artifact at 'models/2'"):
        registry.search(Query(model="models/2"))


def test_a_search_by_what_is_online_follows_the_loads(registry, tmp_path):
    """Of this registry and of another at the same store, and of the newest version alone."""
    registry.register([feature(), feature("wind")])
    other = open_registry(f"mlmd+sqlite://{tmp_path}/registry.db")
    at = datetime(2013, 1, 2, tzinfo=timezone.utc)
    assert other.search(Query(online=True)).total == 0
    registry.set_online_source(OnlineSource("sqlite://a.db", "airport", (f"{TEMP}@1",), 3, "f00d", at))
    assert [each.versioned for each in other.search(Query(online=True)).features] == [f"{TEMP}@1"]
    registry.register([feature(column="t")])
    assert [each.name.name for each in other.search(Query(online=False)).features] == ["temp", "wind"]


@pytest.mark.parametrize(
    "asked",
    [
        "..",
        "/",
        "a/b",
        "/airport/weather/temp/more",
        "/entity/airport/component/weather/name/",
        "/flughafen/wetter/größe",
        "/airport/weather/" + "x" * 1000,
        "/airport/weather/temp\n",
        "",
    ],
)
def test_an_odd_name_is_refused_by_name(registry, asked):
    """As no name, or as one that is not registered, and never with a library's words."""
    registry.register([feature()])
    last = asked.rpartition("/")[2]
    for ask in (registry.feature, registry.history, registry.versions, registry.deployed_models):
        with pytest.raises((InvalidValue, UnknownFeature), match=re.escape(last or "is no feature name")):
            ask(asked)


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(held=holdings())
def test_what_is_taken_over_is_held_just_so(held, tmp_path):
    """Export, import into a new store, export: the same text; and the same again changes no byte."""
    path = tmp_path / f"{secrets.token_hex(8)}.db"
    registry = open_registry(f"mlmd+sqlite://{path}")
    assert registry.take_over(held) == len(held.features)
    assert to_yaml(registry.holdings()) == to_yaml(held)
    before = path.read_bytes()
    assert registry.take_over(held) == 0
    assert path.read_bytes() == before


def test_what_contradicts_is_not_taken_over(registry):
    """All that contradicts is told, and nothing is written."""
    registry.take_over(HELD)
    other = replace(HELD.features[0], newest=replace(HELD.features[0].newest, feature=feature(owner="x")))
    rain = Chronicle(RegisteredFeature(feature("rain"), 1, 1))
    source = replace(HELD.offline[0], fingerprint="other")
    with pytest.raises(ChangeRefused) as caught:
        registry.take_over(Holdings((other, rain), (source,), ((f"{TEMP}@1", replace(SERVED, rows=4)),)))
    assert caught.value.reasons == (
        f"the feature '{TEMP}' is registered already, with other versions or another history",
        "the offline source 'tables/a' is registered already, with other contents",
        f"the online source of '{TEMP}@1' is registered already, with other place or contents",
    )
    assert registry.holdings() == HELD


def test_two_registries_are_brought_together(registry):
    """What is there already just so stays, and what is new comes beside it; it can then be changed as any other."""
    registry.register([feature("rain")])
    assert registry.take_over(HELD) == 2
    assert [each.name.name for each in registry.features()] == ["rain", "temp", "wind"]
    assert told(registry.register([feature("wind", column="w", owner="me")])) == [("wind", "edited", 2, 3)]
    assert registry.offline_sources("/airport/weather/wind@2") == (HELD.offline[1],)
