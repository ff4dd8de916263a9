"""The component that stops a pipeline: a report is left in any case, a manifest only where nothing differs."""

from __future__ import annotations

import json

import pytest

from jukebox import verify_training_set
from jukebox.errors import InvalidValue, LeakFound, NotReproduced, SourceChanged, StorageError
from jukebox.stores import open_lineage
from jukebox.tables import Manifest
from tests.components.limits import unwritable
from tests.components.place import TEMP, WIND, Place, labels, write
from tests.engine.tampering import cell, told

SPINE = labels(("JFK", "02 07:30"), ("LGA", "01 00:30"), ("JFK", "02 06:59"))


def verified(here: Place, **about: object) -> Manifest:
    """Verify the training set of a place."""
    return verify_training_set.run(**{"training_set": str(here.out), "out": str(here.root / "proof"), **about})


def report(here: Place) -> dict[str, object]:
    """Return the report that lies there."""
    return json.loads((here.root / "proof" / "report.json").read_text())


def test_a_training_set_that_is_right_leaves_a_manifest_and_a_report(here: Place) -> None:
    """They say how much was looked at, and of which training set."""
    here.load()
    training_set = here.join(SPINE, [TEMP, WIND])
    made = verified(here, rows=2, seed=7)
    assert made == Manifest.read(here.root / "proof", "verification")
    assert (made.rows, made.details["of_rows"], made.details["cells"], made.details["seed"]) == (2, 3, 10, 7)
    assert [(source.uri, source.fingerprint) for source in made.inputs] == [(str(here.out), training_set.fingerprint)]
    assert (report(here)["cells"], report(here)["leaked"], report(here)["faults"]) == (10, 0, [])


def test_a_leak_stops_the_pipeline_and_takes_back_an_earlier_verdict(here: Place) -> None:
    """What verified before and does not any more is not left looking whole; the report says why."""
    here.load()
    here.join(SPINE, [TEMP], as_known=False)
    verified(here)
    told(here.out, rules={"as_known": True})
    with pytest.raises(LeakFound, match=r"2 of 3 cells of 'temp' \(row 1 has 0\.0, the value of a row not known then"):
        verified(here)
    with pytest.raises(StorageError, match="no whole artifact"):
        Manifest.read(here.root / "proof")
    assert report(here)["leaked"] == 2


def test_another_cell_and_another_source_stop_the_pipeline_too(here: Place) -> None:
    """Each by an error of its own."""
    here.load()
    here.join(SPINE, [WIND])
    cell(here.out, "wind", 0, 3.0)
    with pytest.raises(NotReproduced, match="1 of 3 cells of 'wind'"):
        verified(here)
    write(here.root / "labels.parquet", SPINE.slice(1))
    with pytest.raises(SourceChanged, match=r"labels\.parquet"):
        verified(here)
    assert report(here)["changed"] == [str(here.root / "labels.parquet")]


def test_the_run_is_recorded_where_no_orchestrator_does(here: Place) -> None:
    """From the training set to the report; not under an orchestrator, nor after a failure."""
    here.load()
    here.join(SPINE, [TEMP])
    verified(here, registry=here.registry)
    lineage = open_lineage(here.registry)
    [node] = lineage.nodes_at(str(here.root / "proof"))
    assert node.type == "jukebox.Verification"
    verified(here, out=str(here.root / "other"), registry=here.registry, execution="17")
    cell(here.out, "temp", 0, 3.0)
    with pytest.raises(NotReproduced):
        verified(here, out=str(here.root / "third"), registry=here.registry)
    for name in ("other", "third"):
        with pytest.raises(LookupError):
            lineage.nodes_at(str(here.root / name))


def test_a_place_that_cannot_be_written_is_an_error(here: Place) -> None:
    """Named, like any other."""
    here.load()
    here.join(SPINE, [TEMP])
    for out in unwritable(here.root):
        with pytest.raises(StorageError, match="cannot be"):
            verified(here, out=out)
    with pytest.raises(InvalidValue, match="rows is 0"):
        verified(here, rows=0)
