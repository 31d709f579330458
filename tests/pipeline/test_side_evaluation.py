"""An evaluator beside a training finds its checkpoints, measures what the model has learnt by then, and ends with it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_training import SETTINGS, TRANSFORM, arguments, without_graph_and_export

from models import datasets
from models.checkpoint_files import Checkpoint, newest, write
from models.cluster import is_chief, is_evaluator
from pipeline.components import trainer_executor
from pipeline.entrypoints import training
from pipeline.entrypoints.side_evaluation import evaluate_checkpoints, follow

EVALUATOR = {"cluster": {"chief": ["a:1"], "evaluator": ["b:1"]}, "task": {"type": "evaluator", "index": 0}}


def checkpoint(epochs: int, steps: int = 0) -> Checkpoint:
    return Checkpoint(epochs, False, {}, 0.1, {}, {"weights_0": np.array([float(epochs)])}, steps)


def test_last_checkpoint_is_measured_as_the_model_is(tmp_path: Path) -> None:
    fit = {"epochs": 3, "early_stopping_patience": None, "checkpoint_steps": 1}
    told = arguments(tmp_path, **fit)
    with without_graph_and_export() as exported:
        training.run_fn(told)
        Path(told.serving_model_dir).mkdir(parents=True)
        measured = evaluate_checkpoints(told, pause_seconds=0.01)
    settings = training.TrainSettings.model_validate(SETTINGS)
    batches = datasets.read(told.eval_files, settings.example_spec(TRANSFORM), 4096)
    assert measured == {3: training.evaluate(exported[0].predict_on_batch, batches, settings)}
    (events,) = Path(told.model_run_dir, "tensorboard", "evaluator").iterdir()
    values = {
        (value.tag, event.step): float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert values == {(name, 3): pytest.approx(value) for name, value in measured[3].items()}


def test_every_checkpoint_is_found_while_they_are_written(tmp_path: Path) -> None:
    over = threading.Event()
    written = [(0, 5), (1, 0), (2, 0), (3, 0)]
    taken: list[tuple[int, int]] = []

    def train() -> None:
        for number, (epochs, steps) in enumerate(written):
            deadline = time.monotonic() + 10
            while len(taken) < number and time.monotonic() < deadline:
                time.sleep(0.005)
            write(checkpoint(epochs, steps), str(tmp_path / "1-1-0" / "checkpoint.npz"))
        over.set()

    beside = threading.Thread(target=train)
    beside.start()
    for found in follow(str(tmp_path), over.is_set, 0.005):
        taken.append((found.epochs, found.steps))
    beside.join()
    assert taken == written


def test_furthest_one_counts_where_there_are_those_of_other_devices(tmp_path: Path) -> None:
    for folder, epochs in (("1-1-0", 4), ("2-1-2", 7), ("2-2-0", 2)):
        write(checkpoint(epochs), str(tmp_path / folder / "checkpoint.npz"))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "checkpoint.npz").write_bytes(b"no")
    found = newest(str(tmp_path))
    assert found is not None
    assert found.epochs == 7
    assert newest(str(tmp_path / "nothing")) is None


def test_training_that_left_no_checkpoint_ends_it(tmp_path: Path) -> None:
    assert list(follow(str(tmp_path), lambda: True, 60.0)) == []


def test_evaluator_calls_no_run_fn_and_is_no_chief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(EVALUATOR))
    told = arguments(tmp_path)
    Path(told.serving_model_dir).mkdir(parents=True)
    with without_graph_and_export():
        trainer_executor._train("nowhere.run_fn", told)
    assert is_evaluator()
    assert not is_chief()


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"task": {"type": "worker", "index": 0}}', '{"task": 3}'])
def test_others_are_none(text: str) -> None:
    assert not is_evaluator({"TF_CONFIG": text})
