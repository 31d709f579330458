"""Times the taxi pipeline on both generations of TFX, on the same machine and by turns.

    ROUNDS=3 make test-current

gives it the other generation's Python (OTHER_PYTHON), which runs in a folder with Debian 13. Each run begins cold, in a new
process and an empty root. Prints a table in Markdown, with the medians, and the median of the rounds' ratios.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "configs/taxi.yaml"
WHOLE, START_UP = "`make run`, whole process", "start-up"
Figures = Mapping[str, float]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of both in turn")
    parser.add_argument("--other", default=os.environ.get("OTHER_PYTHON"), help="Python of the other generation")
    options = parser.parse_args()
    if not options.other:
        parser.error("There is one generation of TFX here. `ROUNDS=3 make test-current` has both.")
    print(table(measure({"1.16": sys.executable, "1.21": options.other}, options.rounds)))


def measure(pythons: Mapping[str, str], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run the pipeline on each Python in turn; return {generation: summaries, with `process_seconds`}."""
    found: dict[str, list[dict[str, Any]]] = {generation: [] for generation in pythons}
    for number in range(rounds):
        for generation in sorted(pythons, reverse=bool(number % 2)):
            found[generation].append(_run(pythons[generation]))
    return found


def _run(python: str) -> dict[str, Any]:
    # Where tests of both write, too: a folder that has the same path for both.
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=os.environ.get("SHARED_FOLDER")) as folder:
        command = [python, "runner_local.py", "run", "--config", CONFIG, "--root", f"{folder}/root", "--json"]
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout) | {"process_seconds": took}


def figures(summary: Mapping[str, Any]) -> Figures:
    """Return {what: seconds} of a run."""
    stages = {stage["id"]: stage["seconds"] for stage in summary["stages"]}
    return {WHOLE: summary["process_seconds"], START_UP: summary["startup_seconds"], **dict(sorted(stages.items()))}


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return a Markdown table: medians of both, and the median of the ratios of what ran in the same round."""
    old, new = ([figures(summary) for summary in found[generation]] for generation in ("1.16", "1.21"))
    lines = ["| | TFX 1.16 | TFX 1.21 | ratio |", "|---|--:|--:|--:|"]
    for what in old[0]:
        ratio = statistics.median(b[what] / max(a[what], 1e-3) for a, b in zip(old, new, strict=True))
        middle = (statistics.median(each[what] for each in side) for side in (old, new))
        lines.append(f"| {what} | {' | '.join(f'{value:.1f} s' for value in middle)} | {ratio:.2f} |")
    others: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "auc": lambda summary: f"{summary['metrics']['candidate']['auc']:.4f}",
        "edge model, bytes": lambda summary: f"{_chosen(summary)['size_bytes']:,}",
        "edge model, auc": lambda summary: f"{_chosen(summary)['metrics']['auc']:.4f}",
    }
    for what, value in others.items():
        lines.append(f"| {what} | {value(found['1.16'][0])} | {value(found['1.21'][0])} | |")
    return "\n".join(lines)


def _chosen(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    edge = summary["edge"]
    return next(variant for variant in edge["variants"] if variant["name"] == edge["chosen"])


if __name__ == "__main__":
    main()
