"""Measures every technique and recipe on taxi and on scikit-learn's digits: sizes, scores, latency, and which are worth it.

    python -m benchmarks.compression [--output FOLDER]

Prints two tables, writes <output>/<data set>.md, .json and a Pareto plot .svg. Takes about seven minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RECIPES = Path(__file__).with_name("recipes.yaml")
Variant = Mapping[str, Any]
# Of the recipes, those that calibrate: what LiteRT's quantizer can do as well.
_CALIBRATED = (("int8",), ("int16x8",), ("prune", "int8"), ("cluster", "int8"), ("distill", "int8"))


def recipes() -> list[Any]:
    """Return what is measured: `recipes.yaml`, and where LiteRT's quantizer is, its share of that."""
    from models.compression import litert

    found: list[Any] = yaml.safe_load(RECIPES.read_text("utf-8"))
    return [*found, *(map(_by_litert, _CALIBRATED) if litert.is_installed() else ())]


def _by_litert(steps: Sequence[str]) -> list[Any]:
    return [*steps[:-1], {"kind": steps[-1], "quantizer": "litert"}]


def taxi() -> tuple[str, list[Variant]]:
    """Run the taxi pipeline with all recipes; return the name of the metric and what was measured."""
    from pipeline.local.run import RunOptions, run

    root = ROOT / "runs" / "benchmark-compression"
    asked = json.dumps([*recipes(), "pack", "raw"])
    run(RunOptions(ROOT / "configs" / "taxi.yaml", root, [f"compression.recipes={asked}"], fresh=True))
    summary = json.loads((root / "runs" / "latest" / "summary.json").read_text("utf-8"))
    if summary["edge"] is None:
        raise SystemExit(f"The taxi run has made no edge model: {summary['status']}. See {root}/runs/latest/log.txt.")
    return "auc", summary["edge"]["variants"]


def digits(chosen: Sequence[Any] | None = None) -> tuple[str, list[Variant]]:
    """Train the small convolutional network and compress it with all recipes, or with some."""
    from benchmarks import digits as task
    from models import serving, training
    from models.compression.compress import compress
    from models.compression.config import CompressionConfig
    from models.compression.data import EvaluationBatch, write_arrays
    from models.compression.plan import Problem
    from models.heads import Head
    from preprocessing.features import EncodedFeature

    fit = training.FitConfig(
        batch_size=64, learning_rate=1e-3, optimizer="adam", learning_rate_schedule="cosine", early_stopping_patience=None
    )
    head, features = Head("multiclass", 10), (EncodedFeature(task.INPUT, task.INPUT, 64),)
    config = CompressionConfig.model_validate(
        {"recipes": chosen or recipes(), "gates": {"metric": "accuracy", "max_loss": 0.005}}
    )
    with tempfile.TemporaryDirectory() as folder:
        x, y, eval_x, eval_y = task.arrays()
        train = write_arrays(f"{folder}/train", [EvaluationBatch(x, y)])
        evaluation = write_arrays(f"{folder}/eval", [EvaluationBatch(eval_x, eval_y)])
        training.make_deterministic(fit.seed)
        model = task.build(task.Config(), features, head)
        training.fit(model, head.loss, train.dataset(64, fit.seed), evaluation.dataset(64), fit)
        serving.save_keras(model, f"{folder}/model.keras")
        problem = Problem(
            f"{folder}/model.keras",
            task.__name__,
            task.Config().model_dump(),
            features,
            head,
            fit,
            ("accuracy",),
            train,
            evaluation,
        )
        compressed = compress(problem, config, f"{folder}/work", lambda text: print(text, file=sys.stderr))
    return "accuracy", [report.to_dict() for report in compressed.reports]


DATA_SETS: dict[str, Callable[[], tuple[str, list[Variant]]]] = {"taxi": taxi, "digits": digits}


def table(metric: str, variants: Sequence[Variant]) -> str:
    """Return a Markdown table; every number beside its ratio to the float32 model's."""
    reference = variants[0]
    lines = [
        f"| variant | bytes | smaller | gzip | smaller | {metric} | loss, points | latency us | of float32 | zeros | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for v in variants:
        if not v["size_bytes"]:
            lines.append(f"| {v['name']} | | | | | | | | | | {v['error']} |")
            continue
        sizes = " | ".join(f"{v[key]:,} | {reference[key] / v[key]:.1f}x" for key in ("size_bytes", "gzip_bytes"))
        score = f"{v['metrics'][metric]:.4f} | {-100 * v['delta'][metric] + 0.0:.2f}"
        latency = f"{v['latency_us']:.1f} | {v['latency_us'] / reference['latency_us']:.2f}"
        lines.append(f"| {v['name']} | {sizes} | {score} | {latency} | {v['sparsity']:.0%} | {v['error'] or ''} |")
    return "\n".join(lines)


def pareto(metric: str, variants: Sequence[Variant]) -> list[Variant]:
    """Return the variants that no other beats in both gzip bytes and metric, smallest first."""
    best, found = float("-inf"), []
    for v in sorted((v for v in variants if v["size_bytes"]), key=lambda v: (v["gzip_bytes"], -v["metrics"][metric])):
        if v["metrics"][metric] > best:
            best = v["metrics"][metric]
            found.append(v)
    return found


def plot(name: str, metric: str, variants: Sequence[Variant], path: Path) -> None:
    """Draw gzip bytes against the metric, with the Pareto front."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = name  # the same numbers give the same file
    figure, axes = plt.subplots(figsize=(9, 6))
    made, front = [v for v in variants if v["size_bytes"]], pareto(metric, variants)
    axes.scatter([v["gzip_bytes"] for v in made], [v["metrics"][metric] for v in made], s=18, color="#888888")
    axes.plot([v["gzip_bytes"] for v in front], [v["metrics"][metric] for v in front], color="#1f77b4", marker="o")
    for v in made:
        on_front = any(v["name"] == f["name"] for f in front)
        style = {"fontsize": 7, "color": "#1f77b4" if on_front else "#666666"}
        axes.annotate(v["name"], (v["gzip_bytes"], v["metrics"][metric]), xytext=(4, 3), textcoords="offset points", **style)
    axes.set(
        xscale="log", xlabel="bytes after gzip -9", ylabel=f"{metric} on the eval split", title=f"{name}: size against {metric}"
    )
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmark-compression" / "results")
    parser.add_argument("--only", choices=DATA_SETS, help="one data set")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name, measure in DATA_SETS.items():
        if options.only in (None, name):
            metric, variants = measure()
            slim = [{k: x for k, x in v.items() if k not in ("evidence", "slices", "gates")} for v in variants]
            (options.output / f"{name}.json").write_text(json.dumps(slim, indent=1), "utf-8")
            (options.output / f"{name}.md").write_text(table(metric, variants) + "\n", "utf-8")
            plot(name, metric, variants, options.output / f"{name}.svg")
            best = ", ".join(v["name"] for v in pareto(metric, variants))
            print(f"\n{name}\n\n{table(metric, variants)}\n\nOn the Pareto front: {best}")


if __name__ == "__main__":
    main()
