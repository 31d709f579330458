"""TFMOT's quantization schemes, mended: what it shares between layers, leaves in float or takes for what it is not."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator
from typing import Any

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

# What TFMOT quantizes as it is; the rest stays in float and is named.
QUANTIZED_TYPES = frozenset(
    {
        "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Conv2D", "Dense", "DepthwiseConv2D", "Dropout",
        "Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "MaxPooling2D", "ReLU", "Reshape", "Softmax",
        "ZeroPadding2D",
    }
)  # fmt: skip


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


def takes_one_tensor(layer: keras.layers.Layer) -> bool:
    """Tell whether TFMOT can wrap a layer, to round what comes out of it."""
    parameters = list(inspect.signature(type(layer).call).parameters.values())[1:]
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return len(needed) == 1 and not type(layer).__name__.endswith("OpLambda")


def scheme(sparse: bool, clustered: bool) -> default_8bit_quantize_scheme.Default8BitQuantizeScheme:
    """Return a scheme that keeps zeros (PQAT), clusters (CQAT) or both (PCQAT)."""
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
            if type(layer).__name__ not in QUANTIZED_TYPES - {"BatchNormalization"}:
                return Output()
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

        # Before a layer that is quantized, what comes out of one that is not is rounded; and batch normalization that is not
        # folded into the layer before it.
        registry.supports = takes_one_tensor
        registry.get_quantize_config = own
        return registry


@contextlib.contextmanager
def clusters_of_whole_kernels() -> Iterator[None]:
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
