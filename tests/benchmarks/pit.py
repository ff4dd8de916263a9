"""The point-in-time join beside its peers in one run: CPU seconds, peak memory and latency, as JSON lines and bars.

Each engine is a process of its own, the engines take turns, and a figure is the median. CPU seconds are the whole
process's, interpreter and imports of compiled bytecode included (``work_cpu_seconds`` leaves them out); memory is the
process's peak; every output is compared with Jukebox's cell by cell. The workloads are in pit_data.py, the engines in
pit_peers.py; DuckDB and Feast get environments of their own, the newest, and what cannot be run or does not finish is
reported with why.

    python tests/benchmarks/pit.py [PART …] [--repeats 5] [--table] [--folder .benchmarks]

Parts: W1 W2 W3 late scale memory feast beam; all without any.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pit_processes as processes
from pit_processes import HERE, Run, Skipped
from pit_tables import Bar, markdown

GIGABYTE = 2**30
PEERS = ["floor", "floor_plain", "floor_polars", "polars", "duckdb", "duckdb_plain"]
OURS = ["jukebox", "jukebox_numpy"]


class Case(NamedTuple):
    """An engine on a workload: its name, what of the data is scaled, and the share of late rows."""

    engine: str
    workload: str
    labels: int = 1
    features: int = 1
    late: float = 0.0


@dataclass
class Bench:
    """The settings of a run and what it has found."""

    folder: Path
    repeats: int
    seed: int
    medians: dict[Case, Run] = field(default_factory=dict)
    lines: list[dict] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def say(self, **found: object) -> None:
        """Print a JSON line and keep it."""
        self.lines.append(found)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()

    def data(self, case: Case) -> Path:
        """Return the description of the case's data, made by another process so that this one stays small."""
        command = [sys.executable, HERE / "pit_data.py", self.folder / "data", case.workload]
        command += ["--labels-scale", case.labels, "--features-scale", case.features]
        command += ["--late", case.late, "--seed", self.seed]
        made = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        return Path(made.stdout.strip())

    def out(self, case: Case) -> Path:
        """Return where the case's output goes."""
        return self.folder / "out" / ("-".join(map(str, case)) + ".parquet")

    def median(self, case: Case, figure: str) -> float | None:
        """Return the median of a figure, None where the case was not measured."""
        return getattr(self.medians[case], figure) if case in self.medians else None

    def measure(self, cases: list[Case], *, repeats: int | None = None, warm: int = 1, **bounds) -> None:
        """Run the cases in turns after a first one that does not count, and say their medians.

        With one repeat there is no such first turn. A case that cannot be run is said to be skipped, and why.
        ``bounds`` are those of ``processes.run``.
        """
        turns = self.repeats if repeats is None else repeats
        runs: dict[Case, list[Run]] = {case: [] for case in cases if case not in self.medians}
        data = {case: self.data(case) for case in runs}
        for _ in range(turns + (turns > 1)):
            for case in list(runs):
                found = self._tried(case, data[case], repeats=warm, **bounds)
                if found is None:
                    del runs[case]
                else:
                    runs[case].append(found)
        for case, found in runs.items():
            self.medians[case] = _median(found[turns > 1 :])
            self.say(**case._asdict(), **self._shown(case, warm), **self.compared(case))

    def _tried(self, case: Case, data: Path, **settings) -> Run | None:
        try:
            return processes.run(case.engine, data, self.out(case), self.folder, **settings)
        except Skipped as exc:
            self.say(**case._asdict(), skipped=str(exc))
            return None

    def _shown(self, case: Case, warm: int) -> dict[str, object]:
        run = self.medians[case]
        walls = {"warm_ms": round(statistics.median(run.walls) * 1e3, 1)} if warm > 1 else {}
        numbers = {name: round(value, 2) for name, value in run._asdict().items() if name != "walls"}
        return {"version": _version(case.engine, self.folder), **numbers, **walls}

    def compared(self, case: Case) -> dict[str, int]:
        """Return how the output differs from Jukebox's, nothing where there is no such output."""
        ours = self.out(case._replace(engine="jukebox"))
        if case.engine in {"jukebox", "floor", "floor_plain", "floor_polars"} or not ours.exists():
            return {}
        command = [sys.executable, HERE / "pit_compare.py", ours, self.out(case)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def bar(self, claim: str, one: float | None, other: float | None, most: float) -> None:
        """Keep one / other beside the most that it may be."""
        ratio = None if one is None or other is None else one / other
        self.bars.append(Bar(claim, ratio, most))
        self.say(
            bar=claim, measured=ratio and round(ratio, 3), most=most, holds=None if ratio is None else ratio <= most
        )


@cache
def _version(engine: str, folder: Path) -> str:
    return processes.version_of(engine, processes.python_of(engine, folder))


def _median(runs: list[Run]) -> Run:
    numbers = [statistics.median(run[at] for run in runs) for at in range(len(Run._fields) - 1)]
    return Run(*numbers, [wall for run in runs for wall in run.walls[1:]])


def beside_peers(bench: Bench, workload: str, bars: dict[str, float]) -> None:
    """Measure a workload on every engine; ``bars`` are shares of a peer's CPU seconds."""
    bench.measure([Case(engine, workload) for engine in [*OURS, *PEERS]])
    ours = Case("jukebox", workload)
    for peer, most in bars.items():
        theirs = bench.median(Case(peer, workload), "cpu_seconds")
        bench.bar(f"{workload}: CPU / {peer}", bench.median(ours, "cpu_seconds"), theirs, most)
    bench.bar(f"{workload}: peak / 600 MB", bench.median(ours, "peak_mb"), 600, 1)


def latency(bench: Bench) -> None:
    """Measure W3: again and again in one process, whole processes, and the import of the kernel alone."""
    engines = ["jukebox", "jukebox_numpy", "polars", "duckdb"]
    bench.measure([Case(engine, "W3") for engine in engines], warm=31)
    warm = {
        engine: statistics.median(bench.medians[Case(engine, "W3")].walls)
        for engine in engines
        if Case(engine, "W3") in bench.medians
    }
    peers = [warm[peer] for peer in ("polars", "duckdb") if peer in warm]
    bench.bar("W3: warm / the best peer's", warm.get("jukebox"), min(peers, default=None), 1.5)
    for engine in engines:
        cold = Case(engine, "W3")
        try:
            runs = [
                processes.run(engine, bench.data(cold), bench.out(cold), bench.folder) for _ in range(bench.repeats)
            ]
        except Skipped as exc:
            bench.say(part="W3 cold", engine=engine, skipped=str(exc))
            continue
        wall = statistics.median(run.wall_seconds for run in runs)
        bench.say(part="W3 cold", engine=engine, wall_seconds=round(wall, 3))
    for module in ("jukebox.core._kernel", "jukebox.core.asof", "jukebox.engine.joining"):
        bench.say(part="import", module=module, **_imported(module, bench))
    kernel = _imported("jukebox.core._kernel", bench).get("whole_process_seconds")
    bench.bar("W3: cold start of the kernel / 0.5 s", kernel, 0.5, 1)


def _imported(module: str, bench: Bench) -> dict[str, object]:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    inner, whole = [], []
    for _ in range(bench.repeats):
        start = time.perf_counter()
        variables = processes.environment(bench.folder)
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=variables)
        whole.append(time.perf_counter() - start)
        if done.returncode != 0:
            return {"skipped": done.stderr.strip().splitlines()[-1]}
        inner.append(float(done.stdout))
    return {
        "import_seconds": round(statistics.median(inner), 3),
        "whole_process_seconds": round(statistics.median(whole), 3),
    }


def late(bench: Bench) -> None:
    """Measure what as-known filtering costs: a tenth of rows late, beside the same rows all taken as known."""
    filtered, taken = (Case(engine, "W1", late=0.1) for engine in ("jukebox", "jukebox_all_known"))
    prompt = Case("jukebox", "W1")
    bench.measure([filtered, taken, prompt])
    cpu = bench.median(filtered, "cpu_seconds")
    bench.bar("late: CPU as known / all known, 10 % late", cpu, bench.median(taken, "cpu_seconds"), 1.3)
    bench.bar("late: CPU with 10 % late / with none", cpu, bench.median(prompt, "cpu_seconds"), 1.3)


def scale(bench: Bench) -> None:
    """Measure four times W1, and four times its features alone."""
    once, features, both = (
        Case("jukebox", "W1"),
        Case("jukebox", "W1", features=4),
        Case("jukebox", "W1", labels=4, features=4),
    )
    bench.measure([once, features, both])
    one = bench.median(once, "cpu_seconds")
    bench.bar("scale: CPU of 4 times W1 / W1", bench.median(both, "cpu_seconds"), one, 4.2)
    peaks = bench.median(features, "peak_mb"), bench.median(once, "peak_mb")
    bench.bar("scale: peak with 4 times the features / W1", *peaks, 1.1)


def memory(bench: Bench) -> None:
    """Run four times W1 under a limit of 2 GB, ours and the peers'."""
    for engine in ("jukebox", "duckdb", "polars"):
        case = Case(engine, "W1", labels=4, features=4)
        data = bench.data(case)
        with processes.memory_limit(2 * GIGABYTE) as limit:
            by = "RLIMIT_DATA" if limit.startswith("data:") else "control group"
            shown = {"part": "memory limit", **case._asdict(), "limit": f"2 GB by {by}"}
            try:
                run = processes.run(engine, data, bench.out(case), bench.folder, limit=limit, seconds=1800)
            except Skipped as exc:
                bench.say(**shown, finished=False, why=str(exc))
                peak = None
            else:
                bench.say(**shown, finished=True, peak_mb=round(run.peak_mb), cpu_seconds=round(run.cpu_seconds, 2))
                peak = run.peak_mb
        if engine == "jukebox":
            bench.bar("memory: peak of 4 times W1 / 2 GB", peak, 2048, 1)


def feast(bench: Bench) -> None:
    """Measure Feast once a workload, where it finishes within ten minutes and half of this machine's memory."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    for workload in ("W3", "W1", "W2"):
        cases = [Case("jukebox", workload), Case("feast_duckdb", workload), Case("feast_file", workload)]
        with processes.memory_limit(half) as limit:
            bench.measure(cases, repeats=1, seconds=600, limit=limit)


def beam(bench: Bench) -> None:
    """Measure feature and label rows per CPU second: naive Beam on the small W3, our Beam variant on it and on W1.

    The bar holds ours on W1 beside naive on the sample: a pipeline's fixed cost is most of ours on W3.
    """
    naive, small, ours = Case("beam_naive", "W3"), Case("jukebox_beam", "W3"), Case("jukebox_beam", "W1")
    bench.measure([Case("jukebox", "W3"), naive, small], repeats=min(3, bench.repeats))
    bench.measure([Case("jukebox", "W1"), ours], repeats=min(3, bench.repeats))
    rates = {}
    for case, rows in ((naive, 110_000), (small, 110_000), (ours, 11_000_000)):
        seconds = bench.median(case, "work_cpu_seconds")
        rates[case] = None if seconds is None else rows / seconds
        rate = rates[case] and round(rates[case])
        bench.say(part="rows per CPU second", engine=case.engine, workload=case.workload, rate=rate)
    bench.bar("Beam: naive's rows per CPU second / ours", rates[naive], rates[ours], 0.05)


PARTS = {
    "W1": lambda bench: beside_peers(bench, "W1", {"floor": 1.5, "polars": 0.55, "duckdb": 0.5}),
    "W2": lambda bench: beside_peers(bench, "W2", {"polars": 0.6, "duckdb": 0.4}),
    "W3": latency,
    "late": late,
    "scale": scale,
    "memory": memory,
    "feast": feast,
    "beam": beam,
}


def main() -> None:
    """Run the asked parts and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / ".benchmarks")
    parser.add_argument("--table", action="store_true", help="print a Markdown table at the end")
    asked = parser.parse_args()
    unknown = sorted({*asked.parts} - {*PARTS})
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    bench = Bench(asked.folder.resolve(), asked.repeats, asked.seed)
    (bench.folder / "out").mkdir(parents=True, exist_ok=True)
    for part in asked.parts or PARTS:
        PARTS[part](bench)
    if asked.table:
        sys.stdout.write("\n" + markdown(bench.lines, bench.bars))


if __name__ == "__main__":
    main()
