"""Contextual features: declared without an endpoint, brought by the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from jukebox.core.lineage import features_of
from jukebox.engine import replaying, verifying
from jukebox.engine.contextual import require
from jukebox.engine.requests import Asked
from jukebox.errors import InvalidFile, InvalidType, InvalidValue, NameClash
from jukebox.features import Feature, FeatureName
from jukebox.features.file import parse_features
from jukebox.stores import open_lineage, open_registry
from tests.components.conftest import furnished, here
from tests.components.place import DECLARED, TEMP, UTC, Place, at
from tests.serving.conftest import CONTEXT, DEVICE, LOCAL_HOUR

if TYPE_CHECKING:
    from typing import Any

__all__ = ["furnished", "here"]
LABELS = pa.table({"origin": ["JFK"], "device": ["tv"], "hour": [8], "at": pa.array([at("02 07:00")], UTC)})


def test_a_contextual_feature_has_a_column_and_no_endpoint() -> None:
    """Its column is by default the last part of its name, and it comes back from JSON as it was."""
    device, hour = parse_features(DECLARED + CONTEXT)[-2:]
    assert (device.contextual, device.column, hour.column) == (True, "device", "hour")
    assert Feature.from_json(hour.to_json()) == hour
    assert hour.definition["contextual"] is True
    assert "contextual" not in parse_features(DECLARED)[0].definition


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("contextual: true, endpoint: weather", "has no endpoint and no age"),
        ("contextual: true, max_age: 1h", "has no endpoint and no age"),
        ("contextual: false", "field 'endpoint' is missing"),
        ("contextual: maybe", "must be true or false"),
    ],
)
def test_what_contextual_cannot_stand_beside(fields: str, words: str) -> None:
    """Each is one fault of the file, with its line."""
    with pytest.raises(InvalidFile, match=words):
        parse_features(f"{DECLARED}  - {{name: /user/r/x, data_type: string, {fields}}}\n")


def test_labels_bring_it_and_lineage_names_it(here: Place) -> None:
    """The manifest tells its column and version, a replay and a verification hold, and the run has read it."""
    here.register(DECLARED + CONTEXT)
    here.load("weather")
    manifest = here.join(LABELS, {TEMP: {}, DEVICE: {}, LOCAL_HOUR: {}})
    told = [(each["name"], each["version"], each["column"]) for each in manifest.details["context"]]
    assert told == [(DEVICE, 1, "device"), (LOCAL_HOUR, 1, "hour")]
    assert here.joined().column_names == ["origin", "device", "hour", "at", "temp"]
    assert verifying.verify(str(here.out)).error is None
    assert replaying.replay(str(here.out)).made.details["context"] == manifest.details["context"]
    names = {node.name for node in features_of(open_lineage(here.registry), str(here.out))}
    assert names == {f"{name}@1" for name in (TEMP, DEVICE, LOCAL_HOUR)}


def test_the_request_may_name_another_label_column(here: Place) -> None:
    """What the request calls it is the labels' column; rules of time and keys make no sense for it."""
    here.register(DECLARED + CONTEXT)
    here.load("weather")
    labels = LABELS.rename_columns(["origin", "screen", "hour", "at"])
    assert here.join(labels, {TEMP: {}, DEVICE: "screen"}).details["context"][0]["column"] == "screen"
    for about in ({"max_age": "1h"}, {"last_non_null": True}, {"keys": {"origin": "origin"}}):
        with pytest.raises(InvalidValue, match="comes with the labels"):
            here.join(LABELS, {TEMP: {}, DEVICE: about})
    with pytest.raises(NameClash):
        here.join(LABELS, {TEMP: "device", DEVICE: {}})


@pytest.mark.parametrize(
    ("kind", "data_type", "fits"),
    [
        (pa.int32(), "int64", True),
        (pa.float32(), "float64", True),
        (pa.binary(), "string", True),
        (pa.dictionary(pa.int32(), pa.string()), "string", True),
        (pa.list_(pa.float64()), "list<float32>", True),
        (pa.timestamp("ms", "UTC"), "timestamp", True),
        (pa.string(), "any", True),
        (pa.int64(), "float64", False),
        (pa.timestamp("us"), "timestamp", False),
        (pa.bool_(), "int64", False),
        (pa.list_(pa.string()), "string", False),
    ],
)
def test_types_meet_where_nothing_changes_kind(kind: Any, data_type: str, fits: bool) -> None:
    """Widths and layouts may differ, kinds may not, and a time needs its zone."""
    wanted = [Asked(FeatureName.parse("/user/r/x"), 1, data_type, "x")]
    if fits:
        require(wanted, pa.schema([("x", kind)]))
    else:
        with pytest.raises(InvalidType, match="label column 'x' is"):
            require(wanted, pa.schema([("x", kind)]))


def test_it_is_registered_once(here: Place) -> None:
    """Registering the same file again changes nothing, and the registry gives it back."""
    assert {each["change"] for each in here.register(DECLARED + CONTEXT).details["features"]} == {"new", "unchanged"}
    assert {each["change"] for each in here.register(DECLARED + CONTEXT).details["features"]} == {"unchanged"}
    assert open_registry(here.registry).feature(DEVICE).feature.contextual
