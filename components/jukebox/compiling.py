"""Every component and pipeline as the spec that Kubeflow Pipelines runs, and a drawing of each pipeline."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

import yaml

from jukebox.errors import InvalidFile, MissingDependency, StorageError
from jukebox.features.schema import schema_text
from jukebox.images import IMAGE
from jukebox.tables import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(*, pipelines: str, out: str, check: bool = False) -> list[str]:
    """Make ``out`` hold the specs of all components and of every ``*_tfx.py`` and ``*_kfp.py`` below ``pipelines``.

    Each file defines one ``pipeline``: a function that returns a TFX pipeline, or one that ``kfp.dsl.pipeline``
    decorates. Beside each spec lies its drawing in Mermaid. With ``check`` nothing is written, and InvalidFile
    lists what is not fresh. Relative paths in a pipeline count from the folder that ``pipelines`` lies in, wherever
    the program was started, and registries as empty: a spec tells of the code, not of a machine. Returns the
    paths, below ``out``. Raises StorageError where ``pipelines`` is not there.
    """
    folder = Path(pipelines).absolute()
    if not folder.is_dir():
        raise StorageError(f"there is no folder of pipelines at {pipelines}")
    with tempfile.TemporaryDirectory() as scratch:
        with _inside(folder.parent):
            for _ in _compiled(folder, Path(scratch)):
                pass
        fresh = {str(path.relative_to(scratch)): path.read_text() for path in sorted(Path(scratch).rglob("*.*"))}
    if check:
        _compare(Path(out), fresh)
    else:
        for name, text in fresh.items():
            write_text(Path(out) / name, text)
    return list(fresh)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _compiled(pipelines: Path, out: Path) -> Iterator[Path]:
    (out / "components").mkdir()
    (out / "pipelines").mkdir()
    (out / "features.schema.json").write_text(schema_text())
    from kfp.compiler import Compiler  # two seconds, for those who compile

    from jukebox import kfp as faces

    for name in faces.__all__:
        Compiler().compile(getattr(faces, name), str(out / "components" / f"{name}.yaml"))
    for file in sorted(pipelines.rglob("*_kfp.py")):
        target = out / "pipelines" / f"{file.stem}.yaml"
        Compiler().compile(run_path(str(file))["pipeline"], str(target))
        yield _drawn(target)
    for file in sorted(pipelines.rglob("*_tfx.py")):
        target = out / "pipelines" / f"{file.stem}.yaml"
        _compile_tfx(file, target)
        yield _drawn(target)


def _compile_tfx(file: Path, target: Path) -> None:
    try:
        from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as kubeflow
    except ImportError as exc:
        raise MissingDependency.of("tfx", "tfx") from exc
    config = kubeflow.KubeflowV2DagRunnerConfig(default_image=IMAGE, use_pipeline_spec_2_1=True)
    logging.getLogger("absl").setLevel(logging.WARNING)
    pipeline = run_path(str(file))["pipeline"]()
    _forget_registries(pipeline, target.parent)
    kubeflow.KubeflowV2DagRunner(config, output_dir=str(target.parent), output_filename=target.name).run(pipeline)


def _forget_registries(pipeline: Any, folder: Path) -> None:
    from jukebox.register_features import fingerprint
    from jukebox.register_features.tfx import RegisterFeatures

    for node in pipeline.components:
        if isinstance(node, RegisterFeatures):
            empty = f"mlmd+sqlite://{folder}/none.db"
            declared = node.exec_properties["features"]
            node.exec_properties["fingerprint"] = fingerprint(features=declared, registry=empty)


def drawing(spec: str) -> str:
    """Return the tasks of a compiled pipeline as a Mermaid flowchart.

    An arrow leads to a task from each that it waits for, but not where it waits for one of those in between as well.
    """
    tasks = next(d for d in yaml.safe_load_all(spec) if d and "root" in d)["root"]["dag"]["tasks"]
    before = {name: _waits_for(task) for name, task in tasks.items()}
    lines = [f'  {_id(name)}["{tasks[name]["taskInfo"]["name"]}"]' for name in sorted(tasks)]
    for name in sorted(tasks):
        indirect = set().union(*(_all_before(each, before) for each in before[name]))
        lines += [f"  {_id(each)} --> {_id(name)}" for each in sorted(before[name] - indirect)]
    return "\n".join(["flowchart LR", *lines]) + "\n"


def _all_before(name: str, before: dict[str, set[str]]) -> set[str]:
    return before[name].union(*(_all_before(each, before) for each in before[name]))


def _waits_for(task: dict[str, Any]) -> set[str]:
    names = set(task.get("dependentTasks", ()))
    stack: list[Any] = [task.get("inputs", {})]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            names.update([value["producerTask"]] if "producerTask" in value else [])
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return names


def _id(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)


def _drawn(target: Path) -> Path:
    target.with_suffix(".mmd").write_text(drawing(target.read_text()))
    return target


def _compare(out: Path, fresh: dict[str, str]) -> None:
    stale = []
    for name, text in fresh.items():
        path = out / name
        if not path.exists():
            stale.append(f"{name} is missing")
        elif _without_version(path.read_text()) != _without_version(text):
            stale.append(f"{name} is not what the code compiles to now")
    if stale:
        raise InvalidFile(f"{out} (jukebox compile makes it anew)", stale)


def _without_version(text: str) -> str:
    # Compilers of other versions differ in this line alone.
    return "\n".join(line for line in text.splitlines() if not line.startswith("sdkVersion"))
