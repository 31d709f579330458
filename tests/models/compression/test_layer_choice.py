"""Which layers a technique acts on: by type, name and size; and which models it can act on at all."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import tf_keras as keras
from small_models import Subclassed, nested

from models.compression.layers import LayerChoice, choose_layers, copy_model, largest_weight
from models.heads import Head


def chosen(model: keras.Model, **choice) -> list[str]:
    return choose_layers(model, LayerChoice(**choice), "shrink")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Kernels of 32, 600 and 512 weights, a table of 600."""
    x, ids = keras.Input((8,), name="x_xf"), keras.Input((1,), name="ids_xf", dtype="int32")
    table = keras.layers.Flatten()(keras.layers.Embedding(100, 6, name="table")(ids))
    narrow = keras.layers.Dense(4, name="narrow")(x)
    wide = keras.layers.Dense(60, name="wide_a")(keras.layers.Concatenate(name="joined")([narrow, table]))
    mixed = keras.layers.Conv1D(16, 32, name="wide_b", padding="same")(keras.layers.Reshape((60, 1))(wide))
    return keras.Model({"x_xf": x, "ids_xf": ids}, Head("binary", 2).output(keras.layers.Flatten()(mixed)))


def test_default_choice_takes_large_kernels_in_the_order_of_the_model(network):
    # 960 weights in the layer of logits; the table is no kernel.
    assert chosen(network) == ["wide_a", "wide_b", "logits"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"names": ["wide_*"]}, ["wide_a", "wide_b"]),
        ({"names": ["wide_?", "logits"], "except_names": ["*_a"]}, ["wide_b", "logits"]),
        ({"types": ["Conv1D"]}, ["wide_b"]),
        ({"types": ["Embedding", "Dense"], "names": ["table", "wide_a"]}, ["table", "wide_a"]),
        ({"min_weights": 600}, ["wide_a", "logits"]),
        ({"min_weights": 601}, ["logits"]),
        ({"min_weights": 1}, ["narrow", "wide_a", "wide_b", "logits"]),
    ],
)
def test_layers_are_chosen_by_type_name_and_size(network, choice: dict, expected: list[str]):
    assert chosen(network, **choice) == expected


def test_choice_of_nothing_lists_the_layers_there_are(network):
    with pytest.raises(ValueError) as caught:
        chosen(network, types=["Dense", "Conv1D"], names=["Wide_*"])
    assert str(caught.value) == (
        "shrink: no layer matches types ['Dense', 'Conv1D'], names ['Wide_*'] with at least 512 weights. "
        "The model has: table (Embedding, 600), narrow (Dense, 32), "
        "wide_a (Dense, 600), wide_b (Conv1D, 512), logits (Dense, 960). Change `layers`."
    )


def test_choice_in_a_model_without_weights_says_so():
    x = keras.Input((8,))
    with pytest.raises(ValueError, match=r"The model has: no layer with weights\. Change `layers`\.$"):
        chosen(keras.Model(x, keras.layers.ReLU()(x)))


def test_unsupported_type_is_named(network):
    with pytest.raises(ValueError) as caught:
        choose_layers(network, LayerChoice(types=("Dense", "LSTM")), "shrink", ("GRU", "LSTM"))
    assert str(caught.value) == "shrink: layers of type LSTM are not supported. Remove it from `layers.types`."


def test_subclassed_model_is_refused():
    with pytest.raises(ValueError) as caught:
        chosen(Subclassed())
    assert str(caught.value) == (
        "shrink: the model 'opaque' is a subclassed Subclassed, whose layers cannot be wrapped. "
        "Build it with the functional API: keras.Model(inputs, outputs)."
    )


def test_model_inside_a_model_is_refused():
    with pytest.raises(ValueError) as caught:
        chosen(nested())
    assert str(caught.value) == (
        "shrink: layer 'inner' is a model inside the model, which cannot be wrapped. Call its layers directly."
    )


def test_sequential_model_is_accepted():
    assert chosen(keras.Sequential([keras.layers.Dense(64, input_shape=(8,), name="only")])) == ["only"]


def test_largest_weight_is_the_kernel_of_a_layer_or_empty(network):
    assert largest_weight(network.get_layer("narrow")).shape == (8, 4)
    assert largest_weight(network.get_layer("table")).shape == (100, 6)
    assert largest_weight(network.get_layer("joined")).size == 0


def test_copy_has_the_same_weights_and_shares_none(network):
    before = network.get_weights()
    copy = copy_model(network)
    copy.set_weights([w + 1 for w in copy.get_weights()])
    for was, now, copied in zip(before, network.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)
        np.testing.assert_allclose(copied, was + 1)


def test_layers_have_their_weights_when_they_are_wrapped(network):
    seen = {}

    def remember(layer: keras.layers.Layer) -> keras.layers.Layer:
        seen[layer.name] = layer.get_weights()
        return layer

    copy_model(network, remember)
    np.testing.assert_array_equal(seen["wide_a"][0], network.get_layer("wide_a").get_weights()[0])
    assert seen["wide_a"][0].any()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"min_weights": 0}, "Input should be greater than or equal to 1"),
        ({"types": []}, "Tuple should have at least 1 item after validation, not 0"),
        ({"names": []}, "Tuple should have at least 1 item after validation, not 0"),
        ({"layers": ["Dense"]}, "Extra inputs are not permitted"),
    ],
)
def test_mistaken_choice_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        LayerChoice.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]
