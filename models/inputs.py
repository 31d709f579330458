"""From transformed features to Keras inputs and one dense tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tf_keras as keras

from preprocessing.features import EncodedFeature


def keras_inputs(features: Sequence[EncodedFeature]) -> dict[str, keras.KerasTensor]:
    """Return {transformed name: Input (batch, width)}: int32 for ids, float32 for the rest.

    Raises:
      ValueError: there are no features.
    """
    if not features:
        raise ValueError("A model needs at least one feature. Declare some under `features:` in the config file.")
    return {f.name: keras.Input((f.width,), name=f.name, dtype="int32" if f.num_ids else "float32") for f in features}


def numbers(inputs: dict[str, keras.KerasTensor], features: Sequence[EncodedFeature]) -> list[keras.KerasTensor]:
    """Return the float inputs, (batch, width) each."""
    return [inputs[f.name] for f in features if not f.num_ids]


def embeddings(
    inputs: dict[str, keras.KerasTensor],
    features: Sequence[EncodedFeature],
    max_dim: int,
    regularizer: keras.regularizers.Regularizer | None = None,
) -> list[keras.KerasTensor]:
    """Return one embedding (batch, dim) per id input; dim grows as the square root of the number of ids up to max_dim."""
    return [_embedding(inputs[f.name], f, min(max_dim, math.isqrt(f.num_ids) + 1), regularizer) for f in features if f.num_ids]


def _embedding(
    ids: keras.KerasTensor, feature: EncodedFeature, dim: int, regularizer: keras.regularizers.Regularizer | None
) -> keras.KerasTensor:
    table = keras.layers.Embedding(feature.num_ids, dim, embeddings_regularizer=regularizer, name=f"{feature.name}_embedding")
    # Flatten, not Reshape: with an unknown batch Reshape costs three more operators per feature in a `.tflite`.
    return keras.layers.Flatten(name=f"{feature.name}_vector")(table(ids))
