"""What a model ends in, by the kind of label: units, activation, loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tf_keras as keras

Kind = Literal["binary", "multiclass", "regression"]


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
            return keras.losses.SparseCategoricalCrossentropy()
        return keras.losses.MeanSquaredError()

    def output(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return probabilities (batch, units), or for regression the predicted number, from features (batch, width)."""
        activation = {"binary": "sigmoid", "multiclass": "softmax", "regression": None}[self.kind]
        # Float32 whatever the precision policy: probabilities lose meaning in half precision.
        return keras.layers.Dense(self.units, activation=activation, dtype="float32", name="output")(x)
