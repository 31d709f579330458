"""Measures a trial after every epoch, tells whoever runs the search, and stops when told so."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tf_keras as keras

from models.tuning.running import Verdict, costs_of

# Keras's names for what a course calls otherwise.
_NAMES = {"loss": "loss", "val_loss": "eval_loss"}


class Watching(keras.callbacks.Callback):
    """Comes after the callbacks that save: what it stops, others may go on with.

    Attributes:
      course: {"loss", "eval_loss" or metric: value by epoch}.
      epochs: that this training did.
      stopped: why it was stopped, None if it was not.
    """

    def __init__(self, measure: Callable[[keras.Model], dict[str, float]], verdict: Verdict, course: Mapping[str, list[float]]):
        """Go on with a course.

        Args:
          measure: from a model to {metric: value}.
          verdict: says why to stop, if so.
          course: of the epochs before.
        """
        super().__init__()
        self._measure, self._verdict = measure, verdict
        self.course = {name: list(values) for name, values in course.items()}
        self.epochs = 0
        self.stopped: str | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Ask before anything is trained.

        Raises:
          RefusedError: it is not to be.
        """
        self.stopped = self._verdict(0, costs_of(self.model))
        if self.stopped:
            raise RefusedError

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Measure, tell, and do as told."""
        self.epochs += 1
        metrics = self._measure(self.model)
        losses = {ours: float((logs or {})[theirs]) for theirs, ours in _NAMES.items()}
        for name, value in (losses | metrics).items():
            self.course.setdefault(name, []).append(value)
        self.stopped = self._verdict(epoch + 1, metrics | costs_of(self.model))
        if self.stopped:
            self.model.stop_training = True


class RefusedError(Exception):
    """A model that does not keep to a limit is not trained."""
