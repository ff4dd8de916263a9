"""The flights pipeline on TFX: from sources to a served model, with the stock components in between."""

from tfx.components import ExampleValidator, Pusher, SchemaGen, StatisticsGen, Trainer, Transform
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2

from jukebox.examples.flights.request import ENDPOINTS, FEATURES, LABEL_TIME
from jukebox.examples.flights.tfx import EvaluateModels, FlightSources
from jukebox.tfx import (
    ConsistencyCheck,
    FeatureStatistics,
    OfflineLoad,
    OnlineLoad,
    PointInTimeJoin,
    RegisterFeatures,
    VerifyTrainingSet,
)

CODE = "jukebox.examples.flights"
# For the stock components: on one machine the join and the loads are faster without Beam. As the pipeline's own
# arguments they would lead these to Beam too. Without a runner's name, Beam looks for one to download at every run.
BEAM = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)


def pipeline(
    *,
    features: str = "pipelines/flights/features.yaml",
    root: str = ".demo/flights/pipeline",
    metadata: str = ".demo/flights/metadata.db",
    store: str = "sqlite://.demo/flights/online.db",
    serving: str = ".demo/flights/serving",
    beam_args: tuple[str, ...] = BEAM,
) -> Pipeline:
    """Return the pipeline; all is kept below ``root``, the registry and the lineage in ``metadata``."""
    registry = f"mlmd+sqlite://{metadata}"

    produced = FlightSources()
    register = RegisterFeatures(features=features, registry=registry)
    known = register.outputs["feature_set"]
    loads = {
        endpoint: OfflineLoad(
            endpoint=endpoint,
            source=produced.outputs["sources"],
            feature_set=known,
            registry=registry,
            **dates,
        ).with_id(f"OfflineLoad.{endpoint}")
        for endpoint, dates in ENDPOINTS.items()
    }
    join = PointInTimeJoin(
        labels=produced.outputs["labels"],
        label_time=LABEL_TIME,
        features=FEATURES,
        feature_tables=[load.outputs["feature_table"] for load in loads.values()],
        feature_set=known,
        registry=registry,
    )
    training_set = join.outputs["training_set"]
    verified = VerifyTrainingSet(training_set=training_set)
    described = FeatureStatistics(data=training_set)
    online = {
        endpoint: OnlineLoad(
            feature_table=load.outputs["feature_table"], feature_set=known, registry=registry, store=store
        ).with_id(f"OnlineLoad.{endpoint}")
        for endpoint, load in loads.items()
    }
    read_back = [
        ConsistencyCheck(online_table=load.outputs["online_table"], registry=registry).with_id(f"ReadBack.{endpoint}")
        for endpoint, load in online.items()
    ]

    statistics = StatisticsGen(examples=training_set).with_beam_pipeline_args(beam_args)
    schema = SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=False)
    validated = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    transform = Transform(
        examples=training_set,
        schema=schema.outputs["schema"],
        preprocessing_fn=f"{CODE}.preprocessing.preprocessing_fn",
        materialize=False,
        disable_statistics=True,
    ).with_beam_pipeline_args(beam_args)
    trained = {
        name: Trainer(
            run_fn=f"{CODE}.model.run_fn",
            examples=training_set,
            transform_graph=transform.outputs["transform_graph"],
            schema=schema.outputs["schema"],
            custom_config={"columns": columns},
            train_args=trainer_pb2.TrainArgs(),
            eval_args=trainer_pb2.EvalArgs(),
        ).with_id(name)
        for name, columns in {"Trainer": "all", "Baseline": "labels_only"}.items()
    }
    for trainer in trained.values():
        trainer.add_upstream_node(verified)  # nothing is trained on a leak
    evaluated = EvaluateModels(
        model=trained["Trainer"].outputs["model"],
        baseline=trained["Baseline"].outputs["model"],
        examples=training_set,
    )
    pushed = Pusher(
        model=trained["Trainer"].outputs["model"],
        model_blessing=evaluated.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving)
        ),
    )
    for check in read_back:
        pushed.add_upstream_node(check)  # nothing is served that the online store has otherwise
    return Pipeline(
        pipeline_name="flights",
        pipeline_root=root,
        metadata_connection_config=sqlite_metadata_connection_config(metadata),
        components=[
            produced,
            register,
            *loads.values(),
            join,
            verified,
            described,
            *online.values(),
            *read_back,
            statistics,
            schema,
            validated,
            transform,
            *trained.values(),
            evaluated,
            pushed,
        ],
        enable_cache=True,
    )
