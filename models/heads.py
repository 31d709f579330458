"""What a model ends in, by the kind of label: units, activation, loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf
import tf_keras as keras

Kind = Literal["binary", "multiclass", "regression"]

LOGITS = "logits"  # name of the layer before the activation: distillation compares there


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


@dataclass(frozen=True)
class Head:
    """The output of a model.

    Attributes:
      kind: the label's kind.
      num_classes: 2 for binary, the number of classes for multiclass, 0 for regression.
      offset: for regression, the label's mean in the training split: where predictions start.
      scale: for regression, its standard deviation, in the label's unit.
    """

    kind: Kind
    num_classes: int = 0
    offset: float = 0.0
    scale: float = 1.0

    @property
    def units(self) -> int:
        """Width of the output: (batch, units)."""
        return self.num_classes if self.kind == "multiclass" else 1

    @property
    def loss(self) -> keras.losses.Loss:
        """The loss that the model's output and an integer (or float, for regression) label go into."""
        if self.kind == "binary":
            return keras.losses.BinaryCrossentropy()
        if self.kind == "multiclass":
            return KnownClassCrossentropy()
        return ScaledSquaredError(self.scale)

    def output(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return probabilities (batch, units), or for regression the predicted number, from features (batch, width)."""
        # Float32 whatever the precision policy: probabilities lose meaning in half precision.
        return self.activate(keras.layers.Dense(self.units, dtype="float32", name=LOGITS)(x))

    def activate(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        """Return the same from logits (batch, units)."""
        if self.kind == "regression":
            return keras.layers.Rescaling(self.scale, self.offset, dtype="float32", name="output")(logits)
        activation = "sigmoid" if self.kind == "binary" else "softmax"
        return keras.layers.Activation(activation, dtype="float32", name="output")(logits)
