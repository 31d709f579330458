"""Trained models of every label kind, and what pruning and clustering make of one of them, each made once."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from small_models import CONFIG, NUMBERS, Task, from_image

from models import tabular
from models.compression.clustering import Cluster, cluster
from models.compression.pruning import Prune, prune
from models.heads import Head


@pytest.fixture(scope="session")
def binary(trained) -> Task:
    """The model of `trained`: hidden_0 and hidden_1 are its large kernels."""
    return Task(trained.model, Head("binary", 2), trained.inputs, trained.labels, tuple(trained.model.get_weights()))


def _numbers() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    return {
        "size_xf": random.normal(size=(300, 3)).astype(np.float32),
        "kind_xf": random.integers(0, 6, size=(300, 1)).astype(np.int32),
    }


@pytest.fixture(scope="session")
def multiclass() -> Task:
    """Three classes: which of three numbers is the largest."""
    inputs, head = _numbers(), Head("multiclass", 3)
    keras.utils.set_random_seed(1)
    model = tabular.build(CONFIG, NUMBERS, head)
    return Task.train(model, head, inputs, inputs["size_xf"].argmax(axis=1)[:, np.newaxis], epochs=12)


@pytest.fixture(scope="session")
def regression() -> Task:
    """A number with an offset and a unit: 200 plus 30 for every unit of size."""
    inputs = _numbers()
    labels = (200 + 30 * inputs["size_xf"].sum(axis=1, keepdims=True)).astype(np.float32)
    head = Head("regression", offset=float(labels.mean()), scale=float(labels.std()))
    keras.utils.set_random_seed(1)
    return Task.train(tabular.build(CONFIG, NUMBERS, head), head, inputs, labels, epochs=12)


@pytest.fixture(scope="session")
def images() -> Task:
    """A convolution of 8 channels, a hidden layer and three classes: which of the first three channels is the brightest."""
    random = np.random.default_rng(7)
    x = random.normal(size=(200, 6, 6, 8)).astype(np.float32)
    x += random.normal(size=(200, 1, 1, 8)).astype(np.float32)
    labels = x[..., :3].mean(axis=(1, 2)).argmax(axis=1)[:, np.newaxis]

    def body(image: keras.KerasTensor) -> keras.KerasTensor:
        y = keras.layers.Conv2D(4, 5, activation="relu", name="convolution")(image)
        flat = keras.layers.Flatten(name="flat")(y)
        return keras.layers.Dense(64, activation="relu", kernel_regularizer="l2", name="hidden")(flat)

    head = Head("multiclass", 3)
    return Task.train(from_image(head, (6, 6, 8), body), head, {"image_xf": x}, labels, epochs=6)


@pytest.fixture(scope="session")
def pruned(binary: Task) -> keras.Model:
    """The binary model with 80 % zeros in its large kernels."""
    return prune(binary.model, Prune(epochs=2), binary.trainer())


@pytest.fixture(scope="session")
def clustered(binary: Task) -> keras.Model:
    """The binary model with 16 values in its large kernels."""
    return cluster(binary.model, Cluster(epochs=1), binary.trainer(), preserve_sparsity=False)


@pytest.fixture(scope="session")
def pruned_and_clustered(binary: Task, pruned: keras.Model) -> keras.Model:
    """The pruned model with 16 values in its large kernels."""
    return cluster(pruned, Cluster(epochs=1), binary.trainer(), preserve_sparsity=True)
