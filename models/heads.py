"""What a model ends in, by the kind of label: units, activation, loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tf_keras as keras

Kind = Literal["binary", "multiclass", "regression"]

LOGITS = "logits"  # name of the layer before the activation: distillation compares there


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
        from models import losses  # its classes derive from Keras's, and a head is named where Keras is not needed

        if self.kind == "binary":
            return keras.losses.BinaryCrossentropy()
        if self.kind == "multiclass":
            return losses.KnownClassCrossentropy()
        return losses.ScaledSquaredError(self.scale)

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
