"""A training on a hundred made-up examples, without a transform graph and without an export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from models import serving
from pipeline.components.trainer_executor import FnArgs
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


def arguments(folder: Path, **fit: Any) -> FnArgs:
    """Return what a run_fn is told; its examples are written."""
    return FnArgs(
        train_files=[write(folder / "train.gz", NUM_TRAIN)],
        eval_files=[write(folder / "eval.gz", NUM_EVAL)],
        transform_graph_path="unused",
        serving_model_dir=str(folder / "model" / "Format-Serving"),
        model_run_dir=str(folder / "run"),
        checkpoint_dir=str(folder / "checkpoints"),
        custom_config={"settings": json.dumps(SETTINGS | {"fit": {**SETTINGS["fit"], **fit}})},
    )


@contextmanager
def without_graph_and_export() -> Iterator[list[Any]]:
    """Have trainings do without; gives the models that would have been exported."""
    exported: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tft, "TFTransformOutput", lambda path: TRANSFORM)
        patch.setattr(serving, "export", lambda model, *args: exported.append(model))
        patch.setattr(serving, "save_keras", lambda *args: None)
        yield exported
