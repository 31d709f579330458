"""A small convolutional network on scikit-learn's 1,797 handwritten digits, in the shape of a task's model module.

Used by benchmarks/compression.py: image models go through the same compression as tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pydantic
import tf_keras as keras
from sklearn import datasets

from models.heads import Head
from preprocessing.features import EncodedFeature

INPUT = "image"


class Config(pydantic.BaseModel):
    """Widths of the network."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    filters: tuple[int, int] = (32, 64)
    hidden: int | None = 128
    pool_early: bool = False
    dropout: float = 0.3


def build(config: Config, features: Sequence[EncodedFeature], head: Head) -> keras.Model:
    """Return a model from {"image": (batch, 64)}, rows of 8 x 8 pixels, to (batch, 10)."""
    layers = keras.layers
    inputs = {INPUT: keras.Input((64,), name=INPUT)}
    x = layers.Reshape((8, 8, 1), name="pixels")(inputs[INPUT])
    for position, filters in enumerate(config.filters):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{position}")(x)
        x = layers.BatchNormalization(name=f"norm_{position}")(x)
        x = layers.ReLU(name=f"relu_{position}")(x)
        if config.pool_early or position == len(config.filters) - 1:
            x = layers.MaxPooling2D(name=f"pool_{position}")(x)
    x = layers.Flatten(name="flat")(x)
    if config.hidden:
        x = layers.Dense(config.hidden, "relu", name="hidden")(x)
        x = layers.Dropout(config.dropout, name="dropout")(x)
    return keras.Model(inputs, head.output(x), name="digits")


def students(config: Config) -> list[Config]:
    """Return smaller networks to distill into, smallest first."""
    return [
        Config(filters=filters, hidden=None, pool_early=True, dropout=0.0) for filters in ((6, 12), (8, 16), (10, 20), (12, 24))
    ]


def arrays(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return 1,197 images to train on and 600 to judge by: ({"image": (n, 64) in [0, 1]}, labels (n,)) twice."""
    digits = datasets.load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images, labels = (digits.data / 16.0).astype(np.float32)[order], digits.target.astype(np.int64)[order]
    return {INPUT: images[:1197]}, labels[:1197], {INPUT: images[1197:]}, labels[1197:]
