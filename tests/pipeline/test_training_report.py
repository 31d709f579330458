"""What run_fn says of a training."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from models import linear, serving
from pipeline.artifacts import training_report_path
from pipeline.entrypoints import training

SETTINGS = {
    "model_module": "models.tabular",
    "model": {"numeric_units": 4, "hidden": [4], "dropout": 0.0},
    "features": {"fare": {"kind": "numeric"}, "area": {"kind": "integer_categorical", "num_values": 4}},
    "label": {"kind": "regression", "column": "tips"},
    "fit": {"epochs": 2, "batch_size": 32},
    "metrics": ["rmse", "mae"],
    "strategy": "one_device",
}
NUM_TRAIN, NUM_EVAL = 90, 40
TRANSFORM = SimpleNamespace(vocabulary_size_by_name=None)  # a training asks no more of it where no feature has a vocabulary


def write(path: Path, num_examples: int) -> str:
    """Write transformed examples whose label is three times the fare and ten, and a little noise; return the path."""
    spec = training.TrainSettings.model_validate(SETTINGS).example_spec(TRANSFORM)
    random = np.random.default_rng(num_examples)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for _ in range(num_examples):
            example = tf.train.Example()
            for feature in spec.features:
                values = example.features.feature[feature.name]
                if feature.num_ids:
                    values.int64_list.value.append(int(random.integers(feature.num_ids)))
                else:
                    values.float_list.value.append(random.normal())
            (fare,) = example.features.feature["fare_xf"].float_list.value
            example.features.feature[spec.label].float_list.value.append(10 + 3 * fare + 0.1 * random.normal())
            writer.write(example.SerializeToString())
    return str(path)


def run(folder: Path, most_iterations: int) -> dict[str, Any]:
    """Return the report of a short training without a transform graph and without an export."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tft, "TFTransformOutput", lambda path: TRANSFORM)
        patch.setattr(serving, "export", lambda *args: None)
        patch.setattr(serving, "save_keras", lambda *args: None)
        patch.setattr(linear, "_MOST_ITERATIONS", most_iterations)
        training.run_fn(
            FnArgs(
                train_files=[write(folder / "train.gz", NUM_TRAIN)],
                eval_files=[write(folder / "eval.gz", NUM_EVAL)],
                transform_graph_path="unused",
                serving_model_dir=str(folder / "model" / "Format-Serving"),
                model_run_dir=str(folder / "run"),
                custom_config={"settings": json.dumps(SETTINGS)},
            )
        )
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
