"""A training set that is joined on Beam, from Python and from a pipeline, is the one that is joined here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.errors import CorruptData, InvalidType, InvalidValue, JukeboxError
from jukebox.tables import Manifest
from tests.components.beam_runner import NAME
from tests.components.place import DAYS, SEATS, TEMP, WIND, copied, files
from tests.components.tiny import REQUEST, RULES, wired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.components.place import Place

STEPS = {"Pieces", "Race 0", "Merge", "Finish", "Together"}


@pytest.fixture
def loaded(furnished: Place, tmp_path: Path) -> Place:
    """Return a place with labels and with weather and planes loaded, in tables of their own."""
    place = wired(copied(furnished, tmp_path)).place
    place.load("weather", out=str(place.root / "tables" / "weather"))
    place.load("planes", out=str(place.root / "tables" / "planes"))
    return place


def made(place: Place, name: str, **about: Any) -> Path:
    """Join the pipelines' request by ``run`` and return where the training set is."""
    out = place.root / name
    place.join(place.root / "labels", REQUEST, **RULES, **about, out=str(out))
    return out


def noting(place: Place) -> list[str]:
    """Return the flags of a runner that leaves the names of its steps."""
    # With an image TFX packs nothing of its own for the workers, which takes it a minute.
    return [f"--runner={NAME}", f"--temp_location={place.root / 'steps'}", "--sdk_container_image=none"]


def steps(place: Place) -> Sequence[str]:
    """Return the steps that the runner ran."""
    return (place.root / "steps").read_text().splitlines()


def test_a_training_set_joined_on_beam_has_the_same_bytes(loaded: Place) -> None:
    """Rows, splits and the manifest with its proof and fingerprints are equal, byte by byte."""
    here, on_beam = made(loaded, "here"), made(loaded, "on_beam", beam_pipeline_args=noting(loaded))
    assert files(on_beam) == files(here)
    assert {*steps(loaded)} >= STEPS


def test_labels_in_shards_have_the_same_bytes_on_beam(loaded: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that holds two labels at a time makes of six labels three shards, and so do we here."""
    monkeypatch.setattr("jukebox.engine.joining.rows_that_fit", lambda _: 2)
    monkeypatch.setattr("jukebox.engine.beam_join.rows_that_fit", lambda _: 2)
    here, on_beam = made(loaded, "here"), made(loaded, "on_beam", beam_pipeline_args=noting(loaded))
    assert files(on_beam) == files(here)
    assert {*steps(loaded)} >= {*STEPS, "Race 1", "Race 2"}


@pytest.mark.parametrize(
    ("flags", "error"),
    [(["--runner=Nowhere"], InvalidValue), (["--direct_num_workers=x"], InvalidValue), ([3], InvalidType)],
)
def test_flags_that_no_pipeline_takes_leave_nothing(flags: list[Any], error: type[JukeboxError], loaded: Place) -> None:
    """The error is one of ours, and no training set is there."""
    with pytest.raises(error, match="beam_pipeline_args"):
        made(loaded, "on_beam", beam_pipeline_args=flags)
    assert [path for path in (loaded.root / "on_beam").rglob("*") if path.is_file()] == []


def test_a_place_that_only_beam_knows_is_refused_before_any_work(loaded: Place) -> None:
    """The join alone could go there, and a training set is more than that."""
    about = {**RULES, "beam_pipeline_args": noting(loaded), "out": "azfs://account/set"}
    with pytest.raises(InvalidValue, match=r"'azfs://account/set' lies where Jukebox cannot read; the schemes known"):
        loaded.join(loaded.root / "labels", REQUEST, **about)
    assert not (loaded.root / "steps").exists()


def test_a_partition_that_cannot_be_read_leaves_no_manifest_on_beam(loaded: Place) -> None:
    """A worker's error names the file; what there is does not look whole."""
    [part] = [path for path in (loaded.root / "tables").rglob("*.parquet") if DAYS[1] in str(path)]
    part.write_bytes(part.read_bytes()[:-40])
    with pytest.raises(CorruptData, match=DAYS[1]):
        made(loaded, "on_beam", beam_pipeline_args=noting(loaded))
    assert [path for path in (loaded.root / "on_beam").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("given", ["to the pipeline", "to the component"])
def test_beam_arguments_of_a_tfx_pipeline_reach_the_join(given: str, loaded: Place) -> None:
    """Those of the pipeline, or of the component alone, name the runner; the training set is the one made here."""
    from tfx.dsl.components.common.importer import Importer
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline

    from jukebox.tfx import DataSet, FeatureSet, FeatureTable, PointInTimeJoin

    root = loaded.root
    kinds = {
        "labels": (root / "labels", DataSet),
        "feature_set": (root / "feature_set", FeatureSet),
        "weather": (root / "tables" / "weather", FeatureTable),
        "planes": (root / "tables" / "planes", FeatureTable),
    }
    nodes = {
        name: Importer(source_uri=str(uri), artifact_type=kind).with_id(name) for name, (uri, kind) in kinds.items()
    }
    channels = {name: node.outputs["result"] for name, node in nodes.items()}
    join = PointInTimeJoin(
        labels=channels["labels"],
        feature_set=channels["feature_set"],
        feature_tables=[channels["weather"], channels["planes"]],
        features=REQUEST,
        registry=loaded.registry,
        **RULES,
    )
    everywhere = given == "to the pipeline"
    pipeline = Pipeline(
        pipeline_name="join",
        pipeline_root=str(root / "artifacts"),
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "registry.db")),
        components=[*nodes.values(), join if everywhere else join.with_beam_pipeline_args(noting(loaded))],
        beam_pipeline_args=noting(loaded) if everywhere else None,
    )
    LocalDagRunner().run(pipeline)
    assert {*steps(loaded)} >= STEPS
    [out] = (root / "artifacts").rglob("training_set.parquet")
    assert told(out.parent) == told(made(loaded, "here"))


def test_beam_arguments_of_a_kfp_component_reach_the_join(loaded: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go through KFP's parameters, a list, into the component's process."""
    from kfp import dsl, local

    from jukebox.kfp import point_in_time_join

    root = loaded.root
    tables = [str(root / "tables" / name) for name in ("weather", "planes")]

    @dsl.pipeline(name="join")
    def pipeline():  # KFP reads an annotation as an output
        """Join."""
        known = {
            name: dsl.importer(artifact_uri=str(root / name), artifact_class=dsl.Artifact).output
            for name in ("labels", "feature_set")
        }
        beam = {"beam_pipeline_args": noting(loaded), "registry": loaded.registry}
        point_in_time_join(features=REQUEST, feature_tables=tables, **known, **beam, **RULES)

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "artifacts"))
    pipeline()
    assert {*steps(loaded)} >= STEPS
    [out] = (root / "artifacts").rglob("training_set.parquet")
    assert told(out.parent) == told(made(loaded, "here"))


def told(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return a training set's content fingerprint, and its details with the proof."""
    manifest = Manifest.read(folder)
    assert {feature["name"] for feature in manifest.details["features"]} == {SEATS, TEMP, WIND}
    return manifest.fingerprint, manifest.details
