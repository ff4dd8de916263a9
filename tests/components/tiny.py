"""The components on the furnished place's small data, wired as one pipeline on TFX and as one on KFP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tests.components.place import DAYS, SEATS, TEMP, UTC, WIND, at, write

if TYPE_CHECKING:
    from tests.components.place import Place

KEPT = {"column": "wind_kept", "max_age": "1d", "last_non_null": True, "keys": {"base": "origin"}}
REQUEST = {SEATS: {}, TEMP: {"column": "temp_1h", "max_age": "1h"}, WIND: ["wind", KEPT]}
LOADS = {
    "weather": {"start": DAYS[0], "end": DAYS[-1], "features": {TEMP: "temp", WIND: "wind_speed"}},
    "planes": {"date": DAYS[-1]},
}
CONVERTED = {"to_format": "tfrecord", "columns": ["origin", "hour", "temp"], "rows_per_file": 10}
RULES = {"label_time": "at", "split": "hash:0.5:n", "proof": "full"}


@dataclass(frozen=True)
class Wired:
    """Where a pipeline's inputs lie and its outputs go."""

    place: Place

    @property
    def labels(self) -> Path:
        """The labels."""
        return self.place.root / "labels"

    @property
    def weather(self) -> Path:
        """The files to convert."""
        return self.place.source / "weather"

    @property
    def root(self) -> Path:
        """Where the artifacts go."""
        return self.place.root / "artifacts"

    @property
    def model(self) -> Path:
        """A model of some trainer."""
        return self.place.root / "model"

    @property
    def store(self) -> str:
        """The URI of the online store."""
        return f"sqlite://{self.place.root}/online.db"


def wired(place: Place) -> Wired:
    """Return the place with labels in it: flights of an aircraft from an airport, some before anything is known."""
    tails, origins = ["N1", "N2", "N1", None, "N9", "N1"], ["JFK", "LGA", "JFK", "LGA", "SFO", "JFK"]
    times = [at(text) for text in ("01 00:30", "01 07:00", "01 07:30", "02 03:00", "02 12:00", "03 23:00")]
    columns = {
        "tail": tails,
        "origin": origins,
        "base": ["LGA"] * 6,
        "at": pa.array(times, UTC),
        "n": pa.array(range(len(times))),
    }
    write(place.root / "labels" / "part-0.parquet", pa.table(columns))
    here = Wired(place)
    here.model.mkdir()
    (here.model / "weights").write_text("0.5")
    return here


def run_on_tfx(here: Wired, *, statistics: bool = True) -> dict[str, str]:
    """Run the components by TFX's local runner; return the MLMD state of each node's newest execution.

    The pipeline is built anew, as a program that is started again would.
    """
    from tfx.dsl.components.common.importer import Importer
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline
    from tfx.types.standard_artifacts import Model

    from jukebox.tfx import (
        Convert,
        DataSet,
        FeatureStatistics,
        OfflineLoad,
        OnlineLoad,
        PointInTimeJoin,
        RecordDeployment,
        RecordModel,
        RegisterFeatures,
        VerifyTrainingSet,
    )

    place = here.place
    source, labels, weather = (
        Importer(source_uri=str(uri), artifact_type=DataSet).with_id(name)
        for name, uri in {"Source": place.source, "Labels": here.labels, "Weather": here.weather}.items()
    )
    convert = Convert(source=weather.outputs["result"], **CONVERTED)
    register = RegisterFeatures(features=str(place.root / "features.yaml"), registry=place.registry)
    known = {"feature_set": register.outputs["feature_set"], "registry": place.registry}
    loads = {
        name: OfflineLoad(endpoint=name, source=source.outputs["result"], **known, **about).with_id(
            f"OfflineLoad.{name}"
        )
        for name, about in LOADS.items()
    }
    tables = {name: load.outputs["feature_table"] for name, load in loads.items()}
    join = PointInTimeJoin(
        labels=labels.outputs["result"], features=REQUEST, feature_tables=list(tables.values()), **known, **RULES
    )
    online = [
        OnlineLoad(feature_table=table, store=here.store, **known).with_id(f"OnlineLoad.{name}")
        for name, table in tables.items()
    ]
    made = join.outputs["training_set"]
    trained = Importer(source_uri=str(here.model), artifact_type=Model).with_id("Model")
    model = {"model": trained.outputs["result"], "registry": place.registry}
    record = RecordModel(training_set=made, features=[TEMP], facts={"framework": "none"}, **model)
    deploy = RecordDeployment(endpoint="tiny", **model)
    deploy.add_upstream_node(record)
    described = [weather, convert, FeatureStatistics(data=made), VerifyTrainingSet(training_set=made, rows=4, seed=1)]
    described += [trained, record, deploy]
    pipeline = Pipeline(
        pipeline_name="tiny",
        pipeline_root=str(here.root),
        metadata_connection_config=sqlite_metadata_connection_config(str(place.root / "registry.db")),
        components=[source, labels, register, *loads.values(), join, *online, *(described if statistics else [])],
        enable_cache=True,
    )
    LocalDagRunner().run(pipeline)
    return states(place)


def states(place: Place) -> dict[str, str]:
    """Return the state of the newest execution of each of our nodes on TFX."""
    from jukebox.stores.mlmd.library import pb
    from tests.stores.mlmd_writers import raw

    store, found = raw(place.root / "registry.db"), {}
    for node in store.get_contexts_by_type("node"):
        newest = max(store.get_executions_by_context(node.id), key=lambda run: run.id)
        found[node.name.removeprefix("tiny.")] = pb.Execution.State.Name(newest.last_known_state)
    return {name: state for name, state in found.items() if name not in ("Source", "Labels", "Weather", "Model")}


def run_on_kfp(here: Wired) -> None:
    """Run the components by KFP's local runner, each in a process of its own."""
    from kfp import dsl, local

    from jukebox.kfp import (
        convert,
        feature_statistics,
        offline_load,
        online_load,
        point_in_time_join,
        record_deployment,
        record_model,
        register_features,
        verify_training_set,
    )

    place = here.place

    @dsl.pipeline(name="tiny")
    def pipeline():  # KFP reads an annotation as an output
        """Wire the components as on TFX."""
        source = dsl.importer(artifact_uri=str(place.source), artifact_class=dsl.Artifact).output
        labels = dsl.importer(artifact_uri=str(here.labels), artifact_class=dsl.Artifact).output
        weather = dsl.importer(artifact_uri=str(here.weather), artifact_class=dsl.Artifact).output
        convert(source=weather, **CONVERTED)
        register = register_features(features=str(place.root / "features.yaml"), registry=place.registry)
        known = {"feature_set": register.outputs["feature_set"], "registry": place.registry}
        loads = [offline_load(endpoint=name, source=source, **known, **about) for name, about in LOADS.items()]
        uris = [load.outputs["uri"] for load in loads]
        join = point_in_time_join(labels=labels, features=REQUEST, feature_tables=uris, **known, **RULES)
        for load in loads:
            online_load(feature_table=load.outputs["feature_table"], store=here.store, **known)
        feature_statistics(data=join.outputs["training_set"], registry=place.registry)
        verify_training_set(training_set=join.outputs["training_set"], rows=4, seed=1, registry=place.registry)
        trained = dsl.importer(artifact_uri=str(here.model), artifact_class=dsl.Model).output
        model = {"model": trained, "registry": place.registry}
        told = {"features": [TEMP], "facts": {"framework": "none"}}
        record = record_model(training_set=join.outputs["training_set"], **told, **model)
        record_deployment(endpoint="tiny", **model).after(record)

    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(here.root))
    pipeline()
