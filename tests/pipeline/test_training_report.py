"""What run_fn says of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_training import NUM_TRAIN, arguments, without_graph_and_export

from models import linear
from pipeline.artifacts import training_report_path
from pipeline.entrypoints import training


def run(folder: Path, most_iterations: int) -> dict[str, Any]:
    """Return the report of a short training."""
    with pytest.MonkeyPatch.context() as patch, without_graph_and_export():
        patch.setattr(linear, "_MOST_ITERATIONS", most_iterations)
        training.run_fn(arguments(folder))
    return json.loads(Path(training_report_path(str(folder / "model"))).read_text())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a training as it is."""
    return run(tmp_path_factory.mktemp("training"), linear._MOST_ITERATIONS)


def test_report_counts_examples_and_says_where_time_went(report: dict[str, Any]) -> None:
    assert (report["examples"], report["epochs"]) == (NUM_TRAIN, 2)
    assert report["strategy"].startswith("one device, ")
    scale = ("replicas", "global_batch_size", "learning_rate", "first_learning_rate", "warmup_epochs")
    assert [report[key] for key in scale] == [1, 32, 0.002, 0.002, 0.0]
    assert (report["precision"], report["sharding"], report["examples_left_out"]) == ("float32", "by position, in memory", 0)
    assert len(report["loss"]) == len(report["eval_loss"]) == 2
    assert sorted(report["seconds"]) == ["baseline", "export", "fit", "read"]
    # Of all epochs; the seconds are rounded.
    assert report["examples_per_second"] == pytest.approx(2 * NUM_TRAIN / report["seconds"]["fit"], rel=0.1)
    assert min(report["seconds"].values()) >= 0.0


def test_report_holds_the_metrics_of_a_solved_baseline(report: dict[str, Any]) -> None:
    assert sorted(report["simple_baseline"]) == ["mae", "rmse"]
    # The noise, and what the penalty leaves of a slope of three.
    assert 0.08 < report["simple_baseline"]["rmse"] < 0.2
    assert report["simple_baseline_fit"]["converged"] is True
    assert 1 < report["simple_baseline_fit"]["iterations"] < 100


def test_report_says_that_the_baseline_is_not_solved(tmp_path: Path) -> None:
    assert run(tmp_path, most_iterations=1)["simple_baseline_fit"] == {"converged": False, "iterations": 1}
