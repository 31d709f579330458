"""Trains in processes that need not import TensorFlow each: it is imported once, and every training is a fork of this one.

Tests of strategies start it, because logical devices and workers are fixed when TensorFlow starts, which importing it does not.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tf_keras as keras

from models import cluster, distribution, in_memory, training
from models.checkpoints import Checkpoints, Policy
from models.experiment import Experiment
from models.heads import Head
from preprocessing.features import EncodedFeature

STEPS_FILE, RESULT_FILE = "steps", "result"
NUM_TRAIN, NUM_EVAL = 203, 61  # divisible by nothing here
FEATURES = (EncodedFeature("fare_xf", "fare"), EncodedFeature("company_xf", "company", num_ids=10))
MODEL = {"embedding_dim": 2, "numeric_units": 4, "hidden": [8], "dropout": 0.0}


def split(number: int, seed: int) -> in_memory.Split:
    """Return examples whose label both features decide on."""
    random = np.random.default_rng(seed)
    fare = random.normal(size=(number, 1)).astype(np.float32)
    company = random.integers(0, 10, size=(number, 1)).astype(np.int32)
    labels = ((fare > 0) ^ (company > 6)).astype(np.int64)
    return in_memory.Split((in_memory.Block(("fare_xf",), (1,), fare), in_memory.Block(("company_xf",), (1,), company)), labels)


class Marks(keras.callbacks.Callback):
    """Writes down how many steps are done, and takes its time for each, for others to interrupt it."""

    def __init__(self, folder: str, seconds: float):
        super().__init__()
        self._folder, self._seconds = folder, seconds

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        Path(self._folder, STEPS_FILE).write_text(str(self._epoch * self.params["steps"] + batch + 1))
        time.sleep(self._seconds)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch


def train(asked: dict[str, Any]) -> dict[str, Any]:
    """Train as asked: {"kind", "devices", "fit", "folder", "examples"} and, for interrupts, "checkpoints" and "slow"."""
    fit = training.FitConfig.model_validate(asked["fit"])
    training.make_deterministic(fit.seed)
    strategy, reason = distribution.choose(asked["kind"], distribution.Devices(**asked.get("devices", {})))
    callbacks: list[keras.callbacks.Callback] = []
    resumed = None
    if "checkpoints" in asked:
        policy = Policy(steps=fit.checkpoint_steps, writes=cluster.is_chief())
        checkpoints = Checkpoints(asked["checkpoints"].format(folder=asked["folder"]), policy)
        resumed = checkpoints.restored and [checkpoints.restored.epochs, checkpoints.restored.steps]
        callbacks.append(checkpoints)
    if "slow" in asked:
        callbacks.append(Marks(asked["folder"], asked["slow"]))
    experiment = Experiment("models.tabular", MODEL, fit, FEATURES, Head("binary", 2))
    model, history = experiment.train(split(NUM_TRAIN, 4), split(NUM_EVAL, 5).dataset(32), strategy, callbacks)
    if cluster.is_chief():
        np.savez(os.path.join(asked["folder"], "weights.npz"), *model.get_weights())
    return {
        "reason": reason,
        "replicas": strategy.num_replicas_in_sync,
        "history": {name: [float(x) for x in values] for name, values in history.history.items()},
        "resumed": resumed,
        "strategy_of_result": type(model.distribute_strategy).__name__,
    }


def child(order: dict[str, Any]) -> NoReturn:
    """Train in this process, which is a fork; leave "result" and "errors" in the folder."""
    folder = order["asked"]["folder"]
    os.makedirs(folder, exist_ok=True)
    errors = os.open(os.path.join(folder, "errors"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.environ.pop("TF_CONFIG", None)
    os.environ |= {"TF_CONFIG": order["tf_config"]} if order["tf_config"] else {}
    status = 1
    try:
        Path(folder, RESULT_FILE).write_text(json.dumps(train(order["asked"])))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)  # TensorFlow would wait for workers that are gone


def main() -> None:
    """Fork a training for every line of input: {"asked", "tf_config"}; print its "<pid>", and "<pid> <status>" at its end."""
    running: set[int] = set()
    lines = b""
    while True:
        if select.select([0], [], [], 0.05)[0]:
            read = os.read(0, 65536)
            if not read:
                break
            *whole, lines = (lines + read).split(b"\n")
            for line in whole:
                pid = os.fork() or child(json.loads(line))
                running.add(pid)
                print(pid, flush=True)
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.remove(pid)
                print(pid, os.waitstatus_to_exitcode(status), flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
