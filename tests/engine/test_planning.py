"""A plan: what a registration would do, what was made of the features, and nothing written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jukebox.engine.planning import plan
from jukebox.errors import ChangeRefused, UnknownFeature
from jukebox.stores import Recorded, open_registry
from jukebox.stores.writing import to_yaml
from tests.stores.mlmd_writers import feature

TEMP, WIND = "/entity/airport/component/weather/name/temp", "/entity/airport/component/weather/name/wind"
SERVING = (("active", "true"), ("endpoint", "live"))


@pytest.fixture
def uri(tmp_path):
    """Return a registry where two features went into a model, and one online."""
    uri = f"mlmd+sqlite://{tmp_path}/registry.db"
    registry = open_registry(uri)
    registry.register([feature(life_cycle="production"), feature("wind"), feature("rain")])
    data, model = Recorded("jukebox.TrainingSet", "set"), Recorded("Model", "model")
    registry.record("point_in_time_join", reads=[f"{TEMP}@1", f"{WIND}@1"], outputs=[data])
    registry.record("trainer", inputs=[data], outputs=[model])
    registry.record("online_load", reads=[f"{TEMP}@1"], outputs=[Recorded("jukebox.OnlineTable", "online")])
    return uri


def deploy(uri):
    """Record that the model serves."""
    deployment = Recorded("jukebox.Deployment", "endpoints/live", properties=SERVING)
    open_registry(uri).record("record_deployment", inputs=[Recorded("Model", "model")], outputs=[deployment])


def test_a_plan_tells_changes_differences_and_uses(uri, tmp_path):
    """New and unchanged features touch nothing; and the store's bytes stay."""
    before = (tmp_path / "registry.db").read_bytes()
    wanted = [feature("snow"), feature("wind", column="w"), feature(owner="x"), feature("rain")]
    found = {each.after.name.name: each for each in plan(wanted, uri)}
    assert (tmp_path / "registry.db").read_bytes() == before
    assert {name: each.after.change for name, each in found.items()} == {
        "snow": "new",
        "wind": "new version",
        "temp": "edited",
        "rain": "unchanged",
    }
    assert [tuple(each) for each in found["wind"].differences] == [("column", "wind", "w")]
    uses = {name: [[node.uri for node in nodes] for nodes in vars(each.uses).values()] for name, each in found.items()}
    assert uses == {
        "snow": [[], [], [], []],
        "wind": [["set"], ["model"], [], []],
        "temp": [["set"], ["model"], ["online"], []],
        "rain": [[], [], [], []],
    }


def test_a_plan_foresees_what_is_refused(uri):
    """In the words of the registration, and it goes on to the others."""
    deploy(uri)
    wanted = [feature(data_type="string"), feature("wind", life_cycle="deprecated"), feature("rain", owner="x")]
    planned = plan(wanted, uri)
    refused = [each.refused for each in planned]
    assert refused[2] is None
    assert [node.uri for node in planned[1].uses.deployed] == ["model"]
    with pytest.raises(ChangeRefused) as caught:
        open_registry(uri).register(wanted)
    assert list(caught.value.reasons) == refused[:2]
    assert "deployed models use it: model" in refused[1]


def test_what_is_forced_by_name_is_not_refused(uri):
    """By its short name too."""
    assert plan([feature(data_type="string")], uri, force=["/airport/weather/temp"])[0].refused is None
    with pytest.raises(UnknownFeature, match="is forced and not among"):
        plan([feature(data_type="string")], uri, force=["/airport/weather/wind"])


def test_a_registry_that_is_not_there_is_not_made(tmp_path):
    """All is new then."""
    planned = plan([feature(), feature("wind")], f"mlmd+sqlite://{tmp_path}/none/registry.db")
    assert [each.after.change for each in planned] == ["new", "new"]
    assert list(tmp_path.iterdir()) == []


def test_a_registry_in_a_file_knows_no_uses(uri, tmp_path):
    """The changes are told all the same."""
    (tmp_path / "registry.yaml").write_text(to_yaml(open_registry(uri).holdings()), encoding="utf-8")
    planned = plan([feature(owner="x"), feature("snow"), replace(feature("wind"))], f"file://{tmp_path}/registry.yaml")
    assert [(each.after.change, each.uses is None) for each in planned] == [
        ("edited", True),
        ("new", False),
        ("unchanged", False),
    ]
