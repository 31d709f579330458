"""Clustering: a handful of values per kernel, zeros that stay where they are, a model that still works."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import tf_keras as keras
from small_models import Subclassed, Task, from_image, kernel, nested, num_values, trainer

from models import metrics
from models.compression.clustering import Cluster, check_clustered, cluster, clustered_kernels
from models.compression.layers import copy_model
from models.heads import Head

LARGE = ("hidden_0", "hidden_1")


@pytest.mark.parametrize("layer", LARGE)
def test_large_kernels_have_at_most_the_requested_values(clustered, layer: str):
    assert 8 < num_values(clustered, layer) <= 16


@pytest.mark.parametrize("layer", ["numeric_tower", "logits", "company_xf_embedding"])
def test_small_kernels_and_tables_are_left_alone(clustered, layer: str):
    # Two of thousands of random weights may be equal; a cluster has a handful of values.
    assert num_values(clustered, layer) > 0.99 * kernel(clustered, layer).size


@pytest.fixture(scope="module")
def initialized(binary: Task) -> dict[str, keras.Model]:
    """Four values in one kernel by every initialization, which a rate of next to nothing leaves where they began."""
    step = {"epochs": 1, "num_clusters": 4, "learning_rate": 1e-9, "layers": {"names": ["hidden_1"]}}
    return {
        name: cluster(binary.model, Cluster(initialization=name, **step), binary.trainer(), preserve_sparsity=False)
        for name in ("kmeans++", "linear", "density")
    }


@pytest.mark.parametrize("initialization", ["kmeans++", "linear", "density"])
def test_every_initialization_gives_the_requested_values_where_they_were_asked_for(initialized, initialization: str):
    assert 3 <= num_values(initialized[initialization], "hidden_1") <= 4
    assert num_values(initialized[initialization], "hidden_0") > 0.99 * 2560


def test_initializations_begin_at_different_values(binary: Task, initialized):
    values = {name: np.unique(kernel(model, "hidden_1")) for name, model in initialized.items()}
    weights = kernel(binary.model, "hidden_1")
    np.testing.assert_allclose(values["linear"], np.linspace(weights.min(), weights.max(), 4), atol=1e-4)
    for name in ("density", "kmeans++"):
        assert values[name].shape != (4,) or np.abs(values[name] - values["linear"]).max() > 1e-3


def test_convolution_is_clustered(images: Task):
    step = Cluster(epochs=1, num_clusters=8, layers={"types": ["Conv2D"]})
    model = cluster(images.model, step, images.trainer(), preserve_sparsity=False)
    assert 4 <= num_values(model, "convolution") <= 8


def test_min_weights_decides_what_is_small(binary: Task):
    step = Cluster(epochs=1, num_clusters=5, layers={"min_weights": 2049})
    model = cluster(binary.model, step, binary.trainer(), preserve_sparsity=False)
    assert [num_values(model, layer) <= 5 for layer in LARGE] == [True, False]
    assert clustered_kernels(binary.model, step) == {"hidden_0": 5}


@pytest.mark.parametrize("layer", LARGE)
def test_zeros_of_pruning_stay_where_they_are(pruned, pruned_and_clustered, layer: str):
    before, after = kernel(pruned, layer), kernel(pruned_and_clustered, layer)
    assert not after[before == 0].any()
    assert np.mean(after == 0) == pytest.approx(0.8, abs=0.02)
    assert len(np.unique(after[after != 0])) <= 16


@pytest.mark.parametrize("layer", LARGE)
def test_two_clusters_beside_the_zeros_of_pruning(binary: Task, pruned, layer: str):
    step = Cluster(epochs=1, num_clusters=2, layers={"names": [layer]})
    after = kernel(cluster(pruned, step, binary.trainer(), preserve_sparsity=True), layer)
    assert not after[kernel(pruned, layer) == 0].any()
    assert 1 <= len(np.unique(after[after != 0])) <= 2


def test_kernel_with_fewer_values_than_clusters_keeps_them(binary: Task):
    model = copy_model(binary.model)
    weights, bias = model.get_layer("hidden_0").get_weights()
    model.get_layer("hidden_0").set_weights([np.sign(weights) * 0.1, bias])
    step = Cluster(epochs=1, num_clusters=16, layers={"names": ["hidden_0"]})
    result = cluster(model, step, binary.trainer(), preserve_sparsity=False)
    assert num_values(result, "hidden_0") == 2


def test_clustered_model_has_the_layers_of_the_original_and_no_wrappers(binary: Task, clustered):
    assert [(type(x).__name__, x.name) for x in clustered.layers] == [(type(x).__name__, x.name) for x in binary.model.layers]
    assert [w.shape for w in clustered.get_weights()] == [w.shape for w in binary.original]


def test_clustered_model_still_knows_what_it_learned(binary: Task, clustered, pruned_and_clustered):
    for model in (clustered, pruned_and_clustered):
        assert metrics.auc(binary.labels[:, 0], binary.predictions(model)) > 0.95


def test_original_model_is_left_as_it_is(binary: Task, clustered):
    for now, was in zip(binary.model.get_weights(), binary.original, strict=True):
        np.testing.assert_array_equal(now, was)


def test_layer_that_cannot_be_clustered_is_left_alone_by_default():
    head = Head("multiclass", 3)
    x = np.random.default_rng(1).normal(size=(50, 6, 6, 8)).astype(np.float32)

    def body(image: keras.KerasTensor) -> keras.KerasTensor:
        y = keras.layers.DepthwiseConv2D(3, depth_multiplier=8, name="depthwise")(image)
        return keras.layers.Flatten()(keras.layers.Conv2D(4, 1, name="pointwise")(y))

    model = from_image(head, (6, 6, 8), body)
    step = Cluster(epochs=1, num_clusters=8, layers={"min_weights": 256})
    result = cluster(model, step, trainer({"image_xf": x}, np.zeros((50, 1), np.int64), head), preserve_sparsity=False)
    assert num_values(result, "depthwise") == 576
    assert num_values(result, "pointwise") <= 8


def test_layer_with_more_values_than_asked_for_is_an_error(binary: Task):
    with pytest.raises(ValueError) as caught:
        check_clustered(binary.model, ["hidden_1"], Cluster(num_clusters=16))
    assert str(caught.value) == "cluster: layer 'hidden_1' has 2048 distinct values, 16 were asked for."


def test_type_that_clustering_breaks_on_is_refused(binary: Task):
    with pytest.raises(ValueError) as caught:
        cluster(binary.model, Cluster(layers={"types": ["Normalization"]}), binary.trainer(), preserve_sparsity=False)
    assert str(caught.value) == "cluster: layers of type Normalization are not supported. Remove it from `layers.types`."


def test_choice_of_nothing_is_refused(binary: Task):
    with pytest.raises(
        ValueError, match=r"^cluster: no layer matches .* with at least 5000 weights\. The model has: company_xf"
    ):
        cluster(binary.model, Cluster(layers={"min_weights": 5000}), binary.trainer(), preserve_sparsity=False)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Subclassed, r"^cluster: the model 'opaque' is a subclassed Subclassed"),
        (nested, r"^cluster: layer 'inner' is a model inside"),
    ],
)
def test_model_that_cannot_be_wrapped_is_refused(binary: Task, model, message: str):
    with pytest.raises(ValueError, match=message):
        cluster(model(), Cluster(), binary.trainer(), preserve_sparsity=False)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"num_clusters": 1}, "Input should be greater than or equal to 2"),
        ({"num_clusters": 257}, "Input should be less than or equal to 256"),
        ({"initialization": "random"}, "Input should be 'kmeans++', 'linear' or 'density'"),
    ],
)
def test_mistaken_clustering_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        Cluster.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]
