"""What a training that was interrupted goes on from: everything that its next epoch depends on."""

from __future__ import annotations

import io
import json
import logging
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

_FILE = "checkpoint.npz"
# Saving takes no more than this share of the time.
_SHARE = 0.05
# What the callbacks of `fit` remember from epoch to epoch, beside weights.
_REMEMBERED: Mapping[type, Sequence[str]] = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an epoch.

    Attributes:
      epochs: that are done.
      stopped: early stopping has ended it.
      history: {loss: its value by epoch}.
      learning_rate: of the next epoch.
      callbacks: {class name: {attribute: value}}.
      arrays: of the weights, of the optimizer and, where there are, of the best weights, as "weights_0" and so on.
    """

    epochs: int
    stopped: bool
    history: dict[str, list[float]]
    learning_rate: float
    callbacks: dict[str, dict[str, float]]
    arrays: dict[str, np.ndarray]

    def of(self, kind: str) -> list[np.ndarray]:
        """Return the arrays of "weights", "optimizer" or "best"."""
        return [self.arrays[f"{kind}_{n}"] for n in range(sum(name.startswith(f"{kind}_") for name in self.arrays))]


class Checkpoints(keras.callbacks.Callback):
    """Saves a training after its epochs, as often as is cheap, and restores what an interrupted one saved.

    To be given to `models.training.fit`, which begins where the checkpoint ends. The order of examples follows from seed and
    epoch, what random layers draw from seed and step (models/randomness.py), so that the result is that of a training which
    nobody interrupted.

    Attributes:
      restored: what the training goes on from, None if it begins.
    """

    def __init__(self, folder: str):
        """Use a folder, local or remote, that is this training's own; a checkpoint in it is restored."""
        super().__init__()
        self._path = os.path.join(folder, _FILE)
        self._neighbours: Sequence[keras.callbacks.Callback] = ()
        self._saved_at, self._cost = -np.inf, 0.0
        self.restored = self._read()

    @property
    def restored_epochs(self) -> int:
        """How many epochs the training does not have to do again."""
        return self.restored.epochs if self.restored else 0

    def beside(self, neighbours: Sequence[keras.callbacks.Callback]) -> None:
        """Save and restore what other callbacks remember. They have to come before this one."""
        self._neighbours = [neighbour for neighbour in neighbours if type(neighbour) in _REMEMBERED]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Restore."""
        saved = self.restored
        if saved is None:
            return
        self.model.set_weights(saved.of("weights"))
        for variable, value in zip(self.model.optimizer.variables, saved.of("optimizer"), strict=True):
            variable.assign(value)
        keras.backend.set_value(self.model.optimizer.learning_rate, saved.learning_rate)
        for neighbour in self._neighbours:
            vars(neighbour).update(saved.callbacks[type(neighbour).__name__])
            if isinstance(neighbour, keras.callbacks.EarlyStopping) and saved.of("best"):
                neighbour.best_weights = saved.of("best")
        self.model.history.history = {name: list(values) for name, values in saved.history.items()}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save, unless it would take too much of the time."""
        began = time.monotonic()
        if not self.model.stop_training and began - self._saved_at < self._cost / _SHARE:
            return
        self._write(self._state(epoch + 1, logs or {}))
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Have the history tell of all epochs."""
        self.model.history.epoch[:0] = range(self.restored_epochs)

    def _state(self, epochs: int, logs: Mapping[str, float]) -> Checkpoint:
        arrays = {"weights": self.model.get_weights(), "optimizer": [v.numpy() for v in self.model.optimizer.variables]}
        for neighbour in self._neighbours:
            if isinstance(neighbour, keras.callbacks.EarlyStopping) and neighbour.best_weights:
                arrays["best"] = neighbour.best_weights
        # Keras adds the epoch's own losses only after its callbacks.
        so_far = self.model.history.history
        return Checkpoint(
            epochs=epochs,
            stopped=bool(self.model.stop_training),
            history={name: [*map(float, so_far.get(name, [])), float(value)] for name, value in logs.items()},
            learning_rate=float(keras.backend.get_value(self.model.optimizer.learning_rate)),
            callbacks={
                type(neighbour).__name__: {name: float(getattr(neighbour, name)) for name in _REMEMBERED[type(neighbour)]}
                for neighbour in self._neighbours
            },
            arrays={f"{kind}_{n}": array for kind, values in arrays.items() for n, array in enumerate(values)},
        )

    def _write(self, state: Checkpoint) -> None:
        tf.io.gfile.makedirs(os.path.dirname(self._path))
        facts = {name: value for name, value in vars(state).items() if name != "arrays"}
        content = io.BytesIO()
        np.savez(content, facts=np.array(json.dumps(facts)), **state.arrays)
        with tf.io.gfile.GFile(f"{self._path}.new", "wb") as file:
            file.write(content.getvalue())
        if "://" not in self._path:  # the rename must not come to the disk before the content does
            with open(f"{self._path}.new", "rb") as written:
                os.fsync(written.fileno())
        tf.io.gfile.rename(f"{self._path}.new", self._path, overwrite=True)

    def _read(self) -> Checkpoint | None:
        if not tf.io.gfile.exists(self._path):
            return None
        try:
            with tf.io.gfile.GFile(self._path, "rb") as file:
                arrays: dict[str, Any] = dict(np.load(io.BytesIO(file.read())))
            return Checkpoint(**json.loads(str(arrays.pop("facts"))), arrays=arrays)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            logging.warning("%s is damaged (%s): training begins anew.", self._path, error)
            return None
