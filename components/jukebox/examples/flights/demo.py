"""``make demo``: runs the flights pipeline on the embedded defaults, then shows what a person wants to see of it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from runpy import run_path

from rich.console import Console
from rich.table import Table

from jukebox.examples.flights.watching import Step, StepWatcher
from jukebox.tables import MANIFEST, write_text

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
TEMPERATURE = "/airport/flights-weather/temp"
COLUMNS = "carrier,flight,tailnum,origin,dest,sched_dep,late,temp,visib,aircraft_year,aircraft_seats"


def main(root: str = ".demo/flights") -> None:
    """Run the pipeline below ``root`` and print features, training set, proof, metrics, a lookup and the lineage."""
    started = time.monotonic()
    folder = Path(root).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    console.rule("[bold]the pipeline[/]")
    steps = run_pipeline(folder)
    write_text(folder / "steps.json", json.dumps([step.to_json() for step in steps], indent=1))
    show(folder)
    cached = sum(step.cached for step in steps)
    console.print(
        f"\n[bold green]done[/] in {time.monotonic() - started:.0f} s; "
        f"{cached} of {len(steps)} steps were unchanged and came from the cache"
    )


def run_pipeline(folder: Path) -> list[Step]:
    """Run the TFX pipeline below ``folder`` with the local runner; return what each step cost."""
    with console.status("importing TFX, which takes a while"):
        _hush()
        import absl.logging
        from tfx.orchestration.local.local_dag_runner import LocalDagRunner

        pipeline = run_path("pipelines/flights/flights_tfx.py")["pipeline"]
    with console.status("starting") as status:
        watcher = StepWatcher(started=lambda name: status.update(f"{name} …"), ended=_tell)
        logger = logging.getLogger("absl")
        logger.handlers[:], logger.propagate = [watcher], False
        # By absl's own word: TFX's libraries silence it for a while, and then go back to what that said.
        absl.logging.set_verbosity(absl.logging.INFO)
        LocalDagRunner().run(
            pipeline(
                root=str(folder / "pipeline"),
                metadata=str(folder / "metadata.db"),
                store=f"sqlite://{folder}/online.db",
                serving=str(folder / "serving"),
            )
        )
    return watcher.steps


def show(folder: Path) -> None:
    """Print what the run left behind, each with the command that prints it again."""
    training_set = _newest(folder, "PointInTimeJoin/training_set", MANIFEST)
    page = _newest(folder, "FeatureStatistics/statistics", "statistics.html") / "statistics.html"
    metrics = _newest(folder, "EvaluateModels/evaluation", "metrics.json") / "metrics.json"
    model = max((folder / "serving").iterdir())
    console.rule("[bold]the registered features[/]")
    _jukebox(folder, "features")
    console.rule("[bold]the training set and the proof of its join[/]")
    _jukebox(folder, "show", str(training_set), "--columns", COLUMNS)
    console.rule("[bold]the model, with and without the joined features[/]")
    _metrics(json.loads(metrics.read_text()))
    console.rule("[bold]one lookup, online[/]")
    lookup = [TEMPERATURE, "/airport/flights-weather/visib", "--entity", "airport=JFK", "--at", "2013-12-31T01:00:00Z"]
    _jukebox(folder, "get", *lookup)
    console.rule("[bold]from a feature to its models, and back[/]")
    _jukebox(folder, "lineage", "--feature", TEMPERATURE)
    _jukebox(folder, "lineage", "--model", str(model))
    console.rule("[bold]where it lies[/]")
    for what, path in {"training set": training_set, "statistics page": page, "pushed model": model}.items():
        console.print(f"{what:>16}  {_near(path)}", soft_wrap=True)
    console.print(f"{'registry':>16}  {_near(folder / 'metadata.db')}", soft_wrap=True)


def _tell(step: Step) -> None:
    cost = f"{step.seconds:6.1f} s {step.cpu_seconds:7.1f} CPU s {step.peak_mb or 0:6,} MB"
    console.print(f"  {step.name:<28} {'unchanged' if step.cached else cost}")


def _jukebox(folder: Path, *arguments: str) -> None:
    environment = {
        **os.environ,
        "JUKEBOX_REGISTRY": f"mlmd+sqlite://{folder}/metadata.db",
        "COLUMNS": str(console.width),
        **({"FORCE_COLOR": "1"} if console.is_terminal else {}),
    }
    console.print(f"[dim]$ jukebox {' '.join(_near(a) for a in arguments)}[/]", soft_wrap=True)
    subprocess.run([Path(sys.executable).with_name("jukebox"), *arguments], env=environment, check=True)  # noqa: S603


def _metrics(metrics: dict[str, dict[str, float]]) -> None:
    names = list(metrics["model"])
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("", "with the joined features", "without"):
        table.add_column(column, justify="left" if not column else "right")
    for name in names:
        table.add_row(name, f"{metrics['model'][name]:.4f}", f"{metrics['baseline'][name]:.4f}")
    console.print(table)


def _newest(folder: Path, output: str, name: str) -> Path:
    made = [path for path in (folder / "pipeline" / output).iterdir() if (path / name).exists()]
    return max(made, key=lambda path: int(path.name))


def _near(path: str | Path) -> str:
    text = str(path)
    return os.path.relpath(text) if text.startswith(str(Path.cwd())) else text


def _hush() -> None:
    warnings.simplefilter("ignore")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger().setLevel(logging.ERROR)


if __name__ == "__main__":
    main(*sys.argv[1:])
