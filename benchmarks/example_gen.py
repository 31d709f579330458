"""Times ExampleGen alone beside TFX's CsvExampleGen: the same taxi rows, by the two executors in turn, in one process.

    python -m benchmarks.example_gen [--rows 150020] [--times 3]

Inside a pipeline ours shares the cores with what loads TensorFlow, and `python -m benchmarks.pipeline` measures that. Prints
rows a second and the ratio; three times at 150,020 rows take about a minute and a half.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tfx.components.example_gen.csv_example_gen.executor import Executor as TfxExecutor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from benchmarks.pipeline import ONE, ROOT, TEN, multiply_rows
from pipeline.components.example_gen_executor import Executor
from pipeline.config import load_config
from pipeline.local.runtime import BEAM_ARGS, LocalRuntime
from pipeline.stages import ingest


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=TEN, help="a multiple of 15,002")
    parser.add_argument("--times", type=int, default=3, help="that each is run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        num_rows = multiply_rows(folder / "data" / "data.csv", max(1, options.rows // ONE))
        config = load_config(ROOT / "configs" / "taxi.yaml", [f"data.path={folder / 'data' / 'data.csv'}"])
        properties = dict(ingest(config, LocalRuntime(folder)).exec_properties)
        seconds: dict[str, list[float]] = {"ours": [], "tfx": []}
        for turn in range(options.times):
            seconds["ours"].append(_timed(Executor(), properties, folder / f"ours-{turn}"))
            context = BaseBeamExecutor.Context(beam_pipeline_args=BEAM_ARGS, tmp_dir=str(folder / "tmp"), unique_id=str(turn))
            seconds["tfx"].append(_timed(TfxExecutor(context), properties, folder / f"tfx-{turn}"))
    print(f"{num_rows:,} rows, {options.times} times in turn, medians")
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    for side, values in seconds.items():
        each = ", ".join(f"{value:.2f}" for value in values)
        print(f"{side}: {each} s; {num_rows / medians[side]:,.0f} rows a second")
    print(f"ratio: {medians['tfx'] / medians['ours']:.1f}")


def _timed(executor: Any, properties: dict[str, Any], folder: Path) -> float:
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    began = time.monotonic()
    executor.Do({}, {"examples": [examples]}, properties)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
