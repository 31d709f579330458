"""Times compiling a Vertex AI job beside compiling that of TFX's own taxi template, each in a new process, by turns.

    python -m benchmarks.compiling [--rounds 5]

The template is that of the installed tfx wheel, as it is there but for the bucket and the pipeline's name, which Vertex AI
would refuse. Prints a table in Markdown and writes benchmarks/results/compiling.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_TEMPLATE = """
import sys
from tfx.experimental.templates.taxi.pipeline import configs
configs.PIPELINE_NAME, configs.GCS_BUCKET_NAME, configs.PIPELINE_IMAGE = "taxi-template", "bucket", "image@sha256:0"
from tfx.experimental.templates.taxi import kubeflow_v2_runner
kubeflow_v2_runner.run()
"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of all in turn; the median of their ratios counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(Path(folder), options.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "compiling.json").write_text(json.dumps(seconds, indent=1), "utf-8")
    print(table(seconds))


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return {what: seconds of each round}."""
    columnar = folder / "columnar.yaml"
    values = yaml.safe_load((ROOT / "configs" / "runtime" / "vertex.example.yaml").read_text("utf-8"))
    del values["dataflow"]
    columnar.write_text(yaml.safe_dump(values), "utf-8")
    ours = [
        sys.executable,
        "runner_vertex.py",
        "compile",
        "--config",
        "configs/taxi.yaml",
        "--output",
        str(folder / "job.json"),
    ]
    commands = {
        "TFX's taxi template": [sys.executable, "-c", _TEMPLATE],
        "this pipeline, stages by blocks of columns": [*ours, "--runtime", str(columnar)],
        "this pipeline, stages on Dataflow": [*ours, "--runtime", "configs/runtime/vertex.example.yaml"],
    }
    seconds: dict[str, list[float]] = {what: [] for what in commands}
    for number in range(rounds):
        order = list(commands) if number % 2 else list(reversed(commands))
        for what in order:
            seconds[what].append(_timed(commands[what], ROOT if "runner_vertex.py" in commands[what] else folder))
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    """Return the medians, and those of the ratios to the template's."""
    template = next(iter(seconds.values()))
    lines = ["| job of | seconds | beside the template |", "|---|---|---|"]
    for what, mine in seconds.items():
        ratio = statistics.median(one / other for one, other in zip(mine, template, strict=True))
        lines.append(f"| {what} | {statistics.median(mine):.1f} | {ratio:.2f}x |")
    return "\n".join(lines)


def _timed(command: list[str], folder: Path) -> float:
    began = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
