"""The flights pipeline on Kubeflow Pipelines: register, load, join, verify, describe and serve the features."""

from kfp import dsl

from jukebox.examples.flights.kfp import flight_sources
from jukebox.examples.flights.request import ENDPOINTS, FEATURES, LABEL_TIME
from jukebox.kfp import (
    consistency_check,
    feature_statistics,
    offline_load,
    online_load,
    point_in_time_join,
    register_features,
    verify_training_set,
)


@dsl.pipeline(name="flights")
def pipeline(
    features: str = "pipelines/flights/features.yaml",
    registry: str = "mlmd+sqlite://.demo/flights/kfp/registry.db",
    store: str = "sqlite://.demo/flights/kfp/online.db",
):
    """Leaves a training set with its proof and statistics, and an online store that serves its features."""
    produced = flight_sources()
    registered = register_features(features=features, registry=registry)
    # KFP's cache sees the path of the file and the URI of the registry, not what changed in them.
    registered.set_caching_options(enable_caching=False)
    known = registered.outputs["feature_set"]
    loads = {
        endpoint: offline_load(
            endpoint=endpoint,
            source=produced.outputs["sources"],
            feature_set=known,
            registry=registry,
            **dates,
        )
        for endpoint, dates in ENDPOINTS.items()
    }
    join = point_in_time_join(
        labels=produced.outputs["labels"],
        label_time=LABEL_TIME,
        features={name: {} for name in FEATURES},
        feature_tables=[load.outputs["uri"] for load in loads.values()],
        feature_set=known,
        registry=registry,
    )
    verified = verify_training_set(training_set=join.outputs["training_set"], registry=registry)
    feature_statistics(data=join.outputs["training_set"], registry=registry).after(verified)
    for load in loads.values():
        online = online_load(
            feature_table=load.outputs["feature_table"], feature_set=known, registry=registry, store=store
        )
        consistency_check(online_table=online.outputs["uri"], registry=registry)
