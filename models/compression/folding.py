"""Two layers made one, exactly, as a converter does too: but before weights are clustered or quantization is simulated."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras as keras

_LINEAR = ("Conv1D", "Conv2D", "Dense")
Layer: TypeAlias = "keras.layers.Layer"


def fold_batch_normalization(model: keras.Model) -> keras.Model:
    """Return a model with the same outputs and without the normalizations that follow a linear layer directly.

    A converter scales every output channel by its own factor when it folds: of 16 clusters of a kernel, hundreds of values
    would be left.

    Args:
      model: functional or sequential, every layer called once; left as it is.

    Returns:
      A functional model; the same one when there is nothing to fold.
    """
    return _merged(model, _over_channels, _folded)


def fuse_relu(model: keras.Model) -> keras.Model:
    """Return a model with the same outputs whose linear layers have the rectifier that follows as their own activation.

    TFMOT leaves the weights of a layer before a separate rectifier in float.
    """
    return _merged(model, _is_relu, lambda layer, _: ({"activation": "relu"}, layer.get_weights()))


def _over_channels(layer: Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and list(layer.axis) == [len(layer.input.shape) - 1]


def _is_relu(layer: Layer) -> bool:
    if isinstance(layer, keras.layers.Activation):
        return layer.activation is keras.activations.relu
    plain = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
    return isinstance(layer, keras.layers.ReLU) and plain.items() <= layer.get_config().items()


def _folded(layer: Layer, norm: keras.layers.BatchNormalization) -> tuple[dict[str, Any], list[np.ndarray]]:
    kernel, bias = layer.get_weights()[0], layer.get_weights()[1] if layer.use_bias else 0.0
    factor = 1.0 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    factor = factor * norm.gamma.numpy() if norm.scale else factor
    shift = norm.beta.numpy() if norm.center else 0.0
    return {"use_bias": True}, [kernel * factor, (bias - norm.moving_mean.numpy()) * factor + shift]


def _merged(
    model: keras.Model,
    absorbed: Callable[[Layer], bool],
    merge: Callable[[Layer, Layer], tuple[dict[str, Any], list[np.ndarray]]],
) -> keras.Model:
    """Rebuild a model with every linear layer and the absorbed layer that alone reads it as one.

    Args:
      model: as it is.
      absorbed: whether a layer can become part of the one before.
      merge: from the two layers to changes of the first one's config, and its weights.
    """
    pairs = _pairs(model, absorbed)
    if not pairs:
        return model
    tensors = {id(x): keras.Input(x.shape[1:], name=x.node.layer.name, dtype=x.dtype) for x in tf.nest.flatten(model.input)}
    inputs = tf.nest.map_structure(lambda x: tensors[id(x)], model.input)
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        parts = tf.nest.map_structure(lambda x: tensors[id(x)], layer.input)
        if layer.name in pairs.values():
            tensors[id(layer.output)] = parts
            continue
        changes, weights = (
            merge(layer, model.get_layer(pairs[layer.name])) if layer.name in pairs else ({}, layer.get_weights())
        )
        new = type(layer).from_config(layer.get_config() | changes)
        tensors[id(layer.output)] = new(parts)
        new.set_weights(weights)
    return keras.Model(inputs, tf.nest.map_structure(lambda x: tensors[id(x)], model.output), name=model.name)


def _pairs(model: keras.Model, absorbed: Callable[[Layer], bool]) -> dict[str, str]:
    """Return {linear layer: absorbable layer that alone reads it}."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    readers = collections.Counter(id(x) for layer in layers for x in tf.nest.flatten(layer.input))
    linear = {
        id(layer.output): layer.name
        for layer in layers
        if type(layer).__name__ in _LINEAR and layer.activation is keras.activations.linear
    }
    return {
        linear[id(layer.input)]: layer.name
        for layer in layers
        if absorbed(layer) and id(layer.input) in linear and readers[id(layer.input)] == 1
    }
