"""What a join refuses: one clear error, and nothing at ``out`` that looks whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from jukebox.errors import (
    CorruptData,
    InvalidType,
    InvalidValue,
    JukeboxError,
    MissingColumn,
    NameClash,
    NoPartition,
    StorageError,
    UnknownFeature,
)
from jukebox.formats import tfrecord
from jukebox.tables import Manifest
from tests.components.limits import full_disk, unwritable
from tests.components.place import DAYS, DECLARED, DELAY, SEATS, TEMP, UTC, WIND, at, files, labels

if TYPE_CHECKING:
    from tests.components.place import Place

SPINE = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"))
LISTS = SPINE.append_column("list", pa.array([[1], [2]]))


def refused(place: Place, kind: type[JukeboxError], said: str, **about: Any) -> None:
    """Check that a join is refused and leaves nothing."""
    spine = about.pop("spine", SPINE)
    with pytest.raises(kind, match=said):
        place.join(spine, about.pop("features", [TEMP]), **about)
    assert not place.out.exists()


@pytest.fixture
def there(here: Place) -> Place:
    """Return a place with the weather loaded."""
    here.load()
    return here


@pytest.mark.parametrize("name", ["/airport/weather/tmp", "/airport/weather/temp@7"])
def test_a_name_or_version_that_is_not_registered_is_refused_with_the_nearest(there: Place, name: str) -> None:
    """A typing error finds its feature, a version that is too high the newest."""
    said = "has no version 7; the newest is 1" if "@" in name else f"is not registered; nearest: {TEMP}"
    refused(there, UnknownFeature, said, features=[name])


@pytest.mark.parametrize(
    ("features", "kind", "said"),
    [
        ({TEMP: {"max_age": "3h"}}, InvalidValue, "max_age 3h, longer than its registered 2h"),
        ({SEATS: {"max_age": "1d"}}, InvalidValue, f"'{SEATS}' is static"),
        ({TEMP: "n"}, NameClash, "the output column 'n' is in the labels already"),
        ({TEMP: "x", WIND: "x"}, NameClash, "would both be the column 'x'"),
        ({}, InvalidValue, "asks for no feature"),
        ([f"{TEMP}@one"], InvalidValue, "the version 'one', which is no number"),
        (["temp"], InvalidValue, "'temp' is no feature name"),
        (TEMP, InvalidType, "is the text"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(
    there: Place, features: Any, kind: type[JukeboxError], said: str
) -> None:
    """Longer ages than registered, columns that clash, nothing asked, and names that are none."""
    there.load("planes", out=str(there.root / "planes"))
    refused(there, kind, said, features=features)


@pytest.mark.parametrize(
    ("about", "kind", "said"),
    [
        ({"label_time": "when"}, MissingColumn, "column 'when' is not in the labels; they have n, origin, at"),
        ({"spine": SPINE.drop(["origin"])}, MissingColumn, "'origin' is not in the labels"),
        ({"keys": {"airport": "origin"}}, MissingColumn, "'airport' is not in the labels"),
        ({"keys": {"origin": "orgin"}}, MissingColumn, "'orgin', no key of the asked features; their keys are origin"),
        (
            {"keys": {"origin": "origin", "n": "origin"}},
            NameClash,
            "'origin' and 'n' are both mapped to the key 'origin'",
        ),
        ({"keys": {"n": "origin"}}, InvalidType, "key 'n' of the labels is int64"),
        (
            {"split": "hash:0.8:user"},
            MissingColumn,
            "'user' of the split is not in the labels; they have n, origin, at",
        ),
        ({"split": "hash:0.8:list", "spine": LISTS}, InvalidType, "'list' holds list"),
        ({"split": "time:1.5"}, InvalidValue, "'time:1.5' is no split"),
        ({"proof": "none"}, InvalidValue, "proof is 'none'; it is sample or full"),
        (
            {"spine": SPINE.set_column(2, "at", SPINE["at"].cast(pa.timestamp("us")))},
            InvalidType,
            r"\(naive\) and 'hour'",
        ),
        (
            {"spine": SPINE.append_column("m", pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int8())))},
            InvalidType,
            "'m'",
        ),
    ],
)
def test_labels_and_rules_that_do_not_fit_are_refused(
    there: Place, about: dict[str, Any], kind: type[JukeboxError], said: str
) -> None:
    """Columns that are not there, keys that name nothing, times of another kind, and columns no record can hold."""
    refused(there, kind, said, **about)


def test_labels_without_a_time_are_counted_and_refused(there: Place) -> None:
    """A null label time has no answer; the error shows the rows."""
    spine = pa.concat_tables([SPINE, SPINE.set_column(2, "at", pa.array([None, at("02 07:30")], UTC))])
    refused(there, InvalidValue, "label time 'at' is null in 1 of 4 rows: 2", spine=spine)


def test_labels_that_are_not_there_or_not_whole_are_refused(there: Place) -> None:
    """A path without labels, and labels that are cut off."""
    refused(there, NoPartition, "nowhere.parquet does not exist", spine=there.root / "nowhere.parquet")
    (there.root / "cut.parquet").write_bytes(b"PAR1")
    refused(there, CorruptData, "cut.parquet is not whole Parquet", spine=there.root / "cut.parquet")
    tfrecord.write(there.root / "cut.tfrecord.gz", SPINE.to_batches(), schema=SPINE.schema)
    whole = (there.root / "cut.tfrecord.gz").read_bytes()
    (there.root / "cut.tfrecord.gz").write_bytes(whole[:-12])
    refused(there, CorruptData, "cut.tfrecord.gz", spine=there.root / "cut.tfrecord.gz")


def test_a_feature_that_is_not_loaded_is_refused_with_the_endpoint_to_load(there: Place) -> None:
    """Nowhere at all, or not in the tables that are given."""
    refused(
        there, NoPartition, f"'{DELAY}@1' is not loaded offline; load its endpoint 'arrivals' first", features=[DELAY]
    )
    refused(there, NoPartition, f"'{TEMP}@1' is not loaded in the feature tables given", feature_tables=["elsewhere"])


def test_a_version_that_was_loaded_over_is_an_error_and_never_silent_nulls(there: Place) -> None:
    """The table of version 1 holds version 2 by now, wholly or for one date."""
    there.register(DECLARED.replace("column: temp, data_type: float64", "column: temp, data_type: float32"))
    refused(there, NoPartition, f"'{TEMP}@2' is not loaded offline")
    for dates in ({"date": DAYS[1]}, {}):
        there.load(**dates)
        refused(there, NoPartition, f"'{TEMP}@1' is not loaded offline", features=[f"{TEMP}@1"])
    made = there.join(SPINE, [TEMP])
    assert made.details["features"][0]["version"] == 2
    assert there.joined()["temp"].to_pylist() == [16.0, None]


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest cut", "manifest gone"])
def test_a_corrupt_stored_partition_is_refused_by_its_name_and_a_new_load_mends_it(there: Place, damage: str) -> None:
    """Data or manifest, cut off or gone: the error names the partition."""
    part = Manifest.read(there.table / f"date={DAYS[1]}")
    name = "manifest.json" if "manifest" in damage else part.details["data"]
    path = there.table / f"date={DAYS[1]}" / name
    path.write_bytes(path.read_bytes()[:-30])
    kind: type[JukeboxError] = CorruptData
    if damage.endswith("gone"):
        path.unlink()
        kind = StorageError if "manifest" in damage else NoPartition
    refused(there, kind, f"date={DAYS[1]}")
    there.load(date=DAYS[1])
    there.join(SPINE)
    assert there.joined()["temp"].to_pylist() == [16.0, None]


def test_a_place_that_cannot_be_written_is_refused(there: Place) -> None:
    """File modes do not stop root, so the places are below a regular file and in /proc."""
    for out in unwritable(there.root):
        refused(there, StorageError, "cannot be written", out=out)


def test_a_full_disk_leaves_nothing_that_looks_whole_and_a_rerun_works(there: Place) -> None:
    """Not even the manifest of the training set that was there before; the disk is full where files may not grow."""
    there.join(SPINE)
    count = 200_000
    spine = {"origin": ["JFK"] * count, "at": pa.array([at("02 07:30")] * count, UTC)}
    big = pa.table({"x": np.random.default_rng(1).random(count), **spine})
    there.join(big, out=str(there.root / "undisturbed"))
    with full_disk(1 << 20), pytest.raises(StorageError, match="cannot be written"):
        there.join(there.root / "labels.parquet")
    with pytest.raises(StorageError, match="no whole artifact"):
        Manifest.read(there.out)
    assert not [name for name in files(there.out) if name.endswith(".gz")]
    there.join(big)
    assert files(there.out).keys() == files(there.root / "undisturbed").keys()
    undisturbed = Manifest.read(there.root / "undisturbed")
    assert Manifest.read(there.out) == undisturbed


def test_a_refused_join_leaves_the_training_set_that_was_there(there: Place) -> None:
    """What is wrong is found before anything is written."""
    there.join(SPINE)
    before = files(there.out)
    for about in ({"split": "hash:0.8:user"}, {"keys": {"n": "origin"}}, {"label_time": "n"}):
        with pytest.raises(JukeboxError):
            there.join(there.root / "labels.parquet", **about)
    assert files(there.out) == before
