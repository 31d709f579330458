"""Searches on the taxi data, side by side: algorithms with the same budget, and one worker beside two.

    python -m benchmarks.tuning [--seeds 5] [--epochs 300] [--algorithms random bayesian hyperband] [--workers 2] [--speed]

Every search begins with the config's own values and takes the default space of configs/taxi.yaml; the budget is in epochs,
which cost about the same in all of them. The pipeline runs to Transform once, before the first. Prints a table and writes
benchmarks/results/tuning.json. With five seeds it takes about half an hour on two cores; --speed times sixteen random trials
with one worker and with two instead, by turns, in five minutes.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from models.tuning.config import Hyperband, TunerConfig
from models.tuning.objective import Judge
from models.tuning.running import Setting
from models.tuning.search import Problem, search
from models.tuning.trials import CONFIG_TRIAL, Learnt
from pipeline.components.tuner import TuneSettings
from pipeline.components.tuner_executor import Transformed
from pipeline.config import load_config
from pipeline.graph import build_pipeline
from pipeline.local.runtime import LocalRuntime

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CONFIG = ROOT / "configs" / "taxi.yaml"
TIMED_TRIALS = 16


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=300, help="budget of a search")
    parser.add_argument("--algorithms", nargs="*", default=["random", "bayesian", "hyperband"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--speed", action="store_true", help="time one worker beside two")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        bench = _Bench(Path(folder))
        if options.speed:
            result, text = bench.speed()
        else:
            result, text = bench.algorithms(options.algorithms, range(1, options.seeds + 1), options.epochs, options.workers)
    (RESULTS / f"tuning{'_speed' if options.speed else ''}.json").write_text(json.dumps(result, indent=1), "utf-8")
    print(text)


class _Bench:
    def __init__(self, folder: Path):
        """Transform the taxi rows."""
        self._folder, root = folder, folder / "root"
        command = [sys.executable, "runner_local.py", "run", "--config", str(CONFIG), "--root", str(root), "--to", "Transform"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        graph = build_pipeline(load_config(CONFIG, ["tuner={}"]), LocalRuntime(folder))
        (tuner,) = (component for component in graph.components if component.id == "Tuner")
        self._settings = TuneSettings.model_validate_json(tuner.exec_properties["settings"])
        outputs = root / "artifacts" / "Transform"
        (transform,) = (outputs / "transform_graph").iterdir()
        (examples,) = (outputs / "transformed_examples").iterdir()
        splits = ("train", "eval")
        files = {split: tuple(sorted(map(str, (examples / f"Split-{split}").iterdir()))) for split in splits}
        self._source = Transformed(self._settings, str(transform), files)
        self._number = 0

    def algorithms(self, kinds: Sequence[str], seeds: Sequence[int], epochs: int, workers: int) -> tuple[dict[str, Any], str]:
        """Search with every algorithm and seed; return what was found, and a table."""
        found: dict[str, list[float]] = {kind: [] for kind in kinds}
        details = []
        for seed in seeds:
            for kind in kinds:
                budget = {"trials": None, "epochs": epochs}
                learnt = self._search({"algorithm": {"kind": kind}, "budget": budget, "seed": seed, "workers": workers})
                found[kind].append(learnt.trial(learnt.best).metrics["auc"])
                details.append(_facts(learnt, kind, seed))
                print(json.dumps(details[-1]), file=sys.stderr, flush=True)
        own = learnt.trial(CONFIG_TRIAL).metrics["auc"]
        lines = ["| | median best AUC | of the seeds |", "|---|--:|---|", f"| the config's own values | {own:.5f} | |"]
        for kind, values in found.items():
            lines.append(f"| {kind} | {statistics.median(values):.5f} | {', '.join(f'{x:.5f}' for x in sorted(values))} |")
        return {"epochs": epochs, "own": own, "found": found, "searches": details}, "\n".join(lines)

    def speed(self, rounds: int = 3) -> tuple[dict[str, Any], str]:
        """Time one worker beside two; return the seconds, and a table."""
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(rounds):
            for workers, taken in seconds.items():
                began = time.monotonic()
                self._search(
                    {
                        "algorithm": {"kind": "random"},
                        "budget": {"trials": TIMED_TRIALS},
                        "workers": workers,
                        "early_stopping": None,  # or the two would not train the same
                    }
                )
                taken.append(round(time.monotonic() - began, 1))
                print(f"{workers} workers: {taken[-1]} s", file=sys.stderr, flush=True)
        one, two = (statistics.median(taken) for taken in seconds.values())
        lines = ["| workers | seconds | ratio |", "|--:|--:|--:|", f"| 1 | {one} | |", f"| 2 | {two} | {two / one:.2f} |"]
        return {"trials": TIMED_TRIALS, "cores": os.cpu_count(), "seconds": seconds}, "\n".join(lines)

    def _search(self, tuner: dict[str, Any]) -> Learnt:
        self._number += 1
        config, settings = TunerConfig.model_validate(tuner), self._settings
        setting = Setting(
            settings.model_module,
            settings.model,
            settings.fit,
            Judge(config.objective, settings.label.kind),
            keeps_checkpoints=isinstance(config.algorithm, Hyperband),
        )
        return search(Problem(config, settings.space, setting, self._source, str(self._folder / str(self._number))))


def _facts(learnt: Learnt, kind: str, seed: int) -> dict[str, Any]:
    best = learnt.trial(learnt.best)
    return {
        "algorithm": kind,
        "seed": seed,
        "auc": best.metrics["auc"],
        "best": best.id,
        "trials": len(learnt.trials),
        "epochs": sum(trial.epochs for trial in learnt.trials),
        "seconds": round(learnt.seconds, 1),
        "values": learnt.values,
    }


if __name__ == "__main__":
    main()
