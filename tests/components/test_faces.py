"""The two faces of every component: they take the same, branch nowhere, and leave the same behind."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jukebox.tables import Manifest
from tests.components.place import SEATS, TEMP, WIND, copied
from tests.components.tiny import run_on_kfp, run_on_tfx, wired

if TYPE_CHECKING:
    from types import ModuleType

    from tests.components.place import Place

COMPONENTS = {
    "register_features": "RegisterFeatures",
    "convert": "Convert",
    "offline_load": "OfflineLoad",
    "point_in_time_join": "PointInTimeJoin",
    "feature_statistics": "FeatureStatistics",
    "online_load": "OnlineLoad",
    "verify_training_set": "VerifyTrainingSet",
    "record_model": "RecordModel",
    "record_deployment": "RecordDeployment",
    "consistency_check": "ConsistencyCheck",
    "log_training_set": "LogTrainingSet",
}
# What an orchestrator decides and a pipeline's author does not: where outputs go, which execution it is, who watches.
ORCHESTRATORS = {"out", "schema_out", "anomalies_out", "execution", "progress"}
# KFP's point_in_time_join takes a list of feature tables, and KFP makes lists of parameters only, not of artifacts; its
# consistency_check takes an online table or none, and kfp.local has no artifact that may be left out.
KFP_ONLY = {"offline_load": {"uri"}, "online_load": {"uri"}}
# TFX gives a component its Beam arguments by itself: those of the pipeline, or of ``with_beam_pipeline_args``.
TFX_BY_ITSELF = {"beam_pipeline_args"}
BRANCHES = (ast.If, ast.IfExp, ast.BoolOp, ast.Match, ast.For, ast.While, ast.Try, ast.With, ast.Assert)
FOUND_BY = {"feature_set": "features", "feature_table": "endpoint", "online_table": "tables"}
# When it was, and where: the two runs are apart in both.
TIMES_AND_PLACES = {"delivered_at", "loaded_at", "uri", "store", "data", "partitions", "model", "since"}


def tfx_face(component: str) -> ModuleType:
    """Return the module of a TFX face."""
    return import_module(f"jukebox.{component}.tfx")


def kfp_face(component: str) -> Any:
    """Return a KFP component."""
    return getattr(import_module(f"jukebox.{component}.kfp"), component)


def defaults(function: Any) -> dict[str, Any]:
    """Return a function's parameters with their defaults, but self and those that are the orchestrator's."""
    parameters = inspect.signature(function).parameters
    return {name: p.default for name, p in parameters.items() if name not in {"self", *ORCHESTRATORS}}


@pytest.mark.parametrize("component", COMPONENTS)
def test_both_faces_take_the_parameters_of_run(component: str) -> None:
    """The names agree; and a default, where a face has one, is that of run."""
    run = defaults(import_module(f"jukebox.{component}").run)
    on_tfx = defaults(getattr(tfx_face(component), COMPONENTS[component]).__init__)
    on_kfp = kfp_face(component).component_spec.inputs
    assert set(on_tfx) == set(run) - TFX_BY_ITSELF
    assert set(on_kfp) == set(run)
    assert {n: run[n] for n, d in on_tfx.items() if d is not inspect.Parameter.empty} == {
        n: d for n, d in on_tfx.items() if d is not inspect.Parameter.empty
    }
    assert {n: run[n] for n, i in on_kfp.items() if i.optional} == {
        n: i.default for n, i in on_kfp.items() if i.optional
    }


@pytest.mark.parametrize("component", COMPONENTS)
def test_both_faces_give_the_same_outputs_and_want_the_same_inputs(component: str) -> None:
    """Outputs go by one name; what one face can be run without the other can too."""
    spec, kfp = tfx_face(component).Spec, kfp_face(component).component_spec
    assert set(kfp.outputs) == {*spec.OUTPUTS, *KFP_ONLY.get(component, ())}
    on_tfx = defaults(getattr(tfx_face(component), COMPONENTS[component]).__init__)
    wanted = {name for name, default in on_tfx.items() if default is inspect.Parameter.empty}
    assert wanted == {name for name, taken in kfp.inputs.items() if not taken.optional}


@pytest.mark.parametrize("face", [f"{component}/{kind}" for component in COMPONENTS for kind in ("tfx", "kfp")])
def test_a_face_has_no_branch_and_no_function_over_35_lines(face: str) -> None:
    """Whatever is decided is decided in run; the text that KFP shows of a component does not count as lines."""
    tree = ast.parse(Path(import_module(f"jukebox.{face.replace('/', '.')}").__file__).read_text())
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, BRANCHES)] == []
    assert [node for node in ast.walk(tree) if isinstance(node, ast.comprehension) and node.ifs] == []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    told = {f.name: (ast.get_docstring(f, clean=False) or "").count("\n") for f in functions}
    assert {f.name for f in functions if f.end_lineno - f.lineno + 1 - told[f.name] > 35} == set()


@pytest.fixture(scope="module")
def both(furnished: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return where the components wrote to, once through each face, from copies of one place."""
    on = {name: wired(copied(furnished, tmp_path_factory.mktemp(name))) for name in ("tfx", "kfp")}
    run_on_tfx(on["tfx"])
    run_on_kfp(on["kfp"])
    return {name: here.root for name, here in on.items()}


def artifacts(root: Path) -> dict[str, Manifest]:
    """Return the manifests below ``root`` by kind and endpoint; those of partitions lie in their table's."""
    found = {}
    for path in root.rglob("manifest.json"):
        manifest = Manifest.read(path.parent)
        what = [manifest.kind, manifest.details.get("endpoint", ""), manifest.details.get("date", "")]
        what += ["of a log"] * ("log" in manifest.details)
        what += [table["table"] for table in manifest.details.get("tables", ()) if "table" in table]
        found[" ".join(filter(None, what))] = manifest
    return found


def without_times_and_places(value: Any) -> Any:
    """Return a manifest's value without what differs between two runs of the same."""
    if isinstance(value, dict):
        return {k: without_times_and_places(v) for k, v in value.items() if k not in TIMES_AND_PLACES}
    return [without_times_and_places(each) for each in value] if isinstance(value, list) else value


def test_both_faces_leave_the_same_artifacts(both: dict[str, Path]) -> None:
    """Each manifest says the same of kind, rows, schema, keys, times, fingerprints and details."""
    on_tfx, on_kfp = artifacts(both["tfx"]), artifacts(both["kfp"])
    assert set(on_tfx) == set(on_kfp)
    kinds = {manifest.kind for manifest in on_tfx.values()}
    made = {"data_set", "feature_set", "feature_table", "training_set", "feature_statistics", "online_table"}
    made |= {"verification", "model_record", "deployment", "consistency"}
    assert kinds == {"partition", *made}
    assert {"training_set", "training_set of a log"} <= set(on_tfx)
    for what, one in on_tfx.items():
        other = on_kfp[what]
        for part in ("kind", "rows", "schema", "keys", "event_time", "created_time", "fingerprint"):
            assert (what, part, getattr(one, part)) == (what, part, getattr(other, part))
        assert [each.fingerprint for each in one.inputs] == [each.fingerprint for each in other.inputs]
        assert without_times_and_places(one.details) == without_times_and_places(other.details)


def place_of(path: Path) -> tuple[str, str, str]:
    """Return what a file is part of, by the nearest manifest there is, its split, and its name."""
    split = path.parent.name if path.parent.name.startswith("Split") else ""
    folder = path.parent.parent if split else path.parent
    kind = ""
    if (folder / "manifest.json").exists():
        found = Manifest.read(folder)
        kind = f"{found.kind} of a log" if "log" in found.details else found.kind
    return kind, split, path.name


def test_both_faces_write_the_same_bytes(both: dict[str, Path]) -> None:
    """Training sets, statistics, schema, anomalies, reports and converted files are equal byte by byte, and there."""
    names = ("data_tfrecord-*.gz", "training_set.parquet", "FeatureStats.pb", "schema.pbtxt", "SchemaDiff.pb")
    for name, count in zip((*names, "report.json", "part-*.tfrecord.gz"), (4, 2, 2, 1, 2, 2, 3), strict=True):
        on_tfx, on_kfp = ({place_of(path): path.read_bytes() for path in root.rglob(name)} for root in both.values())
        assert len(on_tfx) == count
        # The report on consistency names the log, and each run has a copy of its own.
        places = {place for place in {*on_tfx, *on_kfp} if place[0] != "consistency"}
        assert {at: on_tfx.get(at) for at in places} == {at: on_kfp.get(at) for at in places}


@pytest.mark.parametrize("face", ["tfx", "kfp"])
def test_a_request_by_column_and_max_age_arrives_whole(both: dict[str, Path], face: str) -> None:
    """A shorter max_age, another column and an entry without either go through an orchestrator's parameters."""
    training_set = artifacts(both[face])["training_set"]
    asked = [(each["name"], each["column"], each["max_age"]) for each in training_set.details["features"]]
    assert asked == [(SEATS, "seats", None), (TEMP, "temp_1h", "1h"), (WIND, "wind", None), (WIND, "wind_kept", "1d")]
    [_, temp, _, kept] = training_set.details["features"]
    assert kept["last_non_null"] is True
    assert training_set.details["tables"][kept["table"]]["keys"] == {"base": "origin"}
    assert (temp["answered"], temp["unanswered_too_old"], temp["unanswered_no_history"]) == (1, 3, 2)
