"""Training inside a technique: the config's own `fit`, for a fixed number of epochs, with the rate falling to zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pydantic
import tensorflow as tf
import tf_keras as keras

from models import training
from models.heads import Head

DatasetMap: TypeAlias = "Callable[[tf.data.Dataset], tf.data.Dataset]"


class Retraining(pydantic.BaseModel):
    """How long and how fast a technique trains."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    epochs: int = pydantic.Field(10, ge=1, description="All of them are run; the rate falls to 0 along a cosine.")
    learning_rate: float | None = pydantic.Field(None, gt=0, description="Start; default: half of `fit.learning_rate`.")


@dataclass(frozen=True)
class Trainer:
    """What a technique needs to train a model.

    Attributes:
      train: shuffled batches of (features, label).
      evaluation: batches of (features, label).
      head: what the model ends in.
      fit: how the trained model was trained; batch size, optimizer and seed are kept.
      callbacks: for progress and summaries.
    """

    train: tf.data.Dataset
    evaluation: tf.data.Dataset
    head: Head
    fit: training.FitConfig
    callbacks: Sequence[keras.callbacks.Callback] = ()

    def retrain(
        self,
        model: keras.Model,
        retraining: Retraining,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        loss: keras.losses.Loss | None = None,
        mapped: DatasetMap = lambda dataset: dataset,
    ) -> None:
        """Train a model in place.

        Args:
          model: from the features to what the loss takes.
          retraining: for how long.
          callbacks: the technique's own.
          loss: default: the head's.
          mapped: changes the batches of (features, label), as distillation does to add what the teacher says.
        """
        training.fit(
            model,
            loss or self.head.loss,
            mapped(self.train),
            mapped(self.evaluation),
            self._config(retraining),
            [*callbacks, *self.callbacks],
        )

    def num_steps(self, retraining: Retraining) -> int:
        """Return how many batches a retraining takes."""
        return retraining.epochs * self.num_batches()

    def num_batches(self) -> int:
        """Return how many batches an epoch has."""
        batches = int(self.train.cardinality())
        # Records are counted by reading them.
        return batches if batches >= 0 else sum(1 for _ in self.train)

    def _config(self, retraining: Retraining) -> training.FitConfig:
        changes = {
            "epochs": retraining.epochs,
            "learning_rate": retraining.learning_rate or self.fit.learning_rate / 2,
            "learning_rate_schedule": "cosine",
            # Best by eval loss would be the weights of before a schedule has ended.
            "early_stopping_patience": None,
            # Edge models are small, and what is compressed is in float32 whatever it was trained in.
            "precision": "float32",
            "warmup_epochs": None,
            "checkpoint_steps": None,
        }
        return self.fit.model_copy(update=changes)
