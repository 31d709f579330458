"""The network of the tabular task: embeddings and a normalized numeric tower into a multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pydantic
import tf_keras as keras

from models.heads import Head
from models.inputs import embeddings, keras_inputs, numbers
from models.tuning.space import Choice, Float, Int, Parameter
from preprocessing.features import EncodedFeature


class Config(pydantic.BaseModel):
    """Size and regularization of the network."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    embedding_dim: int = pydantic.Field(8, ge=1, le=512, description="Largest embedding; small vocabularies get smaller ones.")
    numeric_units: int = pydantic.Field(64, ge=1, description="Width of the tower that reads the numbers.")
    hidden: tuple[pydantic.PositiveInt, ...] = pydantic.Field(
        (256, 128, 64), min_length=1, description="Widths after the join."
    )
    activation: Literal["relu", "gelu", "swish"] = "relu"
    dropout: float = pydantic.Field(0.1, ge=0.0, lt=1.0, description="After every hidden layer.")
    l2: float = pydantic.Field(0.0, ge=0.0, description="L2 penalty on embeddings and kernels.")


def build(config: Config, features: Sequence[EncodedFeature], head: Head) -> keras.Model:
    """Build the network.

    Args:
      config: sizes.
      features: the transformed features, in the order of the config.
      head: what the model ends in.

    Returns:
      A model from {transformed name: (batch, width)} to (batch, head.units).
    """
    regularizer = keras.regularizers.l2(config.l2) if config.l2 else None
    inputs = keras_inputs(features)
    towers = embeddings(inputs, features, config.embedding_dim, regularizer)
    if numeric := numbers(inputs, features):
        x = _join(numeric, "numbers")
        towers.append(keras.layers.Dense(config.numeric_units, config.activation, name="numeric_tower")(x))
    x = _join(towers, "joined")
    for position, units in enumerate(config.hidden):
        x = keras.layers.Dense(units, config.activation, kernel_regularizer=regularizer, name=f"hidden_{position}")(x)
        if config.dropout:
            x = keras.layers.Dropout(config.dropout, name=f"dropout_{position}")(x)
    return keras.Model(inputs, head.output(x), name="tabular")


def search_space(config: Config) -> dict[str, Parameter]:
    """Return what a search changes unless the config says otherwise: {key: parameter}."""
    layers = [[64, 32], [128, 64], [256, 128], [256, 128, 64], [512, 256, 128]]
    own = list(config.hidden)
    return {
        "embedding_dim": Int(min=2, max=32, scale="log"),
        "numeric_units": Int(min=16, max=128, step=2, scale="log"),
        "hidden": Choice(values=tuple(layers if own in layers else [own, *layers])),
        "dropout": Float(min=0.0, max=0.5, step=0.1),
        "l2": Float(min=1e-6, max=1e-2, scale="log"),
    }


def students(config: Config) -> list[Config]:
    """Return smaller networks to distill a trained one into, smallest first; none needs the regularization it needed."""
    sizes = [
        (2, 8, (8,)),
        (2, 8, (16,)),
        (4, 16, (32, 16)),
        (8, 32, (64, 32)),
    ]
    return [
        Config(embedding_dim=dim, numeric_units=units, hidden=hidden, activation=config.activation, dropout=0.0, l2=0.0)
        for dim, units, hidden in sizes
        if hidden[0] < config.hidden[0]
    ]


def _join(parts: list[keras.KerasTensor], name: str) -> keras.KerasTensor:
    return keras.layers.Concatenate(name=name)(parts) if len(parts) > 1 else parts[0]
