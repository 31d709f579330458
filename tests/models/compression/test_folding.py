"""Layers made one: the same outputs, fewer layers."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from models.compression.clustering import Cluster, cluster
from models.compression.folding import fold_batch_normalization, fuse_relu

layers = keras.layers
IMAGES = np.random.default_rng(1).normal(size=(20, 8, 8, 1)).astype(np.float32)


def network(*after_convolution: keras.layers.Layer) -> keras.Model:
    """A convolution, some layers, and a Dense one; normalizations have statistics that are not trivial."""
    keras.utils.set_random_seed(1)
    inputs = {"image": keras.Input((8, 8, 1), name="image")}
    x = layers.Conv2D(12, 3, use_bias=False, name="conv")(inputs["image"])
    for layer in after_convolution:
        x = layer(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(x)), name="network")
    random = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2.0, size=w.shape) for w in layer.get_weights()])
    return model


def names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}])
def test_folded_model_gives_the_same_outputs_without_the_normalization(arguments: dict) -> None:
    model = network(layers.BatchNormalization(name="norm", **arguments), layers.ReLU(name="relu"))
    folded = fold_batch_normalization(model)
    assert "norm" not in names(folded)
    assert folded.get_layer("conv").use_bias
    np.testing.assert_allclose(folded(IMAGES), model(IMAGES), atol=1e-4)
    assert list(folded.input) == ["image"]


def test_normalization_after_an_activation_stays() -> None:
    model = network(layers.ReLU(name="relu"), layers.BatchNormalization(name="norm"))
    assert fold_batch_normalization(model) is model


def test_layer_that_two_others_read_is_not_folded() -> None:
    inputs = keras.Input((4,))
    dense = layers.Dense(4, name="dense")(inputs)
    outputs = layers.Add()([dense, layers.BatchNormalization(name="norm")(dense)])
    model = keras.Model(inputs, outputs)
    assert fold_batch_normalization(model) is model


@pytest.mark.parametrize(
    "rectifier", [layers.ReLU(name="relu"), layers.Activation("relu", name="relu")], ids=["ReLU", "Activation"]
)
def test_rectifier_becomes_the_layers_own_activation(rectifier: keras.layers.Layer) -> None:
    model = network(rectifier)
    fused = fuse_relu(model)
    assert "relu" not in names(fused)
    assert fused.get_layer("conv").activation is keras.activations.relu
    np.testing.assert_allclose(fused(IMAGES), model(IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    "other", [layers.ReLU(max_value=6, name="relu"), layers.Activation("tanh", name="relu")], ids=["6", "tanh"]
)
def test_other_activations_stay(other: keras.layers.Layer) -> None:
    model = network(other)
    assert fuse_relu(model) is model


def test_clusters_survive_a_normalization() -> None:
    """Folded by the converter, it would scale every channel by a factor of its own."""

    class Untrained:
        def retrain(self, *_) -> None:
            pass

    model = network(layers.BatchNormalization(name="norm"), layers.ReLU(name="relu"))
    step = Cluster.model_validate({"num_clusters": 4, "layers": {"types": ["Conv2D"], "min_weights": 16}})
    clustered = cluster(model, step, Untrained(), preserve_sparsity=False)
    assert "norm" not in names(clustered)
    assert len(np.unique(clustered.get_layer("conv").get_weights()[0])) == 4
