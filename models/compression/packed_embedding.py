"""The layer that a packed model looks its ids up with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="pipeline")
class PackedEmbedding(keras.layers.Layer):
    """Looks up several features in one table: int32 (batch, n) to float32 (batch, n * dim)."""

    def __init__(self, offsets: Sequence[int], num_rows: int, dim: int, **arguments):
        super().__init__(**arguments)
        self.offsets, self.num_rows, self.dim = list(offsets), num_rows, dim

    def build(self, input_shape) -> None:
        self.embeddings = self.add_weight("embeddings", (self.num_rows, self.dim))
        super().build(input_shape)

    def call(self, ids):
        rows = tf.gather(self.embeddings, ids + tf.constant([self.offsets], tf.int32))
        return tf.reshape(rows, [-1, len(self.offsets) * self.dim])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"offsets": self.offsets, "num_rows": self.num_rows, "dim": self.dim}
