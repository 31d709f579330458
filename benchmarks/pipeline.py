"""Times this pipeline beside TFX's own taxi template: same rows, same batch size, same number of training steps, all stages on.

    python -m benchmarks.pipeline [--large] [--huge] [--rows 15002 150020]

Prints a table per size, and how the two compare; writes benchmarks/results/<rows>.json. The template comes from the
installed tfx wheel. At 15,002 and 150,020 rows it takes about seven minutes on two cores; --large adds 1.5 million rows,
--huge 15 million for this pipeline alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.local.memory import PeakMemory

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BATCH_SIZE = 256
FEWEST_STEPS = 1000
ONE, TEN, LARGE, HUGE = 15_002, 150_020, 1_500_200, 15_002_000
DATA = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"


@dataclass(frozen=True)
class Timed:
    """What one run took.

    Attributes:
      startup_seconds: from the start of the process to the first stage.
      stages: seconds by stage.
      all_stages_seconds: from the start of the first to the end of the last. Not the sum: ours overlap, and wait for imports.
      process_seconds: the whole process.
      peak_rss_mb: the most that the process and its children held at a time, what they share counted once.
      fit_seconds: of training the model, within the Trainer.
    """

    startup_seconds: float
    stages: Mapping[str, float]
    all_stages_seconds: float
    process_seconds: float
    peak_rss_mb: float
    fit_seconds: float


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="1.5 million rows too")
    parser.add_argument("--huge", action="store_true", help="15 million rows too, without the template")
    parser.add_argument("--rows", type=int, nargs="*", default=[ONE, TEN], help="multiples of 15,002")
    options = parser.parse_args()
    sizes = [*options.rows, *([LARGE] if options.large else []), *([HUGE] if options.huge else [])]
    RESULTS.mkdir(exist_ok=True)
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            result = compare(rows, Path(folder), with_template=rows < HUGE)
        (RESULTS / f"{rows}.json").write_text(json.dumps(result, indent=1), "utf-8")
        print(table(result), flush=True)


def compare(rows: int, folder: Path, with_template: bool) -> dict[str, Any]:
    """Run both on the same rows; return what they took."""
    data = folder / "data"
    data.mkdir()
    num_rows = multiply_rows(data / "data.csv", max(1, rows // ONE))
    num_train = num_rows * 2 // 3
    epochs = max(1, round(FEWEST_STEPS * BATCH_SIZE / num_train))
    num_steps = epochs * -(-num_train // BATCH_SIZE)
    ours = run_ours(data, folder / "ours", epochs)
    compared = run_ours(data, folder / "ours", epochs)  # with the model that the first run blessed: the Evaluator has work
    again = run_ours(data, folder / "ours", epochs)
    template = run_template(data, folder / "template", num_steps) if with_template else None
    return {
        "rows": num_rows,
        "training_steps": num_steps,
        "batch_size": BATCH_SIZE,
        "cores": os.cpu_count(),
        "commit": _commit(),
        "ours": asdict(ours),
        "ours_compared": asdict(compared),
        "ours_again": asdict(again),
        "template": asdict(template) if template else None,
    }


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def multiply_rows(path: Path, times: int) -> int:
    """Write the taxi rows of the tfx wheel so many times over; return how many rows that makes."""
    from pipeline.ingest.source import resolve_package

    header, _, body = Path(resolve_package(DATA)).read_bytes().partition(b"\n")
    with path.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(body)
    return ONE * times


def run_ours(data: Path, work: Path, epochs: int) -> Timed:
    """Run this pipeline, edge models off."""
    config = ROOT / "configs" / "taxi.yaml"
    changes = {
        "data.path": data,
        "compression": "null",
        "fit.epochs": epochs,
        "fit.batch_size": BATCH_SIZE,
        "fit.early_stopping_patience": "null",
        "gates": "[{kind: bound, metric: auc, bound: 0.9}, {kind: blessed, metric: auc, max_loss: 0.01}, "
        "{kind: worst_slice, metric: auc, slice: [trip_start_hour], bound: 0.85, min_examples: 100}]",
    }
    arguments = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "runner_local.py", "run", "--config", config, "--root", work, "--json", *arguments]
    printed, seconds, peak = _timed(command, ROOT)
    summary = json.loads(printed)
    if summary["status"] != "succeeded":
        raise SystemExit(f"Our run ended with {summary['status']}: {json.dumps(summary, indent=1)}")
    # The interpreter's own start and end are not in the summary's seconds.
    outside = seconds - summary["seconds"]
    stages = {stage["id"]: stage["seconds"] for stage in summary["stages"]}
    (report,) = work.glob("artifacts/Trainer/model/*/training.json")
    fit = json.loads(report.read_text("utf-8"))["seconds"]["fit"]
    return Timed(
        summary["startup_seconds"] + outside, stages, summary["seconds"] - summary["startup_seconds"], seconds, peak, fit
    )


def run_template(data: Path, work: Path, num_steps: int) -> Timed:
    """Run the template."""
    work.mkdir()
    began = time.time()
    command = [sys.executable, "-m", "benchmarks.template_run", data, work, BATCH_SIZE, num_steps]
    printed, seconds, peak = _timed(command, ROOT)
    result = json.loads(printed.splitlines()[-1])
    if not result["pushed"]:
        raise SystemExit("The template pushed no model.")
    startup = result["first_stage_at"] - began
    return Timed(startup, result["stages"], sum(result["stages"].values()), seconds, peak, result["fit_seconds"])


def _timed(command: Sequence[object], folder: Path) -> tuple[str, float, float]:
    """Return what a process printed, the seconds it took and the peak memory in MB of it and its children."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=output, stderr=errors)
        memory = PeakMemory(process.pid)
        process.wait()
        seconds = time.monotonic() - start
        peak = memory.stop()
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{errors.read()[-3000:]}")
        output.seek(0)
        return output.read(), seconds, peak


# The template's names for what both have.
SAME = {"CsvExampleGen": "ExampleGen", "latest_blessed_model_resolver": "LatestBlessedModel", "SchemaGen": "CuratedSchema"}


def table(result: Mapping[str, Any]) -> str:
    """Return a Markdown table of one size."""
    rows, ours, template = result["rows"], result["ours"], result["template"]
    theirs = {SAME.get(stage, stage): x for stage, x in template["stages"].items()} if template else {}
    lines = [
        f"\n{rows:,} rows, {result['training_steps']:,} training steps of {result['batch_size']}, {result['cores']} cores\n",
        "| | this pipeline | TFX template | ratio |",
        "|---|--:|--:|--:|",
    ]

    def line(name: str, mine: float, other: float | None, unit: str = " s") -> None:
        shown = "" if other is None else f"{other:,.1f}{unit}"
        ratio = f"{mine / other:.2f}" if other else ""
        lines.append(f"| {name} | {mine:,.1f}{unit} | {shown} | {ratio} |")

    line("start-up until the first stage", ours["startup_seconds"], template and template["startup_seconds"])
    for stage, seconds in ours["stages"].items():
        line(stage, seconds, theirs.get(stage))
    line("all stages", ours["all_stages_seconds"], template and template["all_stages_seconds"])
    line("whole process", ours["process_seconds"], template and template["process_seconds"])
    line("ExampleGen, rows a second", rows / ours["stages"]["ExampleGen"], template and rows / theirs["ExampleGen"], "")
    examples = result["training_steps"] * result["batch_size"]
    line("Trainer, examples a second", examples / ours["stages"]["Trainer"], template and examples / theirs["Trainer"], "")
    line("of which in fit", examples / ours["fit_seconds"], template and examples / template["fit_seconds"], "")
    line("peak memory", ours["peak_rss_mb"], template and template["peak_rss_mb"], " MB")
    line("the same again, compared with the model blessed before", result["ours_compared"]["process_seconds"], None)
    line("the same again, nothing changed", result["ours_again"]["process_seconds"], None)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
