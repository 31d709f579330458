"""Which layers of a model a technique acts on, and whether it can act on the model at all."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection

import numpy as np
import pydantic
import tf_keras as keras

# TFMOT leaves the kernels of DepthwiseConv2D alone, whatever it is asked.
KERNEL_LAYERS = ("Dense", "Conv1D", "Conv2D", "SeparableConv1D", "SeparableConv2D")


class LayerChoice(pydantic.BaseModel):
    """Layers by type and by name; the defaults take every layer whose kernel is worth it."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    types: tuple[str, ...] = pydantic.Field(KERNEL_LAYERS, min_length=1, description="Keras class names.")
    names: tuple[str, ...] = pydantic.Field(("*",), min_length=1, description="Layer names; `*` and `?` match as in a shell.")
    except_names: tuple[str, ...] = pydantic.Field((), description="Layer names to leave out, with the same wildcards.")
    min_weights: int = pydantic.Field(512, ge=1, description="Smaller kernels are left alone: they cost more than they give.")


def check_rebuildable(model: keras.Model, technique: str) -> None:
    """Refuse what cannot be rebuilt layer by layer.

    Raises:
      ValueError: the model is subclassed, or holds another model, with the layer's name.
    """
    if not isinstance(model, keras.Sequential) and not getattr(model, "_is_graph_network", False):
        raise ValueError(
            f"{technique}: the model '{model.name}' is a subclassed {type(model).__name__}, whose layers cannot be wrapped. "
            "Build it with the functional API: keras.Model(inputs, outputs)."
        )
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            raise ValueError(
                f"{technique}: layer '{layer.name}' is a model inside the model, which cannot be wrapped. "
                "Call its layers directly."
            )


def choose_layers(model: keras.Model, choice: LayerChoice, technique: str, unsupported: Collection[str] = ()) -> list[str]:
    """Return the names of the chosen layers, in the model's order.

    Args:
      model: functional or sequential.
      choice: which.
      technique: for messages.
      unsupported: layer types this technique breaks on.

    Raises:
      ValueError: a type is unsupported, or nothing was chosen; with the layers there are.
    """
    check_rebuildable(model, technique)
    for name in choice.types:
        if name in unsupported:
            raise ValueError(f"{technique}: layers of type {name} are not supported. Remove it from `layers.types`.")
    chosen = [layer.name for layer in model.layers if _matches(layer, choice)]
    if not chosen:
        there = ", ".join(f"{x.name} ({type(x).__name__}, {largest_weight(x).size:,})" for x in model.layers if x.weights)
        raise ValueError(
            f"{technique}: no layer matches types {list(choice.types)}, names {list(choice.names)} with at least "
            f"{choice.min_weights} weights. The model has: {there or 'no layer with weights'}. Change `layers`."
        )
    return chosen


def _matches(layer: keras.layers.Layer, choice: LayerChoice) -> bool:
    named = any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in choice.names)
    left_out = any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in choice.except_names)
    return type(layer).__name__ in choice.types and named and not left_out and largest_weight(layer).size >= choice.min_weights


def largest_weight(layer: keras.layers.Layer) -> np.ndarray:
    """Return a layer's kernel or embedding table: its largest weight, empty when it has none.

    Of a separable convolution it is the pointwise kernel, which is the one that TFMOT prunes and clusters.
    """
    if (pointwise := getattr(layer, "pointwise_kernel", None)) is not None:
        return pointwise.numpy()
    return max(layer.get_weights(), key=np.size, default=np.empty(0))


def kernels(model: keras.Model) -> dict[str, np.ndarray]:
    """Return {layer: its largest weight}, with the names of the layers inside TFMOT's wrappers, which own their weights."""
    found = {getattr(layer, "layer", layer).name: largest_weight(layer) for layer in model.layers}
    return {name: kernel for name, kernel in found.items() if kernel.ndim > 1}


def copy_model(model: keras.Model, wrap: Callable[[keras.layers.Layer], keras.layers.Layer] | None = None) -> keras.Model:
    """Return a model with the same weights, its layers wrapped by `wrap` (which gets layers that have their weights)."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return keras.models.clone_model(copy, clone_function=wrap) if wrap else copy
