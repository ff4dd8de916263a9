"""The components on the furnished place's small data, wired as one pipeline on TFX and as one on KFP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from jukebox.serving.feature_log import FeatureLog
from jukebox.serving.served import Served, ServedFeature
from tests.components.place import DAYS, SEATS, TEMP, UTC, WIND, at, write

if TYPE_CHECKING:
    from tests.components.place import Place

KEPT = {"column": "wind_kept", "max_age": "1d", "last_non_null": True, "keys": {"base": "origin"}}
REQUEST = {SEATS: {}, TEMP: {"column": "temp_1h", "max_age": "1h"}, WIND: ["wind", KEPT]}
STITCHED = {TEMP: "temp", WIND: "wind"}
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
    def log(self) -> Path:
        """A log of what was served."""
        return self.place.root / "served"

    @property
    def clicks(self) -> Path:
        """The labels of what was served."""
        return self.place.root / "clicks"

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
    here = Wired(place)
    write(here.labels / "part-0.parquet", pa.table(columns))
    write(here.clicks / "part-0.parquet", pa.table({"request_id": ["b", "a", "b"], "n": [0, 1, 2]}))
    with FeatureLog(str(here.log)) as log:
        for name, entity, temp in (("a", {"origin": "JFK"}, 16.0), ("b", {"airport": "LGA"}, 16.0)):
            told = ServedFeature(f"{TEMP}@1", [temp], [at("02 06:00")], ["fresh"], pa.float64())
            log(Served(name, at("02 07:30"), [entity], [told]))
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
        ConsistencyCheck,
        Convert,
        DataSet,
        FeatureStatistics,
        LogTrainingSet,
        OfflineLoad,
        OnlineLoad,
        PointInTimeJoin,
        RecordDeployment,
        RecordModel,
        RegisterFeatures,
        VerifyTrainingSet,
    )

    place = here.place
    given = {
        "Source": place.source,
        "Labels": here.labels,
        "Weather": here.weather,
        "Served": here.log,
        "Clicks": here.clicks,
    }
    source, labels, weather, served, clicks = (
        Importer(source_uri=str(uri), artifact_type=DataSet).with_id(name) for name, uri in given.items()
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
    log = {"log": served.outputs["result"], "registry": place.registry}
    check = ConsistencyCheck(**log, features=[TEMP], thresholds={"stale": 0.0})
    if statistics:  # a node of no pipeline may not be one's downstream
        check.add_upstream_node(loads["weather"])
    stitch = LogTrainingSet(
        **{**log, **known}, labels=clicks.outputs["result"], features=STITCHED, feature_tables=list(tables.values())
    )
    trained = Importer(source_uri=str(here.model), artifact_type=Model).with_id("Model")
    model = {"model": trained.outputs["result"], "registry": place.registry}
    record = RecordModel(training_set=made, features=[TEMP], facts={"framework": "none"}, **model)
    deploy = RecordDeployment(endpoint="tiny", **model)
    deploy.add_upstream_node(record)
    described = [
        *(weather, convert, served, clicks, check, stitch),
        *(FeatureStatistics(data=made), VerifyTrainingSet(training_set=made, rows=4, seed=1)),
        *(trained, record, deploy),
    ]
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
    imported = ("Source", "Labels", "Weather", "Served", "Clicks", "Model")
    return {name: state for name, state in found.items() if name not in imported}


def run_on_kfp(here: Wired) -> None:
    """Run the components by KFP's local runner, each in a process of its own."""
    from kfp import dsl, local

    from jukebox.kfp import (
        consistency_check,
        convert,
        feature_statistics,
        log_training_set,
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
        labels, weather, served, clicks = [
            dsl.importer(artifact_uri=str(uri), artifact_class=dsl.Artifact).output
            for uri in (here.labels, here.weather, here.log, here.clicks)
        ]
        convert(source=weather, **CONVERTED)
        register = register_features(features=str(place.root / "features.yaml"), registry=place.registry)
        known = {"feature_set": register.outputs["feature_set"], "registry": place.registry}
        loads = [offline_load(endpoint=name, source=source, **known, **about) for name, about in LOADS.items()]
        uris = [load.outputs["uri"] for load in loads]
        join = point_in_time_join(labels=labels, features=REQUEST, feature_tables=uris, **known, **RULES)
        for load in loads:
            online_load(feature_table=load.outputs["feature_table"], store=here.store, **known)
        checked = {"features": [TEMP], "thresholds": {"stale": 0.0}, "registry": place.registry}
        consistency_check(log=str(here.log), **checked).after(*loads)
        log_training_set(log=served, labels=clicks, features=STITCHED, feature_tables=uris, **known)
        feature_statistics(data=join.outputs["training_set"], registry=place.registry)
        verify_training_set(training_set=join.outputs["training_set"], rows=4, seed=1, registry=place.registry)
        trained = dsl.importer(artifact_uri=str(here.model), artifact_class=dsl.Model).output
        model = {"model": trained, "registry": place.registry}
        told = {"features": [TEMP], "facts": {"framework": "none"}}
        record = record_model(training_set=join.outputs["training_set"], **told, **model)
        record_deployment(endpoint="tiny", **model).after(record)

    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(here.root))
    pipeline()
