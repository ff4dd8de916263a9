"""record_model and record_deployment: what any trainer made and what serves, in the registry's lineage."""

from __future__ import annotations

import pytest

from jukebox import record_deployment, record_model
from jukebox.core.lineage import features_of, models_of
from jukebox.errors import ChangeRefused, InvalidValue, NotRegistered, StorageError, UnknownFeature
from jukebox.stores import open_lineage, open_registry
from jukebox.stores.mlmd.library import pb
from jukebox.tables import Manifest
from tests.components.place import TEMP, WIND, labels
from tests.stores.mlmd_writers import Tfx, raw


@pytest.fixture
def trained(here):
    """Return a place with a training set of two features, and a model on disk."""
    here.load()
    here.join(labels(("JFK", "02 07:30")), (TEMP, WIND))
    (here.root / "model.bin").write_text("weights")
    return here


def record(here, **about):
    """Record the model."""
    fixed = {"model": str(here.root / "model.bin"), "training_set": str(here.out), "registry": here.registry}
    return record_model.run(**{**fixed, **about})


def deploy(here, endpoint="eu", **about):
    """Record a deployment of the model."""
    fixed = {"model": str(here.root / "model.bin"), "registry": here.registry}
    return record_deployment.run(endpoint=endpoint, **{**fixed, **about})


def features(here, model="model.bin"):
    """Return the features of a model."""
    return [node.name for node in features_of(open_lineage(here.registry), str(here.root / model))]


def deployed(here, feature=TEMP):
    """Return the deployed models of a feature, by file name."""
    return [uri.rpartition("/")[2] for uri in open_registry(here.registry).deployed_models(feature)]


def test_a_recorded_model_has_the_features_of_its_training_set(trained):
    """Both ways, with its facts as text, and a manifest that says of what it was made."""
    manifest = record(trained, facts={"auc": 0.75, "framework": "xgboost"}, out=str(trained.root / "record"))
    assert features(trained) == [f"{TEMP}@1", f"{WIND}@1"]
    [model] = models_of(open_lineage(trained.registry), WIND)
    assert dict(model.properties) == {"auc": "0.75", "framework": "xgboost"}
    assert Manifest.read(trained.root / "record", "model_record") == manifest
    assert [source.uri for source in manifest.inputs] == [str(trained.out)]


@pytest.mark.parametrize("asked", [TEMP, f"{TEMP}@1", "/airport/weather/temp", "airport/weather/temp@1"])
def test_a_trainer_that_left_features_out_names_those_that_it_used(trained, asked):
    """In any spelling of a name."""
    record(trained, features=[asked])
    assert features(trained) == [f"{TEMP}@1"]


def test_a_model_of_two_training_sets_is_recorded_with_each(trained):
    """It has the features of both."""
    trained.join(labels(("JFK", "02 07:30")), (WIND,), out=str(trained.root / "other"))
    record(trained, features=[TEMP])
    record(trained, training_set=str(trained.root / "other"))
    assert features(trained) == [f"{TEMP}@1", f"{WIND}@1"]
    assert len(raw(trained.root / "registry.db").get_artifacts_by_uri(str(trained.root / "model.bin"))) == 1


def test_a_training_set_of_nobody_s_making_takes_features_by_name(trained):
    """A folder of Parquet, and a URI; versions are the newest."""
    (trained.root / "own").mkdir()
    for training_set in (str(trained.root / "own"), "gs://bucket/set"):
        record(trained, training_set=training_set, features=[WIND])
    assert features(trained) == [f"{WIND}@1"]


@pytest.mark.parametrize(
    ("about", "error", "said"),
    [
        ({"model": "nowhere/model"}, StorageError, "nowhere/model"),
        ({"training_set": "nowhere/set"}, StorageError, "nowhere/set"),
        ({"features": ["/airport/weather/tmp"]}, UnknownFeature, "does not hold '/airport/weather/tmp'; it holds"),
        ({"features": [f"{TEMP}@2"]}, UnknownFeature, "does not hold"),
        ({"features": ["temp"]}, InvalidValue, "'temp' is no feature name"),
        ({"training_set": "TABLE"}, InvalidValue, "holds a feature_table, not a training_set"),
        ({"training_set": "gs://b/s", "features": ["/airport/weather/tmp"]}, UnknownFeature, f"nearest: {TEMP}"),
        ({"registry": "file://registry.yaml"}, StorageError, "read only"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_recorded(trained, about, error, said):
    """No run, no artifact, no manifest."""
    about = {key: str(trained.table) if value == "TABLE" else value for key, value in about.items()}
    store = raw(trained.root / "registry.db")
    before = len(store.get_executions()), len(store.get_artifacts())
    with pytest.raises(error, match=said):
        record(trained, out=str(trained.root / "record"), **about)
    assert (len(store.get_executions()), len(store.get_artifacts())) == before
    assert not (trained.root / "record").exists()


def test_a_deployed_model_keeps_its_features_alive_until_it_ends(trained):
    """So that used means used."""
    record(trained, features=[TEMP])
    deploy(trained)
    registry = open_registry(trained.registry)
    assert (deployed(trained), deployed(trained, WIND)) == (["model.bin"], [])
    with pytest.raises(ChangeRefused, match=r"model.bin"):
        registry.set_life_cycle([TEMP], "deprecated")
    deploy(trained, active=False)
    assert deployed(trained) == []
    registry.set_life_cycle([TEMP], "deprecated")


def test_a_deployment_may_end_and_begin_again(trained):
    """The same twice changes nothing, and each endpoint counts for itself."""
    record(trained)
    for endpoint in ("eu", "eu", "us"):
        deploy(trained, endpoint)
    deploy(trained, active=False)
    assert deployed(trained) == ["model.bin"]
    deploy(trained, "us", active=False)
    assert deployed(trained) == []
    deploy(trained, "us")
    assert deployed(trained) == ["model.bin"]
    assert len(raw(trained.root / "registry.db").get_artifacts_by_type("jukebox.Deployment")) == 2


@pytest.mark.parametrize("endpoint", ["a/b", "ü ☃", "x" * 1000, "quote\"'", "#"])
def test_endpoints_have_any_name(trained, endpoint):
    """Slashes, other scripts, a thousand characters."""
    record(trained)
    manifest = deploy(trained, endpoint, out=str(trained.root / "deployment"))
    assert manifest.details["endpoint"] == endpoint
    assert deployed(trained) == ["model.bin"]
    deploy(trained, endpoint, active=False)
    assert deployed(trained) == []


def test_a_deployment_of_nothing_is_refused(trained):
    """A model that nobody recorded, an endpoint without a name, an end of what did not begin."""
    with pytest.raises(NotRegistered, match=r"no artifact at '.*model.bin' is recorded"):
        deploy(trained)
    record(trained)
    deploy(trained)
    with pytest.raises(InvalidValue, match="name of its endpoint"):
        deploy(trained, " ")
    with pytest.raises(NotRegistered, match=r"does not serve at 'us'; models serve at: eu"):
        deploy(trained, "us", active=False)


def test_a_model_that_tfx_pushed_may_serve(trained):
    """By the place of the pushed model, or the one that the Pusher copied it to."""
    tfx = Tfx(trained.root / "registry.db")
    [examples] = [a.id for a in tfx.store.get_artifacts_by_uri(str(trained.out))]
    [model] = tfx.run("tfx.components.trainer.component.Trainer", [examples], ["Model:trainer/model"])
    [pushed] = tfx.run("tfx.components.pusher.component.Pusher", [model], ["PushedModel:pusher/pushed"])
    [artifact] = tfx.store.get_artifacts_by_id([pushed])
    artifact.custom_properties["pushed_destination"].string_value = "serving/7"
    tfx.store.put_artifacts([artifact])
    deploy(trained, model="serving/7")
    assert open_registry(trained.registry).deployed_models(TEMP) == ("pusher/pushed",)


def test_within_tfx_the_model_comes_of_the_run_that_records_it(trained):
    """TFX writes the execution with the model as its input; the record makes it one that was made of the set."""
    tfx = Tfx(trained.root / "registry.db")
    [examples] = [a.id for a in tfx.store.get_artifacts_by_uri(str(trained.out))]
    importer = "tfx.dsl.components.common.importer.Importer"
    [model] = tfx.run(importer, [], [f"Model:{trained.root}/model.bin"])
    run = tfx.begin("jukebox.record_model.tfx.RecordModel", [examples, model])
    record(trained, features=[WIND], execution=str(run))
    [execution] = tfx.store.get_executions_by_id([run])
    execution.last_known_state = pb.Execution.COMPLETE
    tfx.store.put_executions([execution])
    assert features(trained) == [f"{WIND}@1"]
    assert len(tfx.store.get_artifacts_by_uri(f"{trained.root}/model.bin")) == 1
