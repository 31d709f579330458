"""One training as a value: what the Trainer does in full and a trial of a search does in part is the same code."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models import datasets, dealing, distribution, precision, training
from models.heads import Head
from models.scaling import scaled
from preprocessing.features import EncodedFeature


@dataclass(frozen=True)
class Experiment:
    """What is trained and how. Travels to other processes by pickle.

    Attributes:
      model_module: importable module with `Config` and `build(config, features, head)`.
      model: values of that Config.
      fit: how it is trained.
      features: the model's inputs.
      head: what it ends in.
    """

    model_module: str
    model: dict[str, Any]
    fit: training.FitConfig
    features: tuple[EncodedFeature, ...]
    head: Head

    def train(
        self,
        examples: datasets.Examples,
        evaluation: tf.data.Dataset,
        strategy: tf.distribute.Strategy,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        last_epoch: int | None = None,
        begin: Callable[[keras.Model], None] | None = None,
    ) -> tuple[keras.Model, keras.callbacks.History]:
        """Build and fit the model. The result follows from the experiment, the data and the devices alone.

        Args:
          examples: of the training split.
          evaluation: batches of (features, label).
          strategy: of tf.distribute.
          callbacks: beside those that the config asks for.
          last_epoch: stop after so many epochs of `fit.epochs`; what they do is the same.
          begin: gives the model its first weights; default: those of its seed.

        Returns:
          The model, with its best weights, and the losses by epoch.

        Raises:
          ValueError: the loss is not a number, with what to try.
        """
        training.make_deterministic(self.fit.seed, self.fit.deterministic)
        with precision.policy(self.fit.precision), strategy.scope():
            model = self._build()
            if begin:
                begin(model)
        with distribution.losing_workers(strategy):
            batches = self._batches(examples, strategy)
            history = training.fit(model, self.head.loss, batches, evaluation, self.fit, callbacks, last_epoch)
        return self._plain(model), history

    def untrained(self) -> keras.Model:
        """Return a model of one device in float32 that takes the weights of any training of this experiment."""
        return self._build()

    def _build(self) -> keras.Model:
        task = importlib.import_module(self.model_module)
        return task.build(task.Config.model_validate(self.model), self.features, self.head)

    def _batches(self, examples: datasets.Examples, strategy: tf.distribute.Strategy) -> training.Batches:
        """Return the batches of an epoch, dealt out where there are several replicas."""
        size = scaled(self.fit, strategy.num_replicas_in_sync).global_batch_size
        if strategy.num_replicas_in_sync == 1:
            return examples.dataset(size, shuffle_seed=self.fit.seed)
        return dealing.Dealt(strategy, lambda share: examples.dataset(size, self.fit.seed, share))

    def _plain(self, model: keras.Model) -> keras.Model:
        """Return a model of one device in float32 with the same weights: what servers load and compression goes on with."""
        if model.distribute_strategy.num_replicas_in_sync == 1 and self.fit.precision == "float32":
            return model
        plain = self._build()
        plain.set_weights(model.get_weights())
        return plain
