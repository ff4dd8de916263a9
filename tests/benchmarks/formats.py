"""Converting between the formats, beside peers in one run: CPU microseconds a row and peak memory.

Every conversion is a process of its own, the converters of a pair take turns, and a figure is the median of the
rounds. The clock starts after the imports; TFRecord and Avro are written plain, as the peers write them. Prints a JSON
line a converter and pair, then a table with the bars.

    python tests/benchmarks/formats.py [--rows 5000000] [--rounds 3] [--pairs parquet:avro …]
        [--folder .benchmarks/formats]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from formats_peers import SUFFIXES, make

HERE = Path(__file__).resolve().parent
PEERS = {
    ("parquet", "avro"): ["polars", "fastavro"],
    ("avro", "parquet"): ["polars", "fastavro"],
    ("parquet", "tfrecord"): ["tfx_bsl"],
    ("tfrecord", "parquet"): ["tf_data", "tfx_bsl"],
    ("parquet", "csv"): ["polars"],
    ("csv", "parquet"): ["polars"],
    ("parquet", "jsonl"): ["polars"],
    ("jsonl", "parquet"): ["polars"],
}
# Pair, peer, and at most how many times its CPU we may take.
BARS = {
    ("parquet", "tfrecord", "tfx_bsl"): 1 / 5,
    ("tfrecord", "parquet", "tf_data"): 1 / 3,
    ("parquet", "avro", "polars"): 1.3,
    ("avro", "parquet", "polars"): 1.3,
}
MEMORY_MB = 500


def pairs() -> list[tuple[str, str]]:
    """Return every pair of formats, those from Parquet first: they make the sources of the others."""
    return sorted(((one, other) for one in SUFFIXES for other in SUFFIXES if one != other), key=_order)


def _order(pair: tuple[str, str]) -> tuple[bool, bool, tuple[str, str]]:
    return pair[0] != "parquet", pair[1] != "parquet", pair


def measure(name: str, source: Path, target: Path) -> dict[str, float]:
    """Return the figures of one conversion; raises CalledProcessError with what it complained of."""
    command = [sys.executable, HERE / "formats_peers.py", name, source, target]
    found = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(found.stdout.splitlines()[-1])


def compare(pair: tuple[str, str], rows: int, rounds: int, folder: Path) -> list[dict]:
    """Return a line for us and for each peer of the pair."""
    one, other = pair
    names = ["jukebox", *PEERS.get(pair, [])]
    source = folder / f"rows{SUFFIXES[one]}"
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            kept = one == "parquet" and name == "jukebox"
            target = folder / f"{'rows' if kept else name}{SUFFIXES[other]}"
            try:
                found[name].append(measure(name, source, target))
            except subprocess.CalledProcessError as exc:
                why = (exc.stderr.strip().splitlines() or [f"exit code {exc.returncode}"])[-1]
                sys.stderr.write(f"{name} {one} to {other}: {why}\n")
            finally:
                if not kept:
                    target.unlink(missing_ok=True)
    return [_line(pair, rows, name, each) for name, each in found.items() if each]


def _line(pair: tuple[str, str], rows: int, name: str, rounds: list[dict[str, float]]) -> dict:
    spent = statistics.median(each["cpu_seconds"] for each in rounds)
    return {
        "from": pair[0],
        "to": pair[1],
        "converter": name,
        "rows": rows,
        "rounds": len(rounds),
        "cpu_us_per_row": round(spent / rows * 1e6, 3),
        "peak_mb": round(max(each["peak_mb"] for each in rounds)),
        "imports_mb": round(max(each["imports_mb"] for each in rounds)),
    }


def table(lines: list[dict]) -> str:
    """Return the lines as Markdown, each peer with our ratio to it and its bar."""
    ours = {(line["from"], line["to"]): line["cpu_us_per_row"] for line in lines if line["converter"] == "jukebox"}
    rows = ["| from | to | converter | CPU µs a row | peak MB | ours / its | bar |", "|---|---|---|---|---|---|---|"]
    for line in lines:
        pair = line["from"], line["to"]
        ratio, bar = "", ""
        if line["converter"] == "jukebox":
            bar = f"<= {MEMORY_MB} MB: {'met' if line['peak_mb'] <= MEMORY_MB else 'MISSED'}"
        elif pair in ours:
            share = ours[pair] / line["cpu_us_per_row"]
            ratio = f"{share:.2f}"
            most = BARS.get((*pair, line["converter"]))
            bar = "" if most is None else f"<= {most:.2f}: {'met' if share <= most else 'MISSED'}"
        cells = [*pair, line["converter"], line["cpu_us_per_row"], line["peak_mb"], ratio, bar]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def main() -> None:
    """Run the pairs asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", nargs="*", help="such as parquet:avro; all without any")
    parser.add_argument("--folder", type=Path, default=Path(".benchmarks/formats"))
    asked = parser.parse_args()
    folder = asked.folder / str(asked.rows)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "rows.parquet").exists():
        make(folder / "rows.parquet", asked.rows)
    lines = []
    for pair in pairs():
        if asked.pairs and ":".join(pair) not in asked.pairs:
            continue
        source = folder / f"rows{SUFFIXES[pair[0]]}"
        if not source.exists():
            measure("jukebox", folder / "rows.parquet", source)
        for line in compare(pair, asked.rows, asked.rounds, folder):
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            lines.append(line)
    sys.stdout.write("\n" + table(lines) + "\n")


if __name__ == "__main__":
    main()
