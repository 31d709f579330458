"""Pruning: the zeros that were asked for, where they were asked for, in a model that still works."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import tf_keras as keras
from small_models import Subclassed, Task, from_image, functional, kernel, nested, share_of_zeros, trainer

from models import metrics
from models.compression.pruning import Prune, check_pruned, expected_zeros, prune
from models.compression.retraining import Retraining, Trainer
from models.heads import Head

LARGE = ("hidden_0", "hidden_1")


class Zeros(keras.callbacks.Callback):
    """Remembers the share of zeros in the mask of a kernel after every batch."""

    def __init__(self, layer: str):
        super().__init__()
        self._layer, self.shares = layer, []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        ((_, mask, _),) = self.model.get_layer(f"prune_low_magnitude_{self._layer}").pruning_vars
        self.shares.append(float(np.mean(mask.numpy() == 0)))


class PromisesMore(Trainer):
    """A trainer that says it trains five times as long as it does."""

    def num_steps(self, retraining: Retraining) -> int:
        return 5 * super().num_steps(retraining)


def groups_of_four(weights: np.ndarray) -> np.ndarray:
    """Return (groups, 4): neighbouring inputs of one output, at one place of a convolution; the last ones filled with zeros."""
    rows = np.moveaxis(weights, -1, 0).reshape(-1, weights.shape[-2])
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).reshape(-1, 4)


@pytest.mark.parametrize("layer", LARGE)
def test_large_kernels_have_the_requested_sparsity(pruned, layer: str):
    assert share_of_zeros(pruned, layer) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("layer", ["company_xf_embedding", "numeric_tower", "logits"])
def test_other_layers_keep_their_weights(pruned, layer: str):
    assert share_of_zeros(pruned, layer) == 0


def test_pruned_model_has_the_layers_of_the_original_and_no_wrappers(binary: Task, pruned):
    assert [(type(x).__name__, x.name) for x in pruned.layers] == [(type(x).__name__, x.name) for x in binary.model.layers]
    assert [w.shape for w in pruned.get_weights()] == [w.shape for w in binary.original]
    assert pruned.input.keys() == binary.model.input.keys()


def test_pruned_model_still_knows_what_it_learned(binary: Task, pruned):
    assert metrics.auc(binary.labels[:, 0], binary.predictions(pruned)) > 0.95


def test_original_model_is_left_as_it_is(binary: Task, pruned):
    for now, was in zip(binary.model.get_weights(), binary.original, strict=True):
        np.testing.assert_array_equal(now, was)


def test_constant_schedule_prunes_at_once_and_only_what_was_chosen(binary: Task):
    zeros = Zeros("hidden_0")
    step = Prune(epochs=1, sparsity=0.6, schedule="constant", layers={"names": ["hidden_0"]})
    model = prune(binary.model, step, binary.trainer([zeros]))
    assert [share_of_zeros(model, layer) for layer in LARGE] == [pytest.approx(0.6, abs=0.005), 0]
    assert zeros.shares == pytest.approx([0.6] * 9, abs=0.005)


def test_polynomial_schedule_begins_low_and_grows(binary: Task):
    zeros = Zeros("hidden_0")
    prune(binary.model, Prune(epochs=2, layers={"names": ["hidden_0"]}), binary.trainer([zeros]))
    assert zeros.shares == sorted(zeros.shares)
    assert zeros.shares[0] < 0.45
    # The last third of the steps repairs.
    assert zeros.shares[12:] == pytest.approx([0.8] * 6, abs=0.005)


def test_embedding_is_pruned_when_its_type_is_chosen(binary: Task):
    model = prune(binary.model, Prune(epochs=1, sparsity=0.5, layers={"types": ["Embedding"]}), binary.trainer())
    assert share_of_zeros(model, "company_xf_embedding") == pytest.approx(0.5, abs=0.005)
    assert [share_of_zeros(model, layer) for layer in LARGE] == [0, 0]


def test_two_of_four_neighbouring_inputs_are_zero(images: Task):
    # Whatever `sparsity` says.
    model = prune(images.model, Prune(epochs=1, structure="2:4", sparsity=0.9), images.trainer())
    for layer in ("convolution", "hidden"):
        nonzero = np.count_nonzero(groups_of_four(kernel(model, layer)), axis=1)
        assert set(nonzero) == {2}, layer


@pytest.mark.parametrize("num_channels", [3, 6])
def test_two_of_four_holds_in_a_convolution_of_any_number_of_channels(num_channels: int):
    head = Head("multiclass", 3)
    x = np.random.default_rng(1).normal(size=(50, 6, 6, num_channels)).astype(np.float32)
    model = from_image(head, x.shape[1:], lambda y: keras.layers.Flatten()(keras.layers.Conv2D(30, 3, name="convolution")(y)))
    trained = trainer({"image_xf": x}, np.zeros((50, 1), np.int64), head)
    result = prune(model, Prune(epochs=1, structure="2:4", layers={"types": ["Conv2D"]}), trained)
    assert np.count_nonzero(groups_of_four(kernel(result, "convolution")), axis=1).max() == 2


def test_two_of_four_holds_in_a_dense_layer_of_any_number_of_inputs():
    head = Head("binary", 2)
    x = np.random.default_rng(1).normal(size=(50, 37)).astype(np.float32)
    model = functional(head, {"x_xf": ((37,), "float32")}, lambda y: keras.layers.Dense(20, name="dense")(y["x_xf"]))
    result = prune(model, Prune(epochs=1, structure="2:4"), trainer({"x_xf": x}, np.ones((50, 1), np.int64), head))
    nonzero = np.count_nonzero(groups_of_four(kernel(result, "dense")), axis=1).reshape(20, 10)
    assert set(nonzero[:, :9].flat) == {2}


def test_layer_that_cannot_be_pruned_is_left_alone_by_default():
    head = Head("multiclass", 3)
    x = np.random.default_rng(1).normal(size=(50, 6, 6, 8)).astype(np.float32)

    def body(image: keras.KerasTensor) -> keras.KerasTensor:
        y = keras.layers.DepthwiseConv2D(3, depth_multiplier=8, name="depthwise")(image)
        return keras.layers.Flatten()(keras.layers.Conv2D(4, 1, name="pointwise")(y))

    model = from_image(head, (6, 6, 8), body)
    step = Prune(epochs=1, layers={"min_weights": 256})
    result = prune(model, step, trainer({"image_xf": x}, np.zeros((50, 1), np.int64), head))
    assert share_of_zeros(result, "depthwise") == 0
    assert share_of_zeros(result, "pointwise") == pytest.approx(0.8, abs=0.005)


def test_layer_whose_schedule_does_not_reach_its_end_is_an_error(binary: Task):
    trained = binary.trainer()
    hasty = PromisesMore(trained.train, trained.evaluation, trained.head, trained.fit)
    with pytest.raises(
        ValueError,
        match=r"^prune: layer 'hidden_0' has 6\d\.\d% zeros, 80% were asked for\. "
        r"Raise `epochs`, so that the schedule reaches its end\.$",
    ):
        prune(binary.model, Prune(epochs=1), hasty)


def test_kernel_with_more_than_two_of_four_is_an_error(binary: Task):
    with pytest.raises(ValueError) as caught:
        check_pruned(binary.model, ["hidden_0"], Prune(structure="2:4"))
    assert str(caught.value) == "prune: layer 'hidden_0' has 4 weights in a group of four inputs, 2:4 allows two."


def test_expected_zeros_are_those_of_the_chosen_layers(pruned):
    counts = {layer: int(np.sum(kernel(pruned, layer) == 0)) for layer in LARGE}
    assert expected_zeros(pruned, Prune()) == counts
    assert sum(counts.values()) == pytest.approx(0.8 * (2560 + 2048), abs=10)


@pytest.mark.parametrize("sparsity", [0, 1, -0.5, 80])
def test_sparsity_outside_0_and_1_is_refused(sparsity: float):
    with pytest.raises(pydantic.ValidationError) as caught:
        Prune(sparsity=sparsity)
    assert caught.value.errors()[0]["msg"] == (
        f"Value error, must lie between 0 and 1, got {sparsity:g}. 0 prunes nothing, 1 leaves no weight."
    )


@pytest.mark.parametrize("kind", ["Bidirectional", "Normalization"])
def test_type_that_pruning_breaks_on_is_refused(binary: Task, kind: str):
    with pytest.raises(ValueError) as caught:
        prune(binary.model, Prune(layers={"types": ["Dense", kind]}), binary.trainer())
    assert str(caught.value) == f"prune: layers of type {kind} are not supported. Remove it from `layers.types`."


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Subclassed, r"^prune: the model 'opaque' is a subclassed Subclassed"),
        (nested, r"^prune: layer 'inner' is a model inside"),
    ],
)
def test_model_that_cannot_be_wrapped_is_refused(binary: Task, model, message: str):
    with pytest.raises(ValueError, match=message):
        prune(model(), Prune(), binary.trainer())
