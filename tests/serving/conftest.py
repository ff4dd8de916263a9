"""A scene that every test of serving shares: features loaded online, and models that a training set went into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox import online_load, point_in_time_join
from jukebox.stores import Recorded, open_registry
from tests.components.place import DECLARED, LATE, SEATS, TEMP, UTC, WIND, Place, at, furnish, write

if TYPE_CHECKING:
    from typing import Any

DEVICE = "/entity/flight/component/request/name/device"
LOCAL_HOUR = "/entity/flight/component/request/name/local_hour"
CONTEXT = """\
  - {name: /flight/request/device, contextual: true, data_type: string, description: What the caller calls from.}
  - {name: /flight/request/local_hour, contextual: true, column: hour, data_type: int64}
"""
WAY_OUT = {"column": "out_temp", "max_age": "1h", "keys": {"base": "origin"}}
REQUEST: dict[str, Any] = {SEATS: "seats", TEMP: ["temp", WAY_OUT], LATE: "late", DEVICE: None, LOCAL_HOUR: None}
KEYS = {"tail": "N1", "origin": "JFK", "dest": "SFO", "base": "LGA"}
NOON = at("03 19:30")


@dataclass(frozen=True)
class Scene:
    """Where the registry, the store and the models are."""

    place: Place

    @property
    def registry(self) -> str:
        """The registry's URI."""
        return self.place.registry

    @property
    def store(self) -> str:
        """The online store's URI."""
        return f"sqlite://{self.place.root}/online.db"

    @property
    def training_set(self) -> str:
        """The training set's folder."""
        return str(self.place.root / "training_set")

    @property
    def model(self) -> str:
        """The URI of the model that the training set went into."""
        return str(self.place.root / "models" / "late" / "7")

    def trained(self, uri: str, training_set: str) -> None:
        """Record a run that made the model at ``uri`` from a training set."""
        registry = open_registry(self.registry)
        made = [Recorded("Model", uri)]
        registry.record("trainer", inputs=[Recorded("jukebox.TrainingSet", training_set)], outputs=made)


def staged(place: Place) -> Scene:
    """Return the scene in a furnished place."""
    scene = Scene(place)
    place.register(DECLARED + CONTEXT)
    place.load("weather")
    place.load("planes", date="2024-01-03", out=str(place.root / "planes"))
    place.load("routes", out=str(place.root / "routes"))
    names = [TEMP, WIND, SEATS, LATE]
    online_load.run(store=scene.store, registry=place.registry, features=names)
    labels = {name: [value] * 2 for name, value in KEYS.items()}
    labels |= {
        "device": ["phone", None],
        "hour": [8, 20],
        "at": pa.array([at("02 13:00"), NOON], UTC),
        "miles": [1.5, 2],
    }
    write(place.root / "labels.parquet", pa.table(labels))
    where = {"labels": str(place.root / "labels.parquet"), "label_time": "at", "out": scene.training_set}
    point_in_time_join.run(**where, features=REQUEST, registry=place.registry)
    scene.trained(scene.model, scene.training_set)
    return scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The scene; no test changes it."""
    return staged(furnish(tmp_path_factory.mktemp("scene")))
