"""The state of a training as one file, local or remote, that is there as a whole or not at all."""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

FILE = "checkpoint.npz"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after a step.

    Attributes:
      epochs: that are done.
      steps: of the next epoch that are done too.
      stopped: early stopping has ended it.
      history: {loss: its value by epoch}.
      learning_rate: of the next epoch.
      callbacks: {class name: {attribute: value}}.
      arrays: of the weights, of the optimizer and, where there are, of the best weights, as "weights_0" and so on;
        of the loss of an epoch that is under way, as "loss_0" and so on.
    """

    epochs: int
    stopped: bool
    history: dict[str, list[float]]
    learning_rate: float
    callbacks: dict[str, dict[str, float]]
    arrays: dict[str, np.ndarray]
    steps: int = 0

    def of(self, kind: str) -> list[np.ndarray]:
        """Return the arrays of "weights", "optimizer", "best" or "loss"."""
        return [self.arrays[f"{kind}_{n}"] for n in range(sum(name.startswith(f"{kind}_") for name in self.arrays))]


def write(state: Checkpoint, path: str) -> None:
    """Write a checkpoint, in place of the one before."""
    tf.io.gfile.makedirs(os.path.dirname(path))
    facts = {name: value for name, value in vars(state).items() if name != "arrays"}
    content = io.BytesIO()
    np.savez(content, facts=np.array(json.dumps(facts)), **state.arrays)
    with tf.io.gfile.GFile(f"{path}.new", "wb") as file:
        file.write(content.getvalue())
    if "://" not in path:  # the rename must not come to the disk before the content does
        with open(f"{path}.new", "rb") as written:
            os.fsync(written.fileno())
    tf.io.gfile.rename(f"{path}.new", path, overwrite=True)


def newest(folder: str) -> Checkpoint | None:
    """Return the checkpoint that is furthest on, of those in the folders of a folder; None if there is none."""
    found = [read(path) for path in tf.io.gfile.glob(os.path.join(folder, "*", FILE))]
    return max((each for each in found if each), key=lambda each: (each.epochs, each.steps), default=None)


def read(path: str) -> Checkpoint | None:
    """Return a checkpoint, None if there is none or it is damaged."""
    if not tf.io.gfile.exists(path):
        return None
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            arrays: dict[str, Any] = dict(np.load(io.BytesIO(file.read())))
        return Checkpoint(**json.loads(str(arrays.pop("facts"))), arrays=arrays)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        logging.warning("%s is damaged (%s): training begins anew.", path, error)
        return None
