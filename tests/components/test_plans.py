"""The plan that a manifest holds: the same training set again, or the name of what has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from jukebox.engine.plans import plan_of, planned
from jukebox.engine.training_sets import make_training_set
from jukebox.errors import InvalidValue, SourceChanged
from jukebox.formats import tfrecord
from jukebox.stores import open_registry
from jukebox.tables import Manifest
from tests.components.place import DAYS, DELAY, LATE, SEATS, TEMP, UTC, WIND, at, files, write

if TYPE_CHECKING:
    from tests.components.place import Place

COUNT = 60
SPINE = pa.table(
    {
        "n": range(COUNT),
        "origin": ["JFK", "LGA", None] * (COUNT // 3),
        "dest": ["LGA", "SFO"] * (COUNT // 2),
        "tail": ["N1", "N2", "N9"] * (COUNT // 3),
        "at": pa.array([at(f"0{1 + n % 3} {n % 24:02}:30") for n in range(COUNT)], UTC),
    }
)
REQUEST: dict[str, Any] = {
    SEATS: None,
    TEMP: [{"max_age": "90m"}, {"column": "temp_dest", "keys": {"dest": "origin"}}],
    WIND: {"last_non_null": True},
    DELAY: None,
    LATE: {"column": "late_on_route", "max_age": "1d"},
}


@pytest.fixture
def made(here: Place) -> Manifest:
    """Return the manifest of a training set from four feature tables, one of them in two roles."""
    for endpoint in ("weather", "planes", "arrivals", "routes"):
        here.load(endpoint, out=str(here.root / "tables" / endpoint))
    return here.join(SPINE, REQUEST, split="hash:0.7", proof="full")


def test_the_plan_of_a_manifest_is_the_plan_that_was_made(here: Place, made: Manifest) -> None:
    """Partitions, keys, columns, limits and rules, without asking the registry."""
    about = {"label_time": "at", "features": REQUEST, "split": "hash:0.7:n,origin,dest,tail,at", "proof": "full"}
    asked = planned(open_registry(here.registry), labels=str(here.root / "labels.parquet"), **about)
    (here.root / "registry.db").unlink()
    found = plan_of(Manifest.read(here.out))
    assert found == asked
    assert found.label_keys == {"origin", "dest", "tail"}
    assert len(found.partitions) == len(made.inputs) - 1
    assert found.feature_tables == tuple(
        str(here.root / "tables" / n) for n in ("arrivals", "planes", "routes", "weather")
    )


def test_it_makes_the_same_training_set_again(here: Place, made: Manifest) -> None:
    """Byte by byte, manifest included, at another place."""
    again = make_training_set(plan_of(made), str(here.root / "again"))
    assert again == made
    assert files(here.root / "again") == files(here.out)


def test_labels_that_are_records_are_planned_as_they_were_read(here: Place) -> None:
    """Their keys are text and their times instants, which the records themselves do not say."""
    here.load()
    tfrecord.write(here.root / "labels.tfrecord.gz", SPINE.to_batches(), schema=SPINE.schema)
    made = here.join(here.root / "labels.tfrecord.gz", {TEMP: {"keys": {"dest": "origin"}}})
    assert make_training_set(plan_of(made), str(here.root / "again")).fingerprint == made.fingerprint


def test_a_partition_that_was_loaded_again_with_the_same_rows_is_the_same(here: Place, made: Manifest) -> None:
    """Its file has another name by now; what counts is its content."""
    here.load(date=DAYS[1], out=str(here.root / "tables" / "weather"))
    assert make_training_set(plan_of(made), str(here.root / "again")).fingerprint == made.fingerprint


def test_a_partition_that_was_rewritten_is_named(here: Place, made: Manifest) -> None:
    """And it alone, though others lie beside it and it was read in two roles."""
    here.weather(DAYS[1], [("JFK", at("02 06:00"), at("02 07:00"), -1.0, 0.0)])
    here.load(date=DAYS[1], out=str(here.root / "tables" / "weather"))
    with pytest.raises(
        SourceChanged, match=f"weather/date={DAYS[1]} was rewritten with other rows, delivered at 20"
    ) as told:
        plan_of(made)
    assert [Path(uri).parent.name for uri in told.value.sources] == [f"date={DAYS[1]}"]


@pytest.mark.parametrize("what", ["manifest", "data", "folder"])
def test_a_partition_that_is_gone_is_named(here: Place, made: Manifest, what: str) -> None:
    """Wholly, or one of its two files."""
    folder = here.root / "tables" / "routes" / f"date={DAYS[0]}"
    if what == "folder":
        shutil.rmtree(folder)
    else:
        [path] = folder.glob("manifest.json" if what == "manifest" else "*.parquet")
        path.unlink()
    with pytest.raises(SourceChanged, match=f"routes/date={DAYS[0]} (is gone|has lost its data)"):
        plan_of(made)


def test_labels_that_changed_or_are_gone_are_named(here: Place, made: Manifest) -> None:
    """One other value is another file, however it is written; the same rows in other batches are the same."""
    path = here.root / "labels.parquet"
    write(path, pa.concat_tables([SPINE.slice(0, 7), SPINE.slice(7)]))
    plan_of(made)
    write(path, SPINE.set_column(0, "n", pa.array(range(1, COUNT + 1))))
    with pytest.raises(SourceChanged, match=r"the labels .*labels\.parquet hold other rows than then"):
        plan_of(made)
    path.unlink()
    with pytest.raises(SourceChanged, match=r"the labels cannot be read any more, .*labels\.parquet does not exist"):
        plan_of(made)


def test_all_that_changed_is_counted_and_held(here: Place, made: Manifest) -> None:
    """The message names the first."""
    (here.root / "labels.parquet").unlink()
    shutil.rmtree(here.root / "tables" / "planes")
    with pytest.raises(SourceChanged, match=r"the labels cannot .* \(and 1 more\)$") as told:
        plan_of(made)
    assert len(told.value.sources) == 2


@pytest.mark.usefixtures("made")
def test_what_holds_no_plan_is_refused(here: Place) -> None:
    """Another artifact's manifest, and that of a training set of before plans were written down."""
    with pytest.raises(InvalidValue, match="holds a feature_table, not a training_set"):
        plan_of(Manifest.read(here.root / "tables" / "planes"))
    body = json.loads((here.out / "manifest.json").read_text())
    del body["details"]["tables"]
    (here.out / "manifest.json").write_text(json.dumps(body))
    with pytest.raises(InvalidValue, match="made by a version that did not write its plan down; make it again"):
        plan_of(Manifest.read(here.out))
