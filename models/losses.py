"""Losses that Keras does not have."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


class KnownClassCrossentropy(keras.losses.Loss):
    """Cross-entropy of class positions; an unknown class (-1), which the training split never showed, adds nothing.

    Keras's `ignore_class` gives NaN for a batch in which no class is known.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return float32 (batch,) from class positions (batch, 1) and probabilities (batch, classes)."""
        label = tf.reshape(y_true, [-1])
        losses = keras.losses.sparse_categorical_crossentropy(tf.maximum(label, 0), y_pred)
        return tf.where(label < 0, tf.zeros_like(losses), losses)


class ScaledSquaredError(keras.losses.Loss):
    """Squared error in units of the label's standard deviation, so that rates and penalties mean the same for any unit."""

    def __init__(self, scale: float):
        super().__init__()
        self._scale = scale

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return float32 (batch,) from (batch, 1) each, in the label's unit."""
        return tf.reduce_mean(tf.square((tf.cast(y_true, y_pred.dtype) - y_pred) / self._scale), axis=-1)
