"""Quantization-aware training (Jacob et al. 2018): the model trains with the rounding it will be deployed with.

After pruning and clustering, zeros and clusters are kept (PQAT, CQAT, PCQAT).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pydantic
import tensorflow as tf
import tf_keras as keras

from models.compression.folding import fuse_relu
from models.compression.layers import check_rebuildable, copy_model
from models.compression.retraining import Retraining, Trainer

# Nothing is lost when these stay as they are: they do no arithmetic on weights.
_WITHOUT_ARITHMETIC = frozenset({"InputLayer", "Rescaling"})
# What goes in comes out, in float too.
_PASS_ON = frozenset({"Dropout", "Flatten", "MaxPooling2D", "Reshape", "ZeroPadding2D"})


class QuantizeAware(Retraining):
    """Trains with simulated int8 weights and activations; ends in an int8 model with float inputs and outputs."""

    kind: Literal["quantize_aware"] = "quantize_aware"
    epochs: int = pydantic.Field(5, ge=1)
    require: tuple[str, ...] = pydantic.Field((), description="Layer names that must not be left in float.")


@dataclass(frozen=True)
class QuantizedModel:
    """A model with simulated quantization, and the names of the layers that were left in float."""

    model: keras.Model
    left_in_float: tuple[str, ...]


def quantize_aware(
    model: keras.Model, step: QuantizeAware, trainer: Trainer, sparse: bool = False, clustered: bool = False
) -> QuantizedModel:
    """Train with simulated quantization.

    Args:
      model: functional or sequential; left as it is.
      step: how long, and what must be quantized.
      trainer: trains the model.
      sparse: keep zeros.
      clustered: keep clusters.

    Returns:
      The model, to be converted with the default optimizations, and which layers stayed in float.

    Raises:
      ValueError: a subclassed or nested model, nothing to quantize, or a required layer that TFMOT cannot quantize.
    """
    # Imported here: TFMOT takes seconds, and whoever reads a config has no use for it.
    from tensorflow_model_optimization.quantization import keras as quantization

    from models.compression import quantization_schemes as schemes

    check_rebuildable(model, "quantize_aware")
    model = fuse_relu(model)
    left = _left_in_float(model)
    _check_required(model, step, left)
    if not any(type(layer).__name__ in schemes.QUANTIZED_TYPES and layer.weights for layer in model.layers):
        raise ValueError("quantize_aware: the model has no layer with weights that can be quantized; use `int8` instead.")
    annotated = copy_model(model, lambda layer: _annotate(_unregularized(layer) if clustered else layer))
    own = {config.__name__: config for config in schemes.OWN_CONFIGS.values()}
    with quantization.quantize_scope(own), schemes.clusters_of_whole_kernels():
        quantized = quantization.quantize_apply(annotated, schemes.scheme(sparse, clustered))
    trainer.retrain(quantized, step)
    return QuantizedModel(quantized, left)


def _check_required(model: keras.Model, step: QuantizeAware, left: tuple[str, ...]) -> None:
    names = [layer.name for layer in model.layers]
    if unknown := sorted(set(step.require) - set(names)):
        raise ValueError(f"quantize_aware: `require` names layers that the model has not: {unknown}. It has: {names}.")
    if missing := sorted(set(step.require) & set(left)):
        kinds = ", ".join(f"{name} ({type(model.get_layer(name)).__name__})" for name in missing)
        raise ValueError(f"quantize_aware: these layers cannot be quantized: {kinds}. Remove them from `require` or the model.")


def _left_in_float(model: keras.Model) -> tuple[str, ...]:
    """Return the names of layers that TFMOT cannot quantize, and of those whose input therefore stays in float."""
    from models.compression.quantization_schemes import OWN_CONFIGS, QUANTIZED_TYPES, takes_one_tensor

    left: list[str] = []
    floats: set[int] = set()  # tensors that nothing rounds
    for layer in model.layers:
        inputs = {id(x) for x in tf.nest.flatten(layer.input)}
        kind = type(layer).__name__
        if kind not in QUANTIZED_TYPES | OWN_CONFIGS.keys() | _WITHOUT_ARITHMETIC:
            left.append(layer.name)
            if not takes_one_tensor(layer):
                floats |= {id(x) for x in tf.nest.flatten(layer.output)}
        elif inputs & floats:
            if kind in _PASS_ON:
                floats.add(id(layer.output))
            elif layer.weights:
                left.append(layer.name)
    return tuple(left)


def _unregularized(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Remove a layer's penalties: their gradients would move the weights of a cluster apart after the last step."""
    for name in [name for name in vars(layer) if name.endswith("_regularizer")]:
        setattr(layer, name, None)
    return layer


def _annotate(layer: keras.layers.Layer) -> keras.layers.Layer:
    from tensorflow_model_optimization.quantization.keras import quantize_annotate_layer

    from models.compression.quantization_schemes import OWN_CONFIGS, QUANTIZED_TYPES

    if own := OWN_CONFIGS.get(type(layer).__name__):
        return quantize_annotate_layer(layer, own())
    return quantize_annotate_layer(layer) if type(layer).__name__ in QUANTIZED_TYPES else layer
