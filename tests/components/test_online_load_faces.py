"""Every argument of an online load's faces does what it says: the same as of ``run``, through TFX and through KFP."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jukebox import online_load
from jukebox.tables import Manifest
from tests.components.beam_runner import NAME
from tests.components.place import DAYS, TEMP
from tests.components.test_online_load import served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.components.place import Place

FILTER = [{"primitive_entity": "airport", "identifier": "iata", "column_name": "gid"}]
RANGE = {"start": DAYS[0], "end": DAYS[1]}


def every(place: Place, dates: dict[str, str]) -> dict[str, Any]:
    """Return arguments none of which may be left out: the filter's file does not tell its format, nor its keys."""
    (place.root / "keys").write_text("gid\nLGA\n")
    about = {"features": [TEMP], "table": "mine", "replace": True, **dates}
    return {**about, "filter_columns": FILTER, "filter_format": "csv"}


def on_kfp(place: Place, out: Path, about: dict[str, Any]) -> None:
    """Load as a step of a Kubeflow pipeline does, on Beam."""
    from jukebox.kfp import online_load as component

    channels = {"feature_table": place.table, "feature_set": place.root / "feature_set"}
    component.python_func(
        **{name: SimpleNamespace(path=str(path)) for name, path in channels.items()},
        online_table=SimpleNamespace(path=str(out), metadata={}),
        filter_keys=str(place.root / "keys"),
        beam_pipeline_args=noting(place),
        **about,
    )


def on_tfx(place: Place, out: Path, about: dict[str, Any]) -> None:
    """Load as a component of a TFX pipeline does, on Beam."""
    from tfx.types import channel_utils

    from jukebox.artifacts import DataSet, FeatureSet, FeatureTable, OnlineTable
    from jukebox.online_load.tfx import Executor, OnlineLoad

    found = {"feature_table": FeatureTable(), "feature_set": FeatureSet(), "filter_keys": DataSet()}
    for name, path in (("feature_table", place.table), ("feature_set", place.root / "feature_set")):
        found[name].uri = str(path)
    found["filter_keys"].uri = str(place.root / "keys")
    made = OnlineTable()
    made.uri = str(out)
    channels = {name: channel_utils.as_channel([artifact]) for name, artifact in found.items()}
    component = OnlineLoad(**channels, **about)
    context = Executor.Context(beam_pipeline_args=noting(place), tmp_dir=str(place.root), unique_id="1")
    inputs = {name: [artifact] for name, artifact in found.items()}
    Executor(context).Do(inputs, {"online_table": [made]}, component.exec_properties)


def noting(place: Place) -> list[str]:
    """Return the flags of a runner that leaves the names of its steps."""
    return [f"--runner={NAME}", f"--temp_location={place.root / 'steps'}"]


@pytest.mark.parametrize("dates", [RANGE, {"date": DAYS[1]}])
@pytest.mark.parametrize("face", [on_kfp, on_tfx])
def test_every_argument_arrives(here: Place, face: Any, dates: dict[str, str]) -> None:
    """Features, table, dates, filter with columns and format, replacement, Beam: all is as ``run`` leaves it."""
    here.load()
    about = {**every(here, dates), "registry": here.registry}
    channels = {"feature_table": str(here.table), "feature_set": str(here.root / "feature_set")}
    keys = {"filter_keys": str(here.root / "keys")}
    stores = [f"sqlite://{here.root}/{name}.db" for name in ("run", "face")]
    for _ in range(2):
        wanted = online_load.run(**about, **channels, **keys, store=stores[0])
        face(here, here.root / "out", {**about, "store": stores[1]})
    found = Manifest.read(here.root / "out", "online_table")
    [load] = found.details["tables"]
    assert found.details["tables"] == wanted.details["tables"]
    assert (load["table"], load["features"], load["rows"], load["version"]) == ("mine", [f"{TEMP}@1"], 1, 2)
    assert load["read"] == 8 * (2 if dates == RANGE else 1)
    assert (found.fingerprint, found.inputs, found.details["store"]) == (wanted.fingerprint, wanted.inputs, stores[1])
    assert [served(here, airport=airport) for airport in ("JFK", "LGA")] == [None, 28.0]
    assert "Write" in (here.root / "steps").read_text().splitlines()
