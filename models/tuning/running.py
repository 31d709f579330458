"""What a worker does: trains one trial after another on data that it reads once, by the code of a full training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models import datasets, distribution, in_memory
from models.experiment import Experiment
from models.heads import Head, Kind
from models.metrics import evaluate
from models.training import FitConfig
from models.tuning.objective import BYTES_PER_PARAMETER, Judge
from models.tuning.space import Values, apply
from preprocessing.features import EncodedFeature

Batches = Iterable[tuple[dict[str, tf.Tensor], tf.Tensor]]
_BATCH_SIZE = 4096  # for metrics: nothing is learned from a batch, and each costs a call


@dataclass(frozen=True)
class Material:
    """What trials are trained on.

    Attributes:
      train: examples of the training split.
      evaluation: of the eval split.
      features: the model's inputs.
      head: what it ends in.
    """

    train: datasets.Examples
    evaluation: datasets.Examples
    features: tuple[EncodedFeature, ...]
    head: Head


class Source(Protocol):
    """Where the material comes from. Travels to the workers, which read it."""

    def load(self) -> Material:
        """Read it."""


@dataclass(frozen=True)
class Setting:
    """What all trials share.

    Attributes:
      model_module: with `Config` and `build`.
      model: the config's own values of the model.
      fit: how the config trains.
      judge: what trials are compared by.
      metrics: to measure, beside the judge's.
      keeps_checkpoints: trials may go on from one another.
    """

    model_module: str
    model: Values
    fit: FitConfig
    judge: Judge
    metrics: tuple[str, ...] = ()
    keeps_checkpoints: bool = False

    def experiment(self, values: Values, material: Material) -> Experiment:
        """Return the training with the values of a trial."""
        sections = apply(values, {"model": self.model, "fit": self.fit.model_dump()})
        fit = FitConfig.model_validate(sections["fit"])
        return Experiment(self.model_module, sections["model"], fit, material.features, material.head)


@dataclass(frozen=True)
class Request:
    """A trial to run.

    Attributes:
      id: of the trial.
      values: {place in the config: value}.
      last_epoch: to train to.
      folder: for its checkpoint.
      parent_folder: with the checkpoint to go on from, None to begin anew.
      parent_course: {name: value by epoch} up to there.
    """

    id: str
    values: Values
    last_epoch: int
    folder: str
    parent_folder: str | None = None
    parent_course: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of it.

    Attributes:
      metrics: {metric or cost: value} of the best weights; of costs alone where it does not keep to a limit.
      course: {"loss", "eval_loss" or metric: value by epoch} from the first epoch on.
      epochs: that were trained.
      seconds: that it took.
      stopped: why before its last epoch, by whoever asked for it; None otherwise.
    """

    metrics: dict[str, float]
    course: dict[str, list[float]]
    epochs: int
    seconds: float
    stopped: str | None


# Is told of {metric or cost: value} after an epoch, or before the first one, with costs alone; says why to stop, or None.
Verdict = Callable[[int, dict[str, float]], str | None]


class Runner:
    """Runs trials in this process."""

    def __init__(self, setting: Setting, source: Source):
        """Read the material."""
        self._setting, self._material = setting, source.load()
        batches: Batches = self._material.evaluation.dataset(_BATCH_SIZE)
        # What is in memory anyway is cut into batches once: an iterator for every epoch would take longer than the model.
        self._batches = list(batches) if isinstance(self._material.evaluation, in_memory.Split) else batches
        self._strategy, _ = distribution.choose("one_device")

    def run(self, request: Request, verdict: Verdict) -> Outcome:
        """Train a trial and measure it.

        Args:
          request: the trial.
          verdict: is asked before the first epoch, and after each, whether to go on.

        Raises:
          ValueError: its values are refused, or the loss is not a number.
        """
        from models.tuning.watching import RefusedError, Watching  # derives from Keras's classes, as checkpoints do

        began = time.monotonic()
        keras.backend.clear_session()
        experiment = self._setting.experiment(request.values, self._material)
        names = tuple(dict.fromkeys([*self._setting.judge.metrics, *self._setting.metrics]))
        measure = _Measure(self._batches, self._material.head.kind, names)
        watching = Watching(measure, verdict, request.parent_course)
        callbacks = [*self._checkpoints(request), watching]
        evaluation = self._material.evaluation.dataset(_BATCH_SIZE)
        try:
            model, _ = experiment.train(self._material.train, evaluation, self._strategy, callbacks, request.last_epoch)
            metrics = measure(model)
        except RefusedError:
            model, metrics = watching.model, {}
        seconds = time.monotonic() - began
        costs = costs_of(model) | {"seconds": seconds}
        return Outcome(metrics | costs, watching.course, watching.epochs, seconds, watching.stopped)

    def _checkpoints(self, request: Request) -> Sequence[keras.callbacks.Callback]:
        if not self._setting.keeps_checkpoints:
            return []
        from models.checkpoints import Checkpoints, Policy

        # From the parent's, whatever an attempt that was killed has left: it ends the same.
        if tf.io.gfile.exists(request.folder):
            tf.io.gfile.rmtree(request.folder)
        if request.parent_folder and tf.io.gfile.exists(request.parent_folder):
            tf.io.gfile.makedirs(request.folder)
            for name in tf.io.gfile.listdir(request.parent_folder):
                tf.io.gfile.copy(f"{request.parent_folder}/{name}", f"{request.folder}/{name}")
        return [Checkpoints(request.folder, Policy(keep_last=True))]


class _Measure:
    """Computes metrics over the eval split with the weights that a model has by then."""

    def __init__(self, batches: Batches, kind: Kind, names: Sequence[str]):
        self._batches, self._kind, self._names = batches, kind, names
        self._scores: Callable[[Any], tf.Tensor] | None = None

    def __call__(self, model: keras.Model) -> dict[str, float]:
        if self._scores is None:  # traced once for all epochs
            self._scores = tf.function(lambda features: model(features, training=False), autograph=False, reduce_retracing=True)
        batches = [(y.numpy(), self._scores(x).numpy()) for x, y in self._batches]
        labels, scores = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return evaluate(self._kind, self._names, labels, scores)


def take_devices(worker: int, threads: int) -> None:
    """Give this process, which has not run TensorFlow yet, a GPU of its own, or some threads where there is none."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        gpu = gpus[worker % len(gpus)]
        tf.config.set_visible_devices(gpu, "GPU")
        tf.config.experimental.set_memory_growth(gpu, True)  # where workers share it
    else:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def costs_of(model: keras.Model) -> dict[str, float]:
    """Return what is known of a model before it is trained."""
    parameters = int(model.count_params())
    return {"parameters": parameters, "size_bytes": parameters * BYTES_PER_PARAMETER}
