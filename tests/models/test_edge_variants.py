"""Conversion to `.tflite`: every variant predicts as the Keras model does, and its tensors prove what was done."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras

from models import metrics
from models.compression import quantization, tflite
from models.compression.quantization import CompressionConfig, Variant
from models.compression.tflite import EdgeModel

VARIANTS: tuple[Variant, ...] = ("float32", "float16", "dynamic", "int8")
TOLERANCE = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.03, "int8": 0.1}


@pytest.fixture(scope="module")
def contents(trained) -> dict[str, bytes]:
    representative = {name: x[:200] for name, x in trained.inputs.items()}
    return {variant: quantization.convert(trained.model, variant, representative) for variant in VARIANTS}


@pytest.fixture(scope="module")
def edge_models(contents) -> dict[str, EdgeModel]:
    return {variant: EdgeModel(content) for variant, content in contents.items()}


@pytest.fixture(scope="module")
def integer_model() -> tuple[EdgeModel, keras.Model, np.ndarray]:
    """A model whose inputs and outputs are int8 themselves."""
    keras.utils.set_random_seed(1)
    inputs = {"x_xf": keras.Input((3,), name="x_xf")}
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(inputs["x_xf"]))
    x = np.random.default_rng(1).uniform(-1, 1, size=(50, 3)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: ({"x_xf": row[np.newaxis]} for row in x)
    return EdgeModel(converter.convert()), model, x


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_predicts_as_the_keras_model_does(trained, edge_models, variant: Variant):
    expected = trained.model.predict(trained.inputs, verbose=0)
    outputs = edge_models[variant].predict(trained.inputs)
    assert (outputs.shape, outputs.dtype) == ((450, 1), np.float32)
    assert np.abs(outputs - expected).max() < TOLERANCE[variant]
    assert metrics.auc(trained.labels[:, 0], outputs) > 0.9


def test_tensor_types_prove_what_was_quantized(edge_models):
    types = {variant: model.tensor_types() for variant, model in edge_models.items()}
    assert not {"INT8", "FLOAT16"} & types["float32"].keys()
    # Three kernels and the embedding; the biases and the kernel of the output stay float32 under `dynamic`.
    assert types["float16"]["FLOAT16"] >= 4
    assert "INT8" not in types["float16"]
    assert types["dynamic"]["INT8"] >= 2
    assert types["dynamic"]["FLOAT32"] > 0
    assert types["int8"]["INT8"] > types["dynamic"]["INT8"]
    assert types["int8"].get("FLOAT32", 0) < types["float32"]["FLOAT32"]


def test_quantized_variants_are_smaller(contents):
    sizes = {variant: len(content) for variant, content in contents.items()}
    assert sizes["float16"] < 0.7 * sizes["float32"]
    assert sizes["dynamic"] < 0.55 * sizes["float32"]
    assert sizes["int8"] < 0.6 * sizes["float32"]


def test_predictions_do_not_depend_on_the_batch_size(trained, edge_models):
    model = edge_models["float32"]
    together = model.predict(trained.inputs)
    parts = [model.predict({name: x[i:j] for name, x in trained.inputs.items()}) for i, j in ((0, 5), (5, 6), (6, 7), (7, 450))]
    np.testing.assert_allclose(np.concatenate(parts), together, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_description_names_every_input_and_output(edge_models, variant: Variant):
    described = edge_models[variant].describe()
    inputs = {record["name"]: record for record in described["inputs"]}
    assert {name: (record["dtype"], record["shape"]) for name, record in inputs.items()} == {
        "miles_xf": ("float32", [-1, 1]),
        "hour_xf": ("float32", [-1, 2]),
        "company_xf": ("int32", [-1, 1]),
    }
    (output,) = described["outputs"]
    assert (output["dtype"], output["shape"]) == ("float32", [-1, 1])
    assert {(record["scale"], record["zero_point"]) for record in (*inputs.values(), output)} == {(None, None)}


def test_latency_is_a_positive_time_of_one_example(trained, edge_models):
    latency_us = edge_models["float32"].latency_us(trained.inputs, num_runs=20)
    assert 0.1 < latency_us < 1e6
    assert edge_models["float32"].predict({name: x[:3] for name, x in trained.inputs.items()}).shape == (3, 1)


def test_scores_gather_labels_and_outputs_of_all_batches(trained, edge_models):
    labels, outputs = tflite.scores(edge_models["float32"], trained.batches())
    np.testing.assert_array_equal(labels, trained.labels[:, 0])
    np.testing.assert_allclose(outputs, edge_models["float32"].predict(trained.inputs), atol=1e-6)


def test_integer_inputs_and_outputs_are_converted_by_their_scale(integer_model):
    edge, model, x = integer_model
    described = edge.describe()
    scale = described["outputs"][0]["scale"]
    assert [record["dtype"] for record in (*described["inputs"], *described["outputs"])] == ["int8", "int8"]
    assert described["inputs"][0]["scale"] == pytest.approx(2 / 255, rel=0.05)
    assert -128 <= described["inputs"][0]["zero_point"] <= 127
    expected = model.predict(x, verbose=0)
    outputs = edge.predict({"x_xf": x})
    assert np.abs(outputs - expected).max() < 3 * scale
    np.testing.assert_allclose(outputs / scale, np.round(outputs / scale), atol=1e-3)


def test_integer_inputs_saturate_instead_of_wrapping(integer_model):
    edge, _, x = integer_model
    limit = np.abs(x).max() * np.ones((1, 3), np.float32)
    np.testing.assert_allclose(edge.predict({"x_xf": 100 * limit}), edge.predict({"x_xf": 1.1 * limit}), atol=1e-6)


def test_int8_without_representative_examples_is_an_error(trained):
    empty = {name: x[:0] for name, x in trained.inputs.items()}
    with pytest.raises(ValueError) as caught:
        quantization.convert(trained.model, "int8", empty)
    assert str(caught.value) == (
        "int8 needs representative examples, got none. Raise `compression.representative.num_examples`."
    )


def test_bytes_that_are_no_flatbuffer_are_refused():
    with pytest.raises(ValueError) as caught:
        EdgeModel(b"no flatbuffer")
    assert str(caught.value) == (
        "The stock TFLite interpreter refuses the model: Model provided has model identifier 'latb', should be 'TFL3'. "
        "Only builtin operators run on devices."
    )


def test_float32_comes_first_even_if_not_asked_for():
    gate = {"metric": "auc"}
    assert CompressionConfig.model_validate({"gate": gate, "variants": ["int8"]}).variants == ("float32", "int8")
    assert CompressionConfig.model_validate({"gate": gate, "variants": ["int8", "float32"]}).variants == ("float32", "int8")
    assert CompressionConfig.model_validate({"gate": gate}).variants == VARIANTS


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"variants": ["int8", "int8"]}, "Value error, a variant is named twice: ['int8', 'int8']."),
        ({"variants": ["float32", "int4"]}, "Input should be 'float32', 'float16', 'dynamic' or 'int8'"),
        ({"variants": []}, "Tuple should have at least 1 item after validation, not 0"),
        ({"gate": {"metric": "auc", "max_loss": -0.1}}, "Input should be greater than or equal to 0"),
        ({"gate": {"metric": "auc", "max_size_bytes": 0}}, "Input should be greater than or equal to 1"),
        ({"representative": {"num_examples": 0}}, "Input should be greater than or equal to 1"),
    ],
)
def test_mistaken_compression_config_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        CompressionConfig.model_validate({"gate": {"metric": "auc"}} | mistake)
    assert message in [error["msg"] for error in caught.value.errors()]
