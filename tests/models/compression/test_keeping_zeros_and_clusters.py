"""PQAT, CQAT, PCQAT: zeros and clusters of earlier steps survive quantization-aware training into the flatbuffer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import tf_keras as keras
from small_models import Task, kernel, to_tflite

from models import metrics
from models.compression.clustering import Cluster, cluster
from models.compression.evidence import Weight, examine
from models.compression.pruning import Prune, prune
from models.compression.quantization import Conversion
from models.compression.quantization_aware import QuantizeAware, quantize_aware
from models.compression.tflite import EdgeModel

SIZES = {"hidden_0": 2560, "hidden_1": 2048}
STEP = QuantizeAware(epochs=1)


def aware(task: Task, model: keras.Model, **keep: bool) -> bytes:
    """Train a model with simulated quantization and convert it as the stage does."""
    quantized = quantize_aware(model, STEP, task.trainer(), **keep)
    return to_tflite(quantized.model, Conversion(trained=True, per_channel=not keep.get("clustered")))


def by_size(content: bytes) -> dict[int, Weight]:
    return {weight.size: weight for weight in examine(content).weights}


@pytest.fixture(scope="module")
def contents(binary: Task, pruned, clustered, pruned_and_clustered) -> Mapping[str, bytes]:
    return {
        "pqat": aware(binary, pruned, sparse=True),
        "cqat": aware(binary, clustered, clustered=True),
        "pcqat": aware(binary, pruned_and_clustered, sparse=True, clustered=True),
    }


# The layers before them, numeric_tower and the embedding, have no zeros.
@pytest.mark.parametrize("layer", SIZES)
@pytest.mark.parametrize("kind", ["pqat", "pcqat"])
def test_zeros_are_kept(pruned, contents, kind: str, layer: str):
    assert by_size(contents[kind])[SIZES[layer]].zeros >= np.sum(kernel(pruned, layer) == 0)


@pytest.mark.parametrize("layer", SIZES)
@pytest.mark.parametrize("kind", ["cqat", "pcqat"])
def test_clusters_are_kept(contents, kind: str, layer: str):
    assert 4 <= by_size(contents[kind])[SIZES[layer]].distinct <= 16


@pytest.mark.parametrize("kind", ["pqat", "cqat", "pcqat"])
def test_every_weight_is_int8_and_the_model_works(binary: Task, contents, kind: str):
    assert {weight.dtype for weight in by_size(contents[kind]).values()} == {"INT8"}
    assert metrics.auc(binary.labels[:, 0], EdgeModel(contents[kind]).predict(binary.inputs)) > 0.95


def test_without_being_told_to_keep_them_zeros_and_clusters_are_lost(binary: Task, pruned_and_clustered):
    weights = by_size(aware(binary, pruned_and_clustered))
    for layer, size in SIZES.items():
        assert weights[size].zeros < 0.7 * np.sum(kernel(pruned_and_clustered, layer) == 0)
        assert weights[size].distinct > 32


@pytest.fixture(scope="module")
def pruned_images(images: Task) -> keras.Model:
    return prune(images.model, Prune(epochs=1, sparsity=0.7), images.trainer())


def test_zeros_of_a_convolution_are_kept(images: Task, pruned_images):
    weights = by_size(aware(images, pruned_images, sparse=True))
    assert weights[800].zeros >= np.sum(kernel(pruned_images, "convolution") == 0)
    assert weights[1024].zeros >= np.sum(kernel(pruned_images, "hidden") == 0)


def test_clusters_of_a_convolution_are_kept(images: Task):
    model = cluster(images.model, Cluster(epochs=1, num_clusters=8), images.trainer(), preserve_sparsity=False)
    weights = by_size(aware(images, model, clustered=True))
    assert weights[1024].distinct <= 8
    assert weights[800].distinct <= 8


def test_zeros_and_clusters_of_a_convolution_are_kept(images: Task, pruned_images):
    model = cluster(pruned_images, Cluster(epochs=1, num_clusters=8), images.trainer(), preserve_sparsity=True)
    weights = by_size(aware(images, model, sparse=True, clustered=True))
    assert weights[800].zeros >= np.sum(kernel(model, "convolution") == 0)
    assert weights[800].distinct <= 9
