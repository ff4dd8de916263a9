"""Reading what a model was trained on, contextual features among it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from jukebox.core.lineage import features_of
from jukebox.errors import InvalidType, InvalidValue, MissingColumn, NameClash, NotRegistered
from jukebox.formats import parquet
from jukebox.serving import FeatureReader, Served
from jukebox.stores import open_lineage, open_registry
from tests.components.place import SEATS, TEMP, UTC, Place, at, copied
from tests.serving.conftest import DEVICE, KEYS, LOCAL_HOUR, NOON, Scene, staged

if TYPE_CHECKING:
    from pathlib import Path

GIVEN = {"device": "phone", "hour": 8}
COLUMNS = ["seats", "temp", "out_temp", "late", "device", "local_hour"]


class CountingRegistry:
    """A registry that counts what it is asked."""

    def __init__(self, uri: str) -> None:
        self._registry, self.asked = open_registry(uri), 0

    def __getattr__(self, name: str) -> Any:
        """Count and pass on."""
        self.asked += 1
        return getattr(self._registry, name)


def test_a_model_is_read_as_it_was_trained(scene: Scene) -> None:
    """Columns, roles, limits of age and versions are the training set's, and so are the values at a label's time."""
    with FeatureReader.for_model(scene.model, scene.registry) as reader:
        vector = reader.read({**KEYS, "device": None, "hour": 20}, at=NOON)
    trained = pa.Table.from_batches(parquet.read(f"{scene.training_set}/training_set.parquet")).to_pylist()[1]
    expected = {name: trained["hour" if name == "hour" else name] for name in ("seats", "temp", "out_temp", "late")}
    assert vector.to_dict() == {**expected, "device": None, "hour": 20}
    assert [each.status for each in vector] == ["fresh", "fresh", "stale", "fresh", "fresh", "fresh"]
    assert {each.feature for each in vector} == {f"{name}@1" for name in _named(scene)}


def _named(scene: Scene) -> set[str]:
    found = features_of(open_lineage(scene.registry), scene.model)
    return {node.name.partition("@")[0] for node in found}


def test_after_the_first_nothing_but_the_store_is_asked(scene: Scene) -> None:
    """Reads for a model ask neither registry nor lineage, until ``refresh``."""
    registry = CountingRegistry(scene.registry)
    reader = FeatureReader.for_model(scene.model, registry, lineage=open_lineage(scene.registry))  # type: ignore[arg-type]
    asked = registry.asked
    for _ in range(3):
        reader.read({**KEYS, **GIVEN}, at=NOON)
    assert registry.asked == asked
    reader.refresh()
    reader.read({**KEYS, **GIVEN}, at=NOON)
    assert registry.asked > asked


def test_a_role_goes_by_its_own_name_alone(scene: Scene) -> None:
    """The airport of the other role is never taken for it."""
    reader = FeatureReader.for_model(scene.model, scene.registry)
    with pytest.raises(MissingColumn, match="read by 'base'"):
        reader.read({"tail": "N1", "origin": "JFK", "dest": "SFO", "airport": "JFK", **GIVEN})


def test_contextual_values_come_from_the_entity_or_the_context(scene: Scene) -> None:
    """By column, by short and by full name; the entity's own goes before the one that all share."""
    reader = FeatureReader(scene.registry)
    asked = [DEVICE, LOCAL_HOUR]
    for name in ("device", "/flight/request/device", DEVICE):
        found = reader.read_many([{name: "own", "hour": 1}, {"hour": 2}], asked, context={"device": "shared"})
        assert found.to_dicts() == [{DEVICE: "own", LOCAL_HOUR: 1}, {DEVICE: "shared", LOCAL_HOUR: 2}]
    assert found.to_arrow().schema.types == [pa.string(), pa.int64()]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"device": "phone"}, MissingColumn, "local_hour' is known only in the request: pass it as 'hour'"),
        ({"device": 7, "hour": 1}, InvalidType, "device' takes string, not 7"),
        ({"device": "x", "hour": 1.5}, InvalidType, "local_hour' takes int64, not 1.5"),
        ({"device": "x", "hour": True}, InvalidType, "takes int64, not True"),
        ({"device": "x", "hour": 2**63}, InvalidType, "does not hold"),
    ],
)
def test_contextual_values_are_checked(scene: Scene, given: Any, error: type[Exception], words: str) -> None:
    """What is not passed, and what is of another type, is one clear error."""
    with pytest.raises(error, match=words):
        FeatureReader(scene.registry).read(given, [DEVICE, LOCAL_HOUR])


def test_labels_must_bring_contextual_features(scene: Scene, tmp_path: Path) -> None:
    """A label column that is missing or of another type stops the join, before anything is written."""
    here = copied(scene.place, tmp_path)
    rows = {"origin": ["JFK"], "at": pa.array([NOON], UTC)}
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({}, MissingColumn, "no column 'device'"),
        ({"device": [1]}, InvalidType, "'device' is int64"),
    ]
    for columns, error, words in cases:
        with pytest.raises(error, match=words):
            here.join(pa.table({**rows, **columns}), [TEMP, DEVICE], out=str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidValue, match="contextual features alone"):
        here.join(pa.table({**rows, "device": ["x"]}), [DEVICE])


def test_a_lost_training_set_leaves_the_lineage(scene: Scene, tmp_path: Path) -> None:
    """Without the manifest the features go by the last part of their names, and a warning says so."""
    mine = Scene(Place(tmp_path))
    shutil.copytree(scene.place.root, tmp_path, dirs_exist_ok=True)
    mine.trained("model://lost", str(tmp_path / "gone"))
    registry = open_registry(mine.registry)
    from jukebox.stores import Recorded

    out = [Recorded("jukebox.TrainingSet", str(tmp_path / "gone"))]
    registry.record("point_in_time_join", reads=[f"{TEMP}@1", f"{SEATS}@1"], outputs=out)
    with pytest.warns(UserWarning, match="training set of 'model://lost' cannot be read"):
        reader = FeatureReader.for_model("model://lost", mine.registry)
    assert [entry.column for entry in reader.lookup().entries] == ["seats", "temp"]


def test_models_that_are_unknown_or_made_of_nothing_are_refused(scene: Scene, tmp_path: Path) -> None:
    """One clear error each, when the reader is made."""
    mine = Scene(copied(scene.place, tmp_path))
    mine.trained("model://bare", str(tmp_path / "csv"))
    with pytest.raises(NotRegistered, match="no artifact at 'nowhere'"):
        FeatureReader.for_model("nowhere", mine.registry)
    with pytest.raises(NotRegistered, match="no feature went into"):
        FeatureReader.for_model("model://bare", mine.registry)


def test_two_training_sets_must_agree_on_a_column(scene: Scene, tmp_path: Path) -> None:
    """A model of two training sets reads both, and one column has one meaning."""
    mine = staged(copied(scene.place, tmp_path))
    labels = pa.table({"origin": ["JFK"], "tail": ["N1"], "at": pa.array([at("02 13:00")], UTC)})
    for number, request in enumerate(({TEMP: "x"}, {SEATS: "y"}, {SEATS: "x"})):
        mine.place.join(labels, request, out=str(tmp_path / f"set{number}"))
    mine.trained("model://one", str(tmp_path / "set0"))
    mine.trained("model://one", str(tmp_path / "set1"))
    both = FeatureReader.for_model("model://one", mine.registry)
    assert sorted(entry.column for entry in both.lookup().entries) == ["x", "y"]
    mine.trained("model://one", str(tmp_path / "set2"))
    with pytest.raises(NameClash, match="both as 'x'"):
        FeatureReader.for_model("model://one", mine.registry)


def test_what_is_not_fresh_is_none_in_every_shape(scene: Scene) -> None:
    """A stale value stands nowhere but aside, in the vector: not in columns, and not in what is told of the read."""
    told: list[Served] = []
    reader = FeatureReader(scene.registry, told=told.append)
    found = reader.read_many([{"airport": "LGA"}], {TEMP: {"column": "t", "max_age": "1h"}}, at=NOON)
    assert (found[0]["t"].status, found[0]["t"].too_old is None) == ("stale", False)
    assert (found.to_dicts(), found.to_arrow().to_pydict()) == ([{"t": None}], {"t": [None]})
    assert np.isnan(found.to_numpy()["t"]).all()
    assert list(told[0].features[0].values) == [None]


def test_a_feature_at_the_end_of_its_life_is_served_to_the_models_that_it_went_into(
    scene: Scene, tmp_path: Path
) -> None:
    """It is the registry that refuses new use, and a server that goes on."""
    mine = staged(copied(scene.place, tmp_path))
    before = FeatureReader.for_model(mine.model, mine.registry).read({**KEYS, **GIVEN}, at=NOON)
    registry = open_registry(mine.registry)
    for life_cycle in ("production", "deprecated", "retired"):
        registry.set_life_cycle([SEATS], life_cycle)
        found = FeatureReader.for_model(mine.model, mine.registry).read({**KEYS, **GIVEN}, at=NOON)
        assert found.to_dict() == before.to_dict()
    assert found["seats"].status == "fresh"
