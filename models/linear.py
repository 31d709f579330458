"""The simple baseline every candidate must beat: logistic or linear regression on the same transformed features."""

from __future__ import annotations

from collections.abc import Sequence

import tf_keras as keras

from models.heads import Head
from models.inputs import keras_inputs, numbers
from models.training import FitConfig
from preprocessing.features import EncodedFeature


def build(features: Sequence[EncodedFeature], head: Head) -> keras.Model:
    """Build a linear model: one weight per number, one per id.

    Buckets and crosses are left out, unless there is nothing else: with them a linear model is no simple one.

    Returns:
      A model from {transformed name: (batch, width)} to (batch, head.units).
    """
    features = [feature for feature in features if not feature.derived] or features
    inputs = keras_inputs(features)
    terms = []
    for feature in features:
        if feature.num_ids:
            weights = keras.layers.Embedding(feature.num_ids, head.units, embeddings_initializer="zeros")(inputs[feature.name])
            terms.append(keras.layers.Flatten()(weights))
    if numeric := numbers(inputs, features):
        x = keras.layers.Concatenate()(numeric) if len(numeric) > 1 else numeric[0]
        terms.append(keras.layers.Dense(head.units, use_bias=False, kernel_initializer="zeros")(x))
    logits = keras.layers.Add()(terms) if len(terms) > 1 else terms[0]
    return keras.Model(inputs, head.activate(_Bias()(logits)), name="linear")


class _Bias(keras.layers.Layer):
    """Adds one learned number per unit."""

    def build(self, input_shape) -> None:
        self.bias = self.add_weight("bias", (int(input_shape[-1]),), initializer="zeros")

    def call(self, x):
        return x + self.bias


def fit_config(config: FitConfig) -> FitConfig:
    """Return how the baseline is trained beside a model trained with `config`: same seed and batches, a higher rate."""
    return FitConfig(
        seed=config.seed,
        batch_size=config.batch_size,
        epochs=20,
        optimizer="adam",
        learning_rate=1e-2,
        steps_per_execution=config.steps_per_execution,
        jit_compile=config.jit_compile,
        early_stopping_patience=3,
    )
