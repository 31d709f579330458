"""What a model ends in, by the kind of label: units, activation, loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf
import tf_keras as keras

Kind = Literal["binary", "multiclass", "regression"]


class KnownClassCrossentropy(keras.losses.Loss):
    """Cross-entropy of class positions; an unknown class (-1), which the training split never showed, adds nothing.

    Keras's `ignore_class` gives NaN for a batch in which no class is known.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return float32 (batch,) from class positions (batch, 1) and probabilities (batch, classes)."""
        label = tf.reshape(y_true, [-1])
        losses = keras.losses.sparse_categorical_crossentropy(tf.maximum(label, 0), y_pred)
        return tf.where(label < 0, tf.zeros_like(losses), losses)


@dataclass(frozen=True)
class Head:
    """The output of a model.

    Attributes:
      kind: the label's kind.
      num_classes: 2 for binary, the number of classes for multiclass, 0 for regression.
    """

    kind: Kind
    num_classes: int = 0

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
        return keras.losses.MeanSquaredError()

    def output(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return probabilities (batch, units), or for regression the predicted number, from features (batch, width)."""
        activation = {"binary": "sigmoid", "multiclass": "softmax", "regression": None}[self.kind]
        # Float32 whatever the precision policy: probabilities lose meaning in half precision.
        return keras.layers.Dense(self.units, activation=activation, dtype="float32", name="output")(x)
