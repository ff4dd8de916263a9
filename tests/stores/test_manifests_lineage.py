"""Lineage from manifests alone: from a source file to a deployed model, without any store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jukebox import record_deployment, record_model
from jukebox.core.lineage import downstream, features_of, models_of, upstream
from jukebox.core.lineage_questions import deployments, usage
from jukebox.engine.rebuilding import rebuild
from jukebox.errors import CorruptData, InvalidValue, NotRegistered, StorageError, UnknownFeature
from jukebox.stores import open_lineage
from jukebox.tables import partition_folder
from tests.components.conftest import furnished, here
from tests.components.place import DAYS, TEMP, WIND, labels

__all__ = ["furnished", "here"]


@pytest.fixture
def made(here):
    """Return a place with a training set of the first two days and one of all three, a model of each, one deployed."""
    here.load(start=DAYS[0], end=DAYS[1])
    here.join(labels(("JFK", "01 07:30")), (TEMP,), out=str(here.root / "set1"))
    here.load(date=DAYS[2])
    here.join(labels(("JFK", "03 07:30")), (TEMP, WIND), out=str(here.root / "set2"))
    for number in (1, 2):
        model = here.root / f"model{number}"
        model.write_text(f"weights {number}")
        about = {"model": str(model), "registry": here.registry, "out": str(here.root / f"record{number}")}
        record_model.run(training_set=str(here.root / f"set{number}"), **about)
    deploy(here, "first")
    return here


def deploy(here, out, *, active=True):
    """Record that the second model serves, or does no longer."""
    model, out = str(here.root / "model2"), str(here.root / out)
    record_deployment.run(model=model, endpoint="eu", registry=here.registry, active=active, out=out)


def lineage(here):
    """Return what the manifests tell."""
    return open_lineage(f"manifests://{here.root}")


def names(nodes):
    """Return the last part of where artifacts lie."""
    return sorted({node.uri.rpartition("/")[2] for node in nodes})


def test_features_and_models_find_each_other(made):
    """As in a store."""
    source = lineage(made)
    assert names(models_of(source, TEMP)) == ["model1", "model2"]
    assert names(models_of(source, "/airport/weather/wind@1")) == ["model2"]
    assert [node.name for node in features_of(source, str(made.root / "model2"))] == [f"{TEMP}@1", f"{WIND}@1"]


def test_a_model_leads_up_to_the_source_files_and_the_declaration(made):
    """Through the partitions that its training set was joined from, and no others."""
    source = lineage(made)
    up = upstream(source, *source.nodes_at(str(made.root / "model1")))
    found = names(node for node in up.nodes if node.kind == "artifact")
    assert {f"{DAYS[0]}.parquet", f"{DAYS[1]}.parquet", "features.yaml", "set1", "labels.parquet"} <= set(found)
    assert f"{DAYS[2]}.parquet" not in found


def test_a_source_file_leads_down_to_what_was_made_of_it(made):
    """The day that only the second training set has read."""
    source = lineage(made)
    [start] = source.nodes_at(str(made.source / "weather" / f"{DAYS[2]}.parquet"))
    assert names(downstream(source, start).artifacts({"jukebox.Model"})) == ["model2"]


def test_a_wrong_day_names_what_must_be_made_again(made):
    """In order; by manifests alone and through the registry it is the same."""
    for uri in (f"manifests://{made.root}", made.registry):
        found = rebuild(open_lineage(uri), str(made.table), [_day(DAYS[2])])
        rebuilt = [s.artifact for s in found.steps if s.artifact.type in ("jukebox.TrainingSet", "jukebox.Model")]
        assert [node.uri.rpartition("/")[2] for node in rebuilt] == ["set2", "model2"]
        assert names(found.deployed) == ["model2"]
        assert found.unsure == ()
        both = rebuild(open_lineage(uri), str(made.table), [_day(DAYS[0])])
        assert {"set1", "set2", "model1", "model2"} <= set(names(s.artifact for s in both.steps))


def test_what_has_lost_its_manifest_counts_as_touched(made):
    """The registry knows that it was joined from the table, and nothing says of which days."""
    shutil.rmtree(made.root / "set1")
    found = rebuild(open_lineage(made.registry), str(made.table), [_day(DAYS[2])])
    assert names(found.unsure) == ["set1"]
    assert {"model1", "model2"} <= set(names(s.artifact for s in found.steps))


def test_a_partition_written_anew_was_not_read_by_who_came_before(made):
    """What they read is gone; it lies at the same place, in another state."""
    folder = partition_folder(made.table, _day(DAYS[0]))
    path = folder / "manifest.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "fingerprint": "other"}))
    source = lineage(made)
    assert sorted(node.state for node in source.nodes_at(str(folder))) == ["DELETED", "LIVE"]
    live = next(node for node in source.nodes_at(str(folder)) if node.state == "LIVE")
    assert names(downstream(source, live).artifacts({"jukebox.Model"})) == []
    assert names(rebuild(source, str(made.table), [_day(DAYS[0])]).deployed) == ["model2"]


def test_moved_folders_are_found_by_what_they_hold(made, tmp_path_factory):
    """A training set that was copied elsewhere with its model's record still leads to its features."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("set2", "record2"):
        shutil.copytree(made.root / name, elsewhere / name)
    source = open_lineage(f"manifests://{elsewhere}")
    assert [node.name for node in features_of(source, str(made.root / "model2"))] == [f"{TEMP}@1", f"{WIND}@1"]


def test_the_last_deployment_of_a_model_at_an_endpoint_counts(made):
    """Begun, ended, begun again."""
    assert [names(models) for _, models in deployments(lineage(made))] == [["model2"]]
    deploy(made, "second", active=False)
    assert deployments(lineage(made)) == ()
    deploy(made, "third")
    assert [names(models) for _, models in deployments(lineage(made))] == [["model2"]]


def test_manifests_and_registry_together_count_nothing_twice(made):
    """Artifacts at one place are one, and so are features of one name and version."""
    both = open_lineage(made.registry, f"manifests://{made.root}")
    for source in (lineage(made), both):
        told = {use.feature: (use.training_sets, use.models, use.deployed) for use in usage(source)}
        assert (told[TEMP], told[WIND]) == ((2, 2, 1), (1, 1, 1))


def test_json_of_others_is_passed_over_and_broken_manifests_are_not(made):
    """Other programs call their files manifest.json too."""
    (made.root / "other").mkdir()
    (made.root / "other" / "manifest.json").write_text('{"nodes": []}')
    assert models_of(lineage(made), TEMP)
    (made.root / "other" / "manifest.json").write_text('{"jukebox_manifest": 1')
    with pytest.raises(CorruptData, match=r"other/manifest.json is no manifest"):
        lineage(made)


def test_what_is_not_there_is_told(made):
    """No folder, no such artifact, no such feature: with the nearest."""
    with pytest.raises(StorageError, match="there is no folder of manifests at nowhere"):
        open_lineage("manifests://nowhere")
    with pytest.raises(InvalidValue, match="manifests://FOLDER"):
        open_lineage("manifests://")
    with pytest.raises(NotRegistered, match="no artifact at 'nowhere'"):
        features_of(lineage(made), "nowhere")
    with pytest.raises(UnknownFeature, match=f"nearest: {TEMP}"):
        models_of(lineage(made), "/airport/weather/tmp")
    with pytest.raises(UnknownFeature, match="has no version 7; the newest is 1"):
        models_of(lineage(made), "/airport/weather/temp@7")


def test_an_empty_folder_holds_no_lineage(tmp_path):
    """And is no error."""
    assert usage(open_lineage(f"manifests://{tmp_path}")) == ()


def _day(text):
    from datetime import date

    return date.fromisoformat(text)


def test_a_relative_path_is_one_from_here(made, monkeypatch):
    """As people type it."""
    monkeypatch.chdir(made.root)
    assert [node.name for node in features_of(lineage(made), "model1")] == [f"{TEMP}@1"]
    assert Path("model1").exists()
