"""Times the rehearsal of a compiled Vertex AI job beside the local run of the same config.

    python -m benchmarks.rehearsal [--config configs/taxi.yaml] [--rounds 3]

Both begin cold, in new processes and an empty root, and push both models; they take turns, and which goes first changes from
round to round. The runtime is configs/runtime/vertex.example.yaml without Dataflow: on Beam's DirectRunner it would be other
work. Prints a table in Markdown and writes benchmarks/results/rehearsal.json. A round takes three to five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LOCAL, REHEARSAL, AGAIN = "local run", "rehearsal", "second rehearsal"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "taxi.yaml")
    parser.add_argument("--rounds", type=int, default=3, help="of both in turn; the median of their ratios counts")
    options = parser.parse_args()
    results = measure(options.config.resolve(), options.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "rehearsal.json").write_text(json.dumps(results, indent=1), "utf-8")
    print(table(results))


def measure(config: Path, rounds: int) -> dict[str, Any]:
    """Run both as often as there are rounds; return seconds of each, and whether their metrics were the same."""
    seconds: dict[str, list[float]] = {LOCAL: [], REHEARSAL: [], AGAIN: []}
    same = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
            folder = Path(name)
            commands = {
                LOCAL: ["runner_local.py", "run"],
                REHEARSAL: ["runner_vertex.py", "rehearse", "--runtime", str(_runtime(folder))],
            }
            found = {}
            for what in (LOCAL, REHEARSAL) if number % 2 == 0 else (REHEARSAL, LOCAL):
                root = folder / what.replace(" ", "_")
                took, found[what] = run(commands[what], config, root)
                seconds[what].append(took)
            seconds[AGAIN].append(run(commands[REHEARSAL], config, folder / REHEARSAL)[0])
            same.append(found[LOCAL]["metrics"] == found[REHEARSAL]["metrics"])
    ratios = [rehearsed / local for rehearsed, local in zip(seconds[REHEARSAL], seconds[LOCAL], strict=True)]
    return {
        "config": os.path.relpath(config, ROOT),
        "cores": os.cpu_count(),
        "commit": _commit(),
        "seconds": seconds,
        "ratios": ratios,
        "same_metrics": all(same),
    }


def _runtime(folder: Path) -> Path:
    values = yaml.safe_load((ROOT / "configs" / "runtime" / "vertex.example.yaml").read_text("utf-8"))
    values.pop("dataflow", None)
    file = folder / "vertex.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    return file


def run(command: list[str], config: Path, root: Path) -> tuple[float, dict[str, Any]]:
    """Run a command from cold; return the seconds of its process, and its summary."""
    asked = [sys.executable, *command, "--config", str(config), "--root", str(root), "--json"]
    begin = time.monotonic()
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.monotonic() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(asked)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took, json.loads(done.stdout)


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def table(results: dict[str, Any]) -> str:
    """Return a Markdown table."""
    lines = [
        f"\n{results['config']}, {results['cores']} cores, medians (and the range), seconds of the process\n",
        "| | seconds | of the local run |",
        "|---|--:|--:|",
    ]
    for what, taken in results["seconds"].items():
        of_local = statistics.median(one / local for one, local in zip(taken, results["seconds"][LOCAL], strict=True))
        lines.append(f"| {what} | {statistics.median(taken):.1f} ({min(taken):.1f} to {max(taken):.1f}) | {of_local:.2f} |")
    lines.append(f"\nMetrics of both are {'the same' if results['same_metrics'] else 'DIFFERENT'}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
