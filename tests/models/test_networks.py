"""Heads, inputs and the tabular network."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras

from models import inputs, tabular
from models.heads import Head, Kind
from preprocessing.features import EncodedFeature

NUMBER = EncodedFeature("fare_xf", "fare")
POINT = EncodedFeature("hour_xf", "hour", width=2)
COMPANY = EncodedFeature("company_xf", "company", num_ids=101)
BUCKET = EncodedFeature("fare_bucket_xf", "fare_bucket", num_ids=11, derived=True)
CROSS = EncodedFeature("pair_xf", "pair", num_ids=64, derived=True)
HEADS = {"binary": Head("binary", 2), "multiclass": Head("multiclass", 3), "regression": Head("regression")}
SMALL = tabular.Config(embedding_dim=4, numeric_units=8, hidden=(6, 5), dropout=0.2)


def batch_of(features: list[EncodedFeature], num_examples: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        f.name: random.integers(0, f.num_ids, (num_examples, 1)) if f.num_ids else random.normal(size=(num_examples, f.width))
        for f in features
    }


@pytest.mark.parametrize(
    ("kind", "units", "loss"),
    [
        ("binary", 1, 0.5 * -np.log(0.8) + 0.5 * -np.log(0.6)),
        ("multiclass", 3, 0.5 * -np.log(0.7) + 0.5 * -np.log(0.2)),
        ("regression", 1, 2.5),
    ],
)
def test_head_fits_its_label_kind(kind: Kind, units: int, loss: float):
    head = HEADS[kind]
    output = head.output(keras.Input((4,)))
    assert head.units == units
    assert output.shape.as_list() == [None, units]
    labels, outputs = {
        "binary": ([[1], [0]], [[0.8], [0.4]]),
        "multiclass": ([[0], [1]], [[0.7, 0.2, 0.1], [0.5, 0.2, 0.3]]),
        "regression": ([[1.0], [2.0]], [[3.0], [1.0]]),
    }[kind]
    assert float(head.loss(np.array(labels), np.array(outputs, np.float32))) == pytest.approx(loss, abs=1e-5)


def test_regression_head_starts_at_the_mean_and_measures_its_loss_in_deviations():
    head = Head("regression", offset=200.0, scale=50.0)
    logits = keras.Input((1,))
    model = keras.Model(logits, head.activate(logits))
    assert model(np.array([[0.0], [2.0]], np.float32)).numpy().tolist() == [[200.0], [300.0]]
    assert float(head.loss(np.array([[100.0]]), np.array([[200.0]], np.float32))) == 4.0


def test_output_stays_float32_under_a_half_precision_policy():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = tabular.build(SMALL, [NUMBER], HEADS["binary"])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert model.get_layer("hidden_0").compute_dtype == "bfloat16"
    assert model.output.dtype == tf.float32


def test_unknown_class_adds_nothing_to_the_loss():
    scores = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32)
    loss = HEADS["multiclass"].loss
    assert float(loss(np.array([[0], [-1]]), scores)) == pytest.approx(np.log(2) / 2, abs=1e-6)
    assert float(loss(np.array([[-1], [-1]]), scores)) == 0.0


def test_inputs_are_int32_for_ids_and_float32_for_numbers():
    made = inputs.keras_inputs([POINT, COMPANY])
    assert {name: (x.shape.as_list(), x.dtype) for name, x in made.items()} == {
        "hour_xf": ([None, 2], tf.float32),
        "company_xf": ([None, 1], tf.int32),
    }


def test_embedding_width_grows_with_the_root_of_the_ids_up_to_the_limit():
    features = [COMPANY, BUCKET, NUMBER]
    made = inputs.embeddings(inputs.keras_inputs(features), features, max_dim=8)
    assert [x.shape.as_list() for x in made] == [[None, 8], [None, 4]]


def test_numbers_leave_ids_out():
    features = [COMPANY, POINT, NUMBER]
    assert [x.name for x in inputs.numbers(inputs.keras_inputs(features), features)] == ["hour_xf", "fare_xf"]


@pytest.mark.parametrize("kind", list(HEADS))
def test_tabular_network_gives_one_row_of_units_per_example(kind: Kind):
    features = [NUMBER, POINT, COMPANY, BUCKET, CROSS]
    model = tabular.build(SMALL, features, HEADS[kind])
    outputs = model(batch_of(features, 7)).numpy()
    assert sorted(model.input) == sorted(f.name for f in features)
    assert outputs.shape == (7, HEADS[kind].units)
    if kind == "multiclass":
        np.testing.assert_allclose(outputs.sum(axis=1), np.ones(7), atol=1e-6)
    if kind == "binary":
        assert ((outputs > 0) & (outputs < 1)).all()


def test_tabular_network_has_the_configured_sizes():
    model = tabular.build(SMALL, [NUMBER, POINT, COMPANY], HEADS["binary"])
    shapes = {layer.name: [w.shape.as_list() for w in layer.weights] for layer in model.layers if layer.weights}
    assert shapes == {
        "company_xf_embedding": [[101, 4]],
        "numeric_tower": [[3, 8], [8]],
        "hidden_0": [[12, 6], [6]],
        "hidden_1": [[6, 5], [5]],
        "logits": [[5, 1], [1]],
    }


def test_dropout_follows_every_hidden_layer_and_zero_means_none():
    def rates(dropout: float) -> list[float]:
        model = tabular.build(SMALL.model_copy(update={"dropout": dropout}), [NUMBER], HEADS["binary"])
        return [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]

    assert rates(0.2) == [0.2, 0.2]
    assert rates(0.0) == []


def test_l2_penalizes_embeddings_and_hidden_kernels():
    features = [NUMBER, COMPANY]
    plain = tabular.build(SMALL, features, HEADS["binary"])
    penalized = tabular.build(SMALL.model_copy(update={"l2": 0.01}), features, HEADS["binary"])
    assert plain.losses == []
    kernels = [penalized.get_layer(name).weights[0].numpy() for name in ("company_xf_embedding", "hidden_0", "hidden_1")]
    assert sum(map(float, penalized.losses)) == pytest.approx(0.01 * sum((k**2).sum() for k in kernels), rel=1e-5)


def test_tabular_network_of_only_ids_has_no_numeric_tower():
    model = tabular.build(SMALL, [COMPANY, CROSS], HEADS["binary"])
    assert "numeric_tower" not in {layer.name for layer in model.layers}
    assert model.get_layer("hidden_0").weights[0].shape == (8, 6)


def test_tabular_network_of_one_number_has_nothing_to_join():
    model = tabular.build(SMALL, [NUMBER], HEADS["regression"])
    assert not any(isinstance(layer, keras.layers.Concatenate) for layer in model.layers)
    assert model({"fare_xf": np.ones((2, 1))}).shape == (2, 1)


def test_model_without_features_is_refused():
    with pytest.raises(ValueError) as caught:
        tabular.build(SMALL, [], HEADS["binary"])
    assert str(caught.value) == "A model needs at least one feature. Declare some under `features:` in the config file."


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"dropout": 1.0}, "Input should be less than 1"),
        ({"hidden": []}, "Tuple should have at least 1 item after validation, not 0"),
        ({"hidden": [8, 0]}, "Input should be greater than 0"),
        ({"activation": "tanh"}, "Input should be 'relu', 'gelu' or 'swish'"),
        ({"layers": 3}, "Extra inputs are not permitted"),
    ],
)
def test_mistaken_model_config_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        tabular.Config.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]
