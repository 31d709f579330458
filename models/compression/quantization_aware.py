"""Quantization-aware training (Jacob et al. 2018): the model trains with the rounding it will be deployed with.

After pruning and clustering, zeros and clusters are kept (PQAT, CQAT, PCQAT).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from tensorflow_model_optimization import quantization
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
    cluster_preserve_quantize_registry as registry_module,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
    default_8bit_quantize_layout_transform,
    default_8bit_quantize_scheme,
    default_8bit_transforms,
)
from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import (
    model_transformer,
    transforms,
)

from models.compression.folding import fuse_relu
from models.compression.layers import check_rebuildable, copy_model
from models.compression.retraining import Retraining, Trainer

# What TFMOT quantizes as it is; the rest stays in float and is named.
QUANTIZED_TYPES = frozenset(
    {
        "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Conv2D", "Dense", "DepthwiseConv2D", "Dropout",
        "Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "MaxPooling2D", "ReLU", "Reshape", "Softmax",
        "ZeroPadding2D",
    }
)  # fmt: skip
# Nothing is lost when these stay as they are: they do no arithmetic on weights.
_WITHOUT_ARITHMETIC = frozenset({"InputLayer", "Rescaling"})


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


class EmbeddingWeights(quantization.keras.QuantizeConfig):
    """8-bit table, looked-up rows as they are: a gather keeps the scale of its table."""

    def __init__(self):
        self._quantizer = quantization.keras.quantizers.LastValueQuantizer(
            num_bits=8, per_axis=False, symmetric=True, narrow_range=False
        )

    def get_weights_and_quantizers(self, layer):
        return [(layer.embeddings, self._quantizer)]

    def set_quantize_weights(self, layer, quantize_weights):
        layer.embeddings = quantize_weights[0]

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return []

    def get_config(self):
        return {}


class Output(EmbeddingWeights):
    """8-bit output of a layer without weights of its own to quantize: concatenations, normalisations."""

    def __init__(self):
        self._quantizer = quantization.keras.quantizers.MovingAverageQuantizer(
            num_bits=8, per_axis=False, symmetric=False, narrow_range=False
        )

    def get_weights_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        pass

    def get_output_quantizers(self, layer):
        return [self._quantizer]


OWN_CONFIGS: dict[str, type[quantization.keras.QuantizeConfig]] = {
    "Embedding": EmbeddingWeights,
    "Concatenate": Output,
    "LayerNormalization": Output,
    "Multiply": Output,
    "PackedEmbedding": EmbeddingWeights,
}


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
    check_rebuildable(model, "quantize_aware")
    model = fuse_relu(model)
    left = tuple(layer.name for layer in model.layers if _stays_in_float(layer))
    if missing := sorted(set(step.require) & set(left)):
        kinds = ", ".join(f"{name} ({type(model.get_layer(name)).__name__})" for name in missing)
        raise ValueError(f"quantize_aware: these layers cannot be quantized: {kinds}. Remove them from `require` or the model.")
    if not any(type(layer).__name__ in QUANTIZED_TYPES and layer.weights for layer in model.layers):
        raise ValueError("quantize_aware: the model has no layer with weights that can be quantized; use `int8` instead.")
    annotated = copy_model(model, lambda layer: _annotate(_unregularized(layer) if clustered else layer))
    own = {config.__name__: config for config in OWN_CONFIGS.values()}
    with quantization.keras.quantize_scope(own), _clusters_of_whole_kernels():
        quantized = quantization.keras.quantize_apply(annotated, _scheme(sparse, clustered))
    trainer.retrain(quantized, step)
    return QuantizedModel(quantized, left)


def _stays_in_float(layer: keras.layers.Layer) -> bool:
    return type(layer).__name__ not in QUANTIZED_TYPES | OWN_CONFIGS.keys() | _WITHOUT_ARITHMETIC


def _unregularized(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Remove a layer's penalties: their gradients would move the weights of a cluster apart after the last step."""
    for name in [name for name in vars(layer) if name.endswith("_regularizer")]:
        setattr(layer, name, None)
    return layer


def _annotate(layer: keras.layers.Layer) -> keras.layers.Layer:
    if own := OWN_CONFIGS.get(type(layer).__name__):
        return quantization.keras.quantize_annotate_layer(layer, own())
    return quantization.keras.quantize_annotate_layer(layer) if type(layer).__name__ in QUANTIZED_TYPES else layer


def _scheme(sparse: bool, clustered: bool) -> default_8bit_quantize_scheme.Default8BitQuantizeScheme:
    if clustered:
        base: Any = tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=sparse)
    elif sparse:
        base = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    else:
        base = default_8bit_quantize_scheme.Default8BitQuantizeScheme()
    return _Scheme(base)


class _Scheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):
    """One of TFMOT's schemes with this module's layout and a quantizer per layer."""

    def __init__(self, base: default_8bit_quantize_scheme.Default8BitQuantizeScheme):
        super().__init__()
        self._base = base

    def get_layout_transformer(self):
        return _LayoutTransform()

    def get_quantize_registry(self):
        registry = self._base.get_quantize_registry()
        shared = registry.get_quantize_config

        def own(layer):
            # TFMOT shares one quantizer between layers, and a layer without zeros makes it forget sparsity for all of them.
            config = shared(layer)
            if not hasattr(config, "weight_quantizer"):
                return config
            config.weight_quantizer = copy.copy(config.weight_quantizer)
            if isinstance(config.weight_quantizer, registry_module.ClusterPreserveDefault8BitConvWeightsQuantizer):
                # One scale per channel would make as many values of a cluster as there are channels.
                config.weight_quantizer = registry_module.ClusterPreserveDefault8BitWeightsQuantizer(
                    config.weight_quantizer.preserve_sparsity
                )
            return config

        registry.get_quantize_config = own
        return registry


@contextlib.contextmanager
def _clusters_of_whole_kernels() -> Iterator[None]:
    """Have TFMOT keep the clusters of a convolution as one set: channel by channel they drift apart and zeros are lost."""

    def whole(layer, weight, data_format):
        centroids, index = registry_module.get_unique(weight)
        return centroids, tf.size(centroids), index, False

    original = registry_module.get_centroids
    registry_module.get_centroids = whole
    try:
        yield
    finally:
        registry_module.get_centroids = original


class _FloatInputQuantize(default_8bit_transforms.InputLayerQuantize):
    """TFMOT quantizes integer inputs too, which then are no ids any more."""

    def pattern(self):
        return transforms.LayerPattern("InputLayer", {"dtype": "float32"})


class _AddReLUQuantize(default_8bit_transforms.LayerReLUQuantize):
    """TFMOT's also takes layers with weights, which it then leaves in float."""

    def pattern(self):
        return transforms.LayerPattern("ReLU", inputs=[transforms.LayerPattern("Add")])


class _LayoutTransform(default_8bit_quantize_layout_transform.Default8BitQuantizeLayoutTransform):
    """TFMOT's transforms without those on concatenations, which have a config of their own here."""

    def apply(self, model, layer_quantize_map):
        steps = [
            _FloatInputQuantize(),
            default_8bit_transforms.Conv2DBatchNormReLUQuantize(),
            default_8bit_transforms.Conv2DBatchNormActivationQuantize(),
            default_8bit_transforms.Conv2DBatchNormQuantize(),
            default_8bit_transforms.DenseBatchNormReLUQuantize(),
            default_8bit_transforms.DenseBatchNormActivationQuantize(),
            default_8bit_transforms.DenseBatchNormQuantize(),
            _AddReLUQuantize(),
        ]
        return model_transformer.ModelTransformer(model, steps, set(layer_quantize_map), layer_quantize_map).transform()
