"""A training in a process of its own, as tests and benchmarks of strategies start it: `python training_process.py '<json>'`.

Prints, as its last line, a JSON object about what was trained. The chief, or the only process, leaves the weights in `folder`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tf_keras as keras

from models import cluster, distribution, in_memory, scaling, training
from models.checkpoints import Checkpoints, Policy
from models.experiment import Experiment
from models.heads import Head
from preprocessing.features import EncodedFeature

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
    """Leaves a file after each epoch, and takes its time for a call, for others to interrupt it."""

    def __init__(self, folder: str, seconds: float):
        super().__init__()
        self._folder, self._seconds = folder, seconds

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        time.sleep(self._seconds)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with open(os.path.join(self._folder, f"epoch-{epoch}-{os.getpid()}"), "w"):
            pass


def main(asked: dict[str, Any]) -> None:
    """Train as asked: {"kind", "devices", "fit", "folder"} and, for interrupts, "checkpoints" and "slow"."""
    kind, fit = asked["kind"], training.FitConfig.model_validate(asked["fit"])
    training.make_deterministic(fit.seed)
    strategy, reason = distribution.choose(kind, distribution.Devices(**asked.get("devices", {})))
    callbacks: list[keras.callbacks.Callback] = []
    resumed = None
    if "checkpoints" in asked:
        policy = Policy(steps=fit.checkpoint_steps, writes=cluster.is_chief())
        checkpoints = Checkpoints(asked["checkpoints"], policy)
        resumed = checkpoints.restored and [checkpoints.restored.epochs, checkpoints.restored.steps]
        callbacks.append(checkpoints)
    if "slow" in asked:
        callbacks.append(Marks(asked["folder"], asked["slow"]))
    experiment = Experiment("models.tabular", MODEL, fit, FEATURES, Head("binary", 2))
    evaluation = split(NUM_EVAL, 5).dataset(32)
    began = time.monotonic()
    model, history = experiment.train(split(asked.get("examples", NUM_TRAIN), 4), evaluation, strategy, callbacks)
    if cluster.is_chief():
        np.savez(os.path.join(asked["folder"], "weights.npz"), *model.get_weights())
    print(
        json.dumps(
            {
                "reason": reason,
                "replicas": strategy.num_replicas_in_sync,
                "history": {name: [float(x) for x in values] for name, values in history.history.items()},
                "resumed": resumed,
                "scale": scaling.scaled(fit, strategy.num_replicas_in_sync).report(),
                "seconds": time.monotonic() - began,
                "strategy_of_result": type(model.distribute_strategy).__name__,
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
