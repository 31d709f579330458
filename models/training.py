"""fit(): compile, callbacks and seeds in one place, for every model that is trained here."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras as keras

from models import dealing, precision, steps
from models.autograph import leave_alone
from models.fit_config import FitConfig
from models.scaling import Scale, scaled

Batches: TypeAlias = Any  # a tf.data.Dataset or a dealing.Dealt, which has what is asked of one here
_MOST_STEPS = 32  # per call of the training step: what a call costs is no longer seen beside so many


def make_deterministic(seed: int, kernels: bool = True) -> None:
    """Fix the seeds of Python, NumPy and TensorFlow, and choose deterministic kernels unless told otherwise."""
    keras.utils.set_random_seed(seed)
    if kernels:
        tf.config.experimental.enable_op_determinism()


def fit(
    model: keras.Model,
    loss: keras.losses.Loss,
    train: Batches,
    evaluation: Batches,
    config: FitConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    last_epoch: int | None = None,
) -> keras.callbacks.History:
    """Train until the eval loss stops falling and leave the best weights in the model, or the last without early stopping.

    Args:
      model: from features to what the loss takes; its own distribution strategy is used.
      loss: of the label and the model's output.
      train: batches of (features, label), shuffled, of all replicas together, or what was dealt out to the replicas already.
      evaluation: batches of (features, label), likewise.
      config: how; the learning rate is scaled with the number of replicas as it says.
      callbacks: beside the config's own: TensorBoard, Checkpoints, or what a technique needs.
      last_epoch: stop after so many epochs of `config.epochs`, which the schedules still count on.

    Returns:
      The losses by epoch.

    Raises:
      ValueError: the loss is not a number, or XLA cannot compile for these devices, with what to try.
    """
    leave_alone()
    strategy = model.distribute_strategy
    _check_supported(config, strategy)
    scale = scaled(config, strategy.num_replicas_in_sync)
    config = config.model_copy(update={"learning_rate": scale.learning_rate})
    steps_per_execution = _steps_per_execution(config, (train, evaluation), callbacks)
    if steps_per_execution > 1 or scale.replicas > 1 or scale.warmup_epochs:
        train, evaluation = _counted(train), _counted(evaluation)
    if scale.replicas > 1:
        train, evaluation = _dealt(train, strategy, weighted=True), _dealt(evaluation, strategy, weighted=False)
    with strategy.scope():
        optimizer = _optimizer(config, scale, int(train.cardinality()))
        model.compile(optimizer, loss, steps_per_execution=steps_per_execution, jit_compile=config.jit_compile)
    steps.prepare(model)
    history = _train(model, train, evaluation, config, callbacks, min(last_epoch or config.epochs, config.epochs))
    model._steps_per_execution.assign(1)  # for whoever predicts with it: a batch is no iterator of several
    _check(history, config)
    return history


def _train(
    model: keras.Model,
    train: Batches,
    evaluation: Batches,
    config: FitConfig,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: int,
) -> keras.callbacks.History:
    """Run the epochs, and in the first of them the steps, that no checkpoint says are done."""
    from models import randomness  # its classes derive from those of Keras, and a config is read without them

    train, steps_per_epoch = _endless(train)
    evaluation, validation_steps = _endless(evaluation)
    own = _callbacks(config)
    done, done_steps = _begin_after(callbacks, own, epochs)
    with randomness.by_step(model, config.seed), steps.beginning_at(model, done_steps):
        return model.fit(
            _for_keras(_after(train, steps_per_epoch, done, done_steps)),
            validation_data=_for_keras(evaluation),
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[*own, *callbacks],
            verbose=2,
        )


def _check_supported(config: FitConfig, strategy: tf.distribute.Strategy) -> None:
    # On a CPU XLA knows no way to add up the gradients of replicas.
    mirrored = isinstance(strategy, (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy))
    if config.jit_compile and mirrored and "GPU" not in strategy.extended.worker_devices[0]:
        raise ValueError(
            f"`fit.jit_compile` with {strategy.num_replicas_in_sync} replicas needs GPUs or a TPU, found devices of the CPU. "
            "Set `fit.jit_compile: false`, or train on one device."
        )
    if config.precision == "mixed_float16" and isinstance(strategy, tf.distribute.TPUStrategy):
        raise ValueError("`fit.precision: mixed_float16` is for GPUs, found a TPU. Use `mixed_bfloat16`.")


def _dealt(batches: Batches, strategy: tf.distribute.Strategy, weighted: bool) -> Batches:
    return dealing.deal(batches, strategy, weighted) if isinstance(batches, tf.data.Dataset) else batches


def _for_keras(batches: Batches) -> Any:
    return batches.distributed() if isinstance(batches, dealing.Dealt) else batches


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


def _steps_per_execution(config: FitConfig, data: Sequence[Batches], callbacks: Sequence[keras.callbacks.Callback]) -> int:
    if config.steps_per_execution != "auto":
        return config.steps_per_execution
    sizes = [int(dataset.cardinality()) for dataset in data]
    if min(sizes) < 1 or any(_looks_at_every_batch(callback) for callback in callbacks):
        return 1
    return min(_MOST_STEPS, sizes[0], config.checkpoint_steps or _MOST_STEPS)


def _looks_at_every_batch(callback: keras.callbacks.Callback) -> bool:
    from models.checkpoints import Checkpoints

    return callback._implements_train_batch_hooks() and not isinstance(callback, Checkpoints)


def _endless(dataset: Batches) -> tuple[Batches, int | None]:
    """Return all epochs as one dataset, and the batches of one: Keras makes two iterators an epoch of one that ends."""
    num_batches = int(dataset.cardinality())
    return (dataset.repeat(), num_batches) if num_batches > 0 else (dataset, None)


def _begin_after(
    callbacks: Sequence[keras.callbacks.Callback], own: Sequence[keras.callbacks.Callback], epochs: int
) -> tuple[int, int]:
    """Return how many epochs, and steps of the next, need not be trained, as a checkpoint says: all, if early stopping did."""
    from models.checkpoints import Checkpoints

    done = 0, 0
    for checkpoints in (callback for callback in callbacks if isinstance(callback, Checkpoints)):
        checkpoints.beside(own)
        if saved := checkpoints.restored:
            done = (epochs, 0) if saved.stopped else (saved.epochs, saved.steps)
    return done


def _after(dataset: Batches, steps_per_epoch: int | None, epochs: int, num_steps: int = 0) -> Batches:
    """Return what a dataset gives after some epochs and steps: they are made and dropped, for the order to be the same."""
    if steps_per_epoch:
        done = epochs * steps_per_epoch + num_steps
        return dataset.skip(done) if done else dataset
    for _ in range(epochs):
        for _ in dataset:
            pass
    return dataset


def _counted(dataset: Batches) -> Batches:
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


def _optimizer(config: FitConfig, scale: Scale, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    from models import optimizers

    if config.optimizer == "adamw":
        optimizer = optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    else:
        optimizer = optimizers.Adam(config.learning_rate)
    if scale.warmup_epochs:
        optimizer.warm_up(round(scale.warmup_epochs * steps_per_epoch), scale.first_learning_rate / scale.learning_rate)
    return precision.with_loss_scaling(optimizer, config.precision)


def _is_finite(loss: float) -> bool:
    return loss - loss == 0.0
