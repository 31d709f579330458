"""What a training that was interrupted goes on from: everything that its next step depends on."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models import precision
from models.checkpoint_files import FILE, Checkpoint, read, write

# Saving takes no more than this share of the time.
_SHARE = 0.05
# What the callbacks of `fit` remember from epoch to epoch, beside weights.
_REMEMBERED: Mapping[type, Sequence[str]] = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}


@dataclass(frozen=True)
class Policy:
    """When a checkpoint is written, beside the ends of epochs that are worth it.

    Attributes:
      minutes: at most so long between two, within an epoch too, if that is cheap; None: only at the ends of epochs.
      steps: at most so many steps between two, cheap or not.
      keep_last: the last epoch leaves one in any case, for a training that is to go on from there.
      writes: this process writes; the other workers of a cluster only read.
    """

    minutes: float | None = None
    steps: int | None = None
    keep_last: bool = False
    writes: bool = True


class Checkpoints(keras.callbacks.Callback):
    """Saves a training after its epochs, as often as is cheap, and restores what an interrupted one saved.

    To be given to `models.training.fit`, which begins where the checkpoint ends. The order of examples follows from seed and
    epoch, what random layers draw from seed and step (models/randomness.py), so that the result is that of a training which
    nobody interrupted. Within an epoch it saves between two calls of the training step, where the number of steps is known.

    Attributes:
      restored: what the training goes on from, None if it begins.
    """

    # Keras would otherwise wait for every step's losses to hand them over.
    _supports_tf_logs = True

    def __init__(self, folder: str, policy: Policy | None = None):
        """Use a folder, local or remote, that is this training's own; a checkpoint in it is restored.

        All workers of a cluster need to see the same folder.
        """
        super().__init__()
        self._path = os.path.join(folder, FILE)
        self._policy = policy or Policy()
        self._neighbours: Sequence[keras.callbacks.Callback] = ()
        self._saved_at, self._cost = -np.inf, 0.0
        self._epoch, self._saved_step = 0, 0
        self.restored = read(self._path)

    @property
    def restored_epochs(self) -> int:
        """How many epochs the training does not have to do again."""
        return self.restored.epochs if self.restored else 0

    def beside(self, neighbours: Sequence[keras.callbacks.Callback]) -> None:
        """Save and restore what other callbacks remember. They have to come before this one."""
        self._neighbours = [neighbour for neighbour in neighbours if type(neighbour) in _REMEMBERED]

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Restore.

        Raises:
          ValueError: the workers of a cluster did not find the same checkpoint.
        """
        self._began = time.monotonic()
        saved = self.restored
        _agree(self.model.distribute_strategy, saved, self._path)
        if saved is None:
            return
        self._saved_step = saved.epochs * (self.params["steps"] or 0) + saved.steps
        self.model.set_weights(saved.of("weights"))
        for variable, value in zip(_state_of(self.model.optimizer), saved.of("optimizer"), strict=True):
            variable.assign(value)
        keras.backend.set_value(self.model.optimizer.learning_rate, saved.learning_rate)
        for neighbour in self._neighbours:
            vars(neighbour).update(saved.callbacks[type(neighbour).__name__])
            if isinstance(neighbour, keras.callbacks.EarlyStopping) and saved.of("best"):
                neighbour.best_weights = saved.of("best")
        self.model.history.history = {name: list(values) for name, values in saved.history.items()}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Restore the losses of the steps that an interrupted epoch had done."""
        self._epoch = epoch
        saved = self.restored
        # Every worker counts the losses of its own steps; only the writer's were saved.
        if saved and saved.steps and epoch == saved.epochs and self._policy.writes:
            for variable, value in zip(_loss_of(self.model), saved.of("loss"), strict=True):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save within an epoch, if that is due."""
        num_steps = self.params["steps"]
        if not self._policy.writes or not num_steps or batch + 1 >= num_steps:  # the end of an epoch has its own
            return
        if self._is_due(self._epoch * num_steps + batch + 1):
            self._save(self._epoch, batch + 1, None)

    def _is_due(self, step: int) -> bool:
        if self._policy.steps and step - self._saved_step >= self._policy.steps:
            return True
        since = time.monotonic() - max(self._saved_at, self._began)
        return self._policy.minutes is not None and since >= max(60 * self._policy.minutes, self._cost / _SHARE)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Save, unless it would take too much of the time."""
        if not self._policy.writes:
            return
        ends = self.model.stop_training or (self._policy.keep_last and epoch + 1 == self.params["epochs"])
        steps_since = (epoch + 1) * (self.params["steps"] or 0) - self._saved_step
        due = self._policy.steps and steps_since >= self._policy.steps
        if not ends and not due and time.monotonic() - self._saved_at < self._cost / _SHARE:
            return
        self._save(epoch + 1, 0, logs or {})

    def _save(self, epochs: int, steps: int, logs: Mapping[str, float] | None) -> None:
        began = time.monotonic()
        self._write(self._state(epochs, steps, logs))
        self._saved_step = epochs * (self.params["steps"] or 0) + steps
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Have the history tell of all epochs."""
        self.model.history.epoch[:0] = range(self.restored_epochs)

    def _state(self, epochs: int, steps: int, logs: Mapping[str, float] | None) -> Checkpoint:
        """Return the state after an epoch with its losses, or within one without."""
        arrays = {"weights": self.model.get_weights(), "optimizer": [v.numpy() for v in _state_of(self.model.optimizer)]}
        if steps:
            arrays["loss"] = [v.numpy() for v in _loss_of(self.model)]
        for neighbour in self._neighbours:
            if isinstance(neighbour, keras.callbacks.EarlyStopping) and neighbour.best_weights:
                arrays["best"] = neighbour.best_weights
        # Keras adds the epoch's own losses only after its callbacks.
        so_far = self.model.history.history
        names = so_far if logs is None else logs
        return Checkpoint(
            epochs=epochs,
            steps=steps,
            stopped=bool(self.model.stop_training),
            history={
                name: [*map(float, so_far.get(name, [])), *([] if logs is None else [float(logs[name])])] for name in names
            },
            learning_rate=float(keras.backend.get_value(self.model.optimizer.learning_rate)),
            callbacks={
                type(neighbour).__name__: {name: float(getattr(neighbour, name)) for name in _REMEMBERED[type(neighbour)]}
                for neighbour in self._neighbours
            },
            arrays={f"{kind}_{n}": array for kind, values in arrays.items() for n, array in enumerate(values)},
        )

    def _write(self, state: Checkpoint) -> None:
        write(state, self._path)


def _state_of(optimizer: keras.optimizers.Optimizer) -> list[tf.Variable]:
    """Return all that an optimizer remembers, the scale of the loss in half precision included."""
    inner = precision.inner(optimizer)
    if inner is optimizer:
        return list(inner.variables)
    return [*inner.variables, optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]


def _loss_of(model: keras.Model) -> list[tf.Variable]:
    """Return the sums of an epoch's loss, on each device of this process by itself: adding them up needs all workers."""
    variables = model.compiled_loss._total_loss_mean.variables
    return [device for variable in variables for device in getattr(variable, "values", (variable,))]


def _agree(strategy: tf.distribute.Strategy, saved: Checkpoint | None, path: str) -> None:
    """Make sure that all workers begin at the same step.

    Raises:
      ValueError: they do not see the same folder.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    own = f"epoch {saved.epochs}, step {saved.steps}" if saved else "no checkpoint"
    number = float(zlib.crc32(f"{own} {saved and saved.history}".encode()))
    values = strategy.run(lambda: tf.constant(number, tf.float64))
    total = float(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))
    if total != number * strategy.num_replicas_in_sync:
        raise ValueError(
            f"The workers do not begin at the same step: this one found {own} in {path}, others something else. All workers "
            "need the same folder on storage that they share, such as gs://; remove what is in the folder of one machine only."
        )
