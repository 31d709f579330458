"""fit(): compile, callbacks and seeds in one place, for every model that is trained here."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Literal

import pydantic
import tensorflow as tf
import tf_keras as keras

from models import steps
from models.autograph import leave_alone
from models.tuning.space import Float, Parameter

_MOST_STEPS = 32  # per call of the training step: what a call costs is no longer seen beside so many


class FitConfig(pydantic.BaseModel):
    """How a model is trained."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    seed: int = pydantic.Field(1, ge=0, description="Same data, config and seed give the same metrics.")
    epochs: int = pydantic.Field(30, ge=1, description="Upper bound; early stopping usually ends sooner.")
    batch_size: int = pydantic.Field(256, ge=1, description="Global batch, over all replicas.")
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = pydantic.Field(2e-3, gt=0)
    weight_decay: float = pydantic.Field(1e-4, ge=0, description="For adamw.")
    early_stopping_patience: int | None = pydantic.Field(
        4,
        ge=1,
        description="Epochs without a better eval loss before stopping; null: all epochs, and the last weights are kept.",
    )
    learning_rate_schedule: Literal["plateau", "cosine"] = pydantic.Field(
        "plateau", description="plateau: drops when the eval loss does; cosine: falls to 0 over all epochs."
    )
    steps_per_execution: pydantic.PositiveInt | Literal["auto"] = pydantic.Field(
        "auto",
        description="Batches per call of the training step. auto: up to 32, but 1 where a callback looks at every batch or "
        "nobody knows how many batches there are.",
    )
    jit_compile: bool = pydantic.Field(False, description="Compile the training step with XLA; pays on accelerators.")
    reduce_lr_patience: int = pydantic.Field(1, ge=1, description="plateau: epochs without a better eval loss before a drop.")
    reduce_lr_factor: float = pydantic.Field(0.3, gt=0, lt=1, description="plateau: what the rate is multiplied by.")


def search_space(config: FitConfig) -> dict[str, Parameter]:
    """Return what a search changes unless the config says otherwise: {key: parameter}."""
    return {"learning_rate": Float(min=config.learning_rate / 10, max=config.learning_rate * 10, scale="log")}


def make_deterministic(seed: int) -> None:
    """Fix the seeds of Python, NumPy and TensorFlow, and choose deterministic kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    model: keras.Model,
    loss: keras.losses.Loss,
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    config: FitConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    last_epoch: int | None = None,
) -> keras.callbacks.History:
    """Train until the eval loss stops falling and leave the best weights in the model, or the last without early stopping.

    Args:
      model: from features to what the loss takes; its own distribution strategy is used.
      loss: of the label and the model's output.
      train: batches of (features, label), shuffled.
      evaluation: batches of (features, label).
      config: how.
      callbacks: beside the config's own: TensorBoard, Checkpoints, or what a technique needs.
      last_epoch: stop after so many epochs of `config.epochs`, which the schedules still count on.

    Returns:
      The losses by epoch.

    Raises:
      ValueError: the loss is not a number, with what to try.
    """
    leave_alone()
    steps_per_execution = _steps_per_execution(config, (train, evaluation), callbacks)
    if steps_per_execution > 1:
        train, evaluation = _counted(train), _counted(evaluation)
    with model.distribute_strategy.scope():
        model.compile(
            optimizer=_optimizer(config), loss=loss, steps_per_execution=steps_per_execution, jit_compile=config.jit_compile
        )
    steps.prepare(model)
    history = _train(model, train, evaluation, config, callbacks, min(last_epoch or config.epochs, config.epochs))
    model._steps_per_execution.assign(1)  # for whoever predicts with it: a batch is no iterator of several
    _check(history, config)
    return history


def _train(
    model: keras.Model,
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    config: FitConfig,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: int,
) -> keras.callbacks.History:
    """Run the epochs that no checkpoint says are done."""
    from models import randomness  # its classes derive from those of Keras, and a config is read without them

    train, steps_per_epoch = _endless(train)
    evaluation, validation_steps = _endless(evaluation)
    own = _callbacks(config)
    done = _begin_after(callbacks, own, epochs)
    with randomness.by_step(model, config.seed):
        return model.fit(
            _after(train, steps_per_epoch, done),
            validation_data=evaluation,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[*own, *callbacks],
            verbose=2,
        )


def _check(history: keras.callbacks.History, config: FitConfig) -> None:
    losses = history.history
    if not all(map(_is_finite, losses["loss"])):
        raise ValueError(
            f"Training diverged: the loss became {losses['loss'][-1]} in epoch {len(losses['loss'])}. "
            f"Lower `fit.learning_rate` (now {config.learning_rate}) or look for extreme values in the numeric features."
        )
    if not any(map(_is_finite, losses["val_loss"])):
        raise ValueError(
            "The eval loss was never a number, so no epoch is the best. "
            "Look for missing or extreme labels and numeric features in the eval split."
        )


def _steps_per_execution(
    config: FitConfig, data: Sequence[tf.data.Dataset], callbacks: Sequence[keras.callbacks.Callback]
) -> int:
    if config.steps_per_execution != "auto":
        return config.steps_per_execution
    sizes = [int(dataset.cardinality()) for dataset in data]
    if min(sizes) < 1 or any(callback._implements_train_batch_hooks() for callback in callbacks):
        return 1
    return min(_MOST_STEPS, sizes[0])


def _endless(dataset: tf.data.Dataset) -> tuple[tf.data.Dataset, int | None]:
    """Return all epochs as one dataset, and the batches of one: Keras makes two iterators an epoch of one that ends."""
    num_batches = int(dataset.cardinality())
    return (dataset.repeat(), num_batches) if num_batches > 0 else (dataset, None)


def _begin_after(callbacks: Sequence[keras.callbacks.Callback], own: Sequence[keras.callbacks.Callback], epochs: int) -> int:
    """Return how many epochs need not be trained, as a checkpoint says: all, if early stopping had ended it."""
    from models.checkpoints import Checkpoints

    done = 0
    for checkpoints in (callback for callback in callbacks if isinstance(callback, Checkpoints)):
        checkpoints.beside(own)
        if checkpoints.restored:
            done = epochs if checkpoints.restored.stopped else checkpoints.restored.epochs
    return done


def _after(dataset: tf.data.Dataset, steps_per_epoch: int | None, epochs: int) -> tf.data.Dataset:
    """Return what a dataset gives after some epochs: their batches are made and dropped, for the order to be the same."""
    if steps_per_epoch:
        return dataset.skip(epochs * steps_per_epoch) if epochs else dataset
    for _ in range(epochs):
        for _ in dataset:
            pass
    return dataset


def _counted(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset that knows how many batches it has, as Keras asks for to run several at once."""
    if dataset.cardinality() >= 0:
        return dataset
    return dataset.apply(tf.data.experimental.assert_cardinality(sum(1 for _ in dataset)))


def _callbacks(config: FitConfig) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
    if config.learning_rate_schedule == "cosine":
        callbacks.append(
            keras.callbacks.LearningRateScheduler(
                lambda epoch: config.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
            )
        )
    else:
        drop = {"factor": config.reduce_lr_factor, "patience": config.reduce_lr_patience}
        callbacks.append(keras.callbacks.ReduceLROnPlateau("val_loss", **drop))
    if config.early_stopping_patience is not None:
        patience = config.early_stopping_patience
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True))
    return callbacks


def tensorboard(log_dir: str) -> keras.callbacks.Callback:
    """Return a callback that leaves summaries in `<log_dir>/tensorboard`."""
    return keras.callbacks.TensorBoard(os.path.join(log_dir, "tensorboard"), write_graph=False)


def _optimizer(config: FitConfig) -> keras.optimizers.Optimizer:
    from models import optimizers

    if config.optimizer == "adamw":
        return optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    return optimizers.Adam(config.learning_rate)


def _is_finite(loss: float) -> bool:
    return loss - loss == 0.0
