"""A metadata store as a large company has it: features in their families, and models that each use some of them.

Made from a seed: the features through the registry, the runs in batches of MLMD's own calls. Each model has a training
set of its own, which a join made that named its features.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jukebox.features import Endpoint, Feature, FeatureName, Key
from jukebox.stores import open_registry
from jukebox.stores.mlmd.kinds import FEATURE, artifact_type, execution_type
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.opening import connect

ENTITIES, OWNERS, TAGS = 20, 40, 30
BATCH = 1_000  # models in one call
STATES = ("experimental", "production", "production", "production", "deprecated")


@dataclass(frozen=True)
class Size:
    """How large a store is."""

    families: int = 1_000
    producers: int = 5  # features of each family, by as many components
    models: int = 30_000
    used: int = 50  # features of each model

    @property
    def features(self) -> int:
        """The number of features."""
        return self.families * self.producers

    def __str__(self) -> str:
        return f"{self.families}-{self.features}-{self.models}-{self.used}"


def declared(size: Size, seed: int) -> list[Feature]:
    """Return the features, family by family."""
    draw = random.Random(seed)
    endpoints = [
        Endpoint(f"team{i}.daily", f"team{i}/{{date}}.parquet", "parquet", (Key("id", "user", "int64"),), "at")
        for i in range(OWNERS)
    ]
    return [
        Feature(
            FeatureName(f"entity{family % ENTITIES}", f"producer{producer}", f"family{family}"),
            endpoints[draw.randrange(OWNERS)],
            f"c{family}",
            draw.choice(["float64", "int64", "string"]),
            description=f"What {draw.choice(['users', 'artists', 'tracks'])} did {family} days ago, as counted.",
            owner=f"team{draw.randrange(OWNERS)}",
            tags=tuple(f"tag{tag}" for tag in sorted(draw.sample(range(TAGS), 2))),
            scope=draw.choice(["team", "broad"]),
            life_cycle=draw.choice(STATES),
        )
        for family in range(size.families)
        for producer in range(size.producers)
    ]


def made(folder: Path, size: Size, seed: int = 7) -> Path:
    """Return the store of ``size`` in ``folder``, which is made where it is not there."""
    path = folder / f"lineage-{size}-{seed}.db"
    if path.exists():
        return path
    began, draft = time.perf_counter(), path.with_suffix(".making")
    draft.unlink(missing_ok=True)
    open_registry(f"mlmd+sqlite://{draft}").register(declared(size, seed))
    _record_models(draft, size, random.Random(seed))
    draft.rename(path)
    megabytes, seconds = path.stat().st_size / 2**20, time.perf_counter() - began
    sys.stderr.write(f"made {path} of {megabytes:,.0f} MB in {seconds:.0f} s\n")
    return path


def model_uri(number: int) -> str:
    """Return where a model lies."""
    return f"models/{number}"


def _record_models(path: Path, size: Size, draw: random.Random) -> None:
    store = connect(f"mlmd+sqlite://{path}", create=True)
    features = sorted(artifact.id for artifact in store.call("get_artifacts_by_type", FEATURE))
    kinds = [artifact_type(store, "jukebox.TrainingSet"), artifact_type(store, "Model")]
    runs = [execution_type(store, name) for name in ("jukebox.point_in_time_join", "Trainer")]
    for first in range(0, size.models, BATCH):
        numbers = range(first, min(first + BATCH, size.models))
        joins, trainings = (store.call("put_executions", [_run(kind) for _ in numbers]) for kind in runs)
        sets = store.call("put_artifacts", [_artifact(kinds[0], f"training_sets/{n}") for n in numbers])
        models = store.call("put_artifacts", [_artifact(kinds[1], model_uri(n)) for n in numbers])
        events = [
            event
            for join, training, data, model in zip(joins, trainings, sets, models, strict=True)
            for event in (
                *(_event(pb.Event.INPUT, feature, join) for feature in draw.sample(features, size.used)),
                _event(pb.Event.OUTPUT, data, join),
                _event(pb.Event.INPUT, data, training),
                _event(pb.Event.OUTPUT, model, training),
            )
        ]
        store.call("put_events", events)


def _run(kind: int) -> pb.Execution:
    return pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE)


def _artifact(kind: int, uri: str) -> pb.Artifact:
    return pb.Artifact(type_id=kind, uri=uri, state=pb.Artifact.LIVE)


def _event(kind: int, artifact: int, execution: int) -> pb.Event:
    return pb.Event(type=kind, artifact_id=artifact, execution_id=execution)
