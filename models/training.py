"""fit(): compile, callbacks and seeds in one place, for every model that is trained here."""

from __future__ import annotations

import os
from typing import Literal

import pydantic
import tensorflow as tf
import tf_keras as keras

from models.autograph import leave_keras_alone
from models.heads import Head


class FitConfig(pydantic.BaseModel):
    """How a model is trained."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    seed: int = pydantic.Field(1, ge=0, description="Same data, config and seed give the same metrics.")
    epochs: int = pydantic.Field(30, ge=1, description="Upper bound; early stopping usually ends sooner.")
    batch_size: int = pydantic.Field(256, ge=1, description="Global batch, over all replicas.")
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = pydantic.Field(2e-3, gt=0)
    weight_decay: float = pydantic.Field(1e-4, ge=0, description="For adamw.")
    early_stopping_patience: int = pydantic.Field(4, ge=1, description="Epochs without a better eval loss before stopping.")
    reduce_lr_patience: int = pydantic.Field(1, ge=1, description="Epochs without a better eval loss before the rate drops.")
    reduce_lr_factor: float = pydantic.Field(0.3, gt=0, lt=1)


def make_deterministic(seed: int) -> None:
    """Fix the seeds of Python, NumPy and TensorFlow, and choose deterministic kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    model: keras.Model,
    head: Head,
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    config: FitConfig,
    log_dir: str | None = None,
) -> keras.callbacks.History:
    """Train until the eval loss stops falling and leave the best weights in the model.

    Args:
      model: from features to (batch, head.units); its own distribution strategy is used.
      head: gives the loss.
      train: batches of (features, label), shuffled.
      evaluation: batches of (features, label).
      config: how.
      log_dir: where TensorBoard logs go; None for none.

    Returns:
      The losses by epoch.

    Raises:
      ValueError: the loss is not a number, with what to try.
    """
    leave_keras_alone()
    with model.distribute_strategy.scope():
        model.compile(optimizer=_optimizer(config), loss=head.loss)
    callbacks: list[keras.callbacks.Callback] = [
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=config.reduce_lr_factor, patience=config.reduce_lr_patience),
        keras.callbacks.EarlyStopping("val_loss", patience=config.early_stopping_patience, restore_best_weights=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    if log_dir:
        callbacks.append(keras.callbacks.TensorBoard(os.path.join(log_dir, "tensorboard"), write_graph=False))
    history = model.fit(train, validation_data=evaluation, epochs=config.epochs, callbacks=callbacks, verbose=2)
    if not all(map(_is_finite, history.history["loss"])):
        raise ValueError(
            f"Training diverged: the loss became {history.history['loss'][-1]} in epoch {len(history.history['loss'])}. "
            f"Lower `fit.learning_rate` (now {config.learning_rate}) or look for extreme values in the numeric features."
        )
    if not any(map(_is_finite, history.history["val_loss"])):
        raise ValueError(
            "The eval loss was never a number, so no epoch is the best. "
            "Look for missing or extreme labels and numeric features in the eval split."
        )
    return history


def _optimizer(config: FitConfig) -> keras.optimizers.Optimizer:
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
    return keras.optimizers.Adam(config.learning_rate)


def _is_finite(loss: float) -> bool:
    return loss - loss == 0.0
