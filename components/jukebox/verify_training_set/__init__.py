"""Prove a training set: derive some of its rows again by brute force, and stop the pipeline where they differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jukebox.engine.outputs import forget
from jukebox.engine.verifying import verify
from jukebox.storage import place_of
from jukebox.stores import Recorded, open_registry, place
from jukebox.tables import MANIFEST, Manifest, Source, write_text

if TYPE_CHECKING:
    from jukebox.engine.verification import Verification

REPORT = "report.json"


def run(
    *,
    training_set: str,
    out: str,
    rows: int = 1000,
    seed: int = 0,
    registry: str | None = None,
    execution: str | None = None,
) -> Manifest:
    """Leave at ``out`` the report on a training set that is what its sources and rules give; raise for any other.

    ``rows`` of its labels, which ``seed`` scatters over all of them, are derived again from the labels and partitions
    that its manifest names, by search and without the join's code, and compared cell by cell. ``report.json`` is
    written in any case, the manifest only where nothing differs. Returns the manifest; ``registry`` records the run
    where no orchestrator does.

    Raises LeakFound where a cell holds what was not known at its label's time, NotReproduced where it holds something
    else, SourceChanged where the labels or a partition are gone or rewritten; also InvalidValue for no rows or what
    is no training set, StorageError and CorruptData.
    """
    training_set, out = place(training_set), place(out)
    found = verify(training_set, rows=rows, seed=seed)
    forget([place_of(out) / MANIFEST])
    write_text(place_of(out) / REPORT, json.dumps(found.to_json(), indent=1) + "\n")
    if found.error is not None:
        raise found.error
    manifest = _manifest(found, seed).write(out)
    if registry is not None and execution is None:
        open_registry(registry).record(
            "verify_training_set",
            inputs=[Recorded("jukebox.TrainingSet", training_set)],
            outputs=[Recorded("jukebox.Verification", out)],
        )
    return manifest


def _manifest(found: Verification, seed: int) -> Manifest:
    made = Manifest.read(found.uri, "training_set")
    return Manifest(
        kind="verification",
        rows=found.rows,
        fingerprint=made.fingerprint,
        inputs=(Source(found.uri, made.fingerprint),),
        details={
            "of_rows": found.of_rows,
            "cells": found.cells,
            "seed": seed,
            "columns": [column.column for column in found.columns],
            "report": REPORT,
        },
    )
