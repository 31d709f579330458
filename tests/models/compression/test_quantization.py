"""Conversion to `.tflite`: every quantization predicts as the Keras model does, and its tensors prove what was done."""

from __future__ import annotations

import collections
from collections.abc import Mapping

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras
from small_models import Task, from_image, functional, to_tflite

from models import metrics
from models.compression.evidence import examine
from models.compression.quantization import Conversion, Quantize, Representative, one_by_one
from models.compression.tflite import EdgeModel
from models.heads import Head

KINDS = ("float32", "float16", "dynamic", "int8", "int16x8")
TOLERANCE = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.03, "int8": 0.1, "int16x8": 0.03}


def conversion(kind: str, **step) -> Conversion:
    return Conversion(Quantize(kind=kind, **step) if kind != "float32" else None)


def dtypes(content: bytes) -> dict[int, str]:
    """Return {size: dtype} of the binary model's weights, whose sizes all differ."""
    return {weight.size: weight.dtype for weight in examine(content).weights}


@pytest.fixture(scope="module")
def representative(binary: Task) -> Mapping[str, np.ndarray]:
    return {name: x[:200] for name, x in binary.inputs.items()}


@pytest.fixture(scope="module")
def contents(binary: Task, representative) -> dict[str, bytes]:
    return {kind: to_tflite(binary.model, conversion(kind), representative) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_variant_predicts_as_the_keras_model_does(binary: Task, contents, kind: str):
    outputs = EdgeModel(contents[kind]).predict(binary.inputs)
    assert (outputs.shape, outputs.dtype) == ((450, 1), np.float32)
    assert np.abs(outputs - binary.predictions()).max() < TOLERANCE[kind]
    assert metrics.auc(binary.labels[:, 0], outputs) > 0.95


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("float32", dict.fromkeys((32, 96, 2048, 2400, 2560), "FLOAT32")),
        ("float16", dict.fromkeys((32, 96, 2048, 2400, 2560), "FLOAT16")),
        # TFLite leaves kernels of less than 1024 weights in float when activations are.
        ("dynamic", {32: "FLOAT32", 96: "FLOAT32", 2048: "INT8", 2400: "INT8", 2560: "INT8"}),
        ("int8", dict.fromkeys((32, 96, 2048, 2400, 2560), "INT8")),
        # What a gather gives is an activation.
        ("int16x8", {32: "INT8", 96: "INT8", 2048: "INT8", 2400: "INT16", 2560: "INT8"}),
    ],
)
def test_weights_have_the_type_that_was_asked_for(contents, kind: str, expected: dict[int, str]):
    assert dtypes(contents[kind]) == expected


@pytest.mark.parametrize(("kind", "dtype"), [("int8", "INT8"), ("int16x8", "INT16")])
def test_activations_are_integers_between_float_inputs_and_outputs(contents, kind: str, dtype: str):
    activations = examine(contents[kind]).activations
    assert activations["FLOAT32"] == 3  # two inputs and the output
    assert activations[dtype] >= 8


def test_quantized_variants_are_smaller(contents):
    sizes = {kind: len(content) for kind, content in contents.items()}
    assert sizes["float16"] < 0.65 * sizes["float32"]
    assert sizes["dynamic"] < 0.45 * sizes["float32"]
    assert sizes["int8"] < 0.45 * sizes["float32"]
    assert sizes["int8"] < sizes["int16x8"] < sizes["float16"]


@pytest.mark.parametrize(("kind", "dtype", "tolerance"), [("int8", "int8", 0.1), ("int16x8", "int16", 0.03)])
def test_integer_inputs_and_outputs(binary: Task, representative, kind: str, dtype: str, tolerance: float):
    model = EdgeModel(to_tflite(binary.model, conversion(kind, io="integer"), representative))
    described = model.describe()
    types = {record["name"]: record["dtype"] for record in [*described["inputs"], *described["outputs"]]}
    assert types == {"miles_xf": dtype, "hour_xf": dtype, "company_xf": "int32", "output": dtype}
    assert np.abs(model.predict(binary.inputs) - binary.predictions()).max() < tolerance


@pytest.mark.parametrize("kind", ["dynamic", "int8"])
def test_sparse_encoding_of_a_pruned_model_is_smaller_and_says_the_same(
    binary: Task, pruned, representative, kind: str, current: bool
):
    dense, sparse = (to_tflite(pruned, conversion(kind, sparse=flag), representative) for flag in (False, True))
    assert len(sparse) < len(dense) - 1000
    assert examine(sparse).operators["DENSIFY"] == 2
    if current:  # LiteRT's XNNPACK cannot prepare layers whose kernels DENSIFY gives
        with pytest.raises(ValueError, match="refuses the model: failed to delegate FULLY_CONNECTED"):
            EdgeModel(sparse)
        return
    np.testing.assert_array_equal(EdgeModel(sparse).predict(binary.inputs), EdgeModel(dense).predict(binary.inputs))


def test_sparse_float16_is_refused_because_the_interpreter_crashes_on_it():
    with pytest.raises(pydantic.ValidationError, match="sparse"):
        Quantize(kind="float16", sparse=True)


@pytest.mark.parametrize("kind", ["int8", "int16x8"])
@pytest.mark.parametrize("rows", [None, 0])
def test_calibration_without_examples_is_an_error(binary: Task, kind: str, rows: int | None):
    examples = {} if rows is None else {name: x[:rows] for name, x in binary.inputs.items()}
    with pytest.raises(ValueError) as caught:
        to_tflite(binary.model, conversion(kind), examples)
    assert str(caught.value) == (
        "int8 needs representative examples, got none. Raise `compression.representative.num_examples`."
    )


def test_representative_examples_decide_the_ranges(binary: Task, representative):
    # Calibrated on zeros, every activation saturates.
    blind = {name: np.zeros_like(x[:5]) for name, x in representative.items()}
    outputs = EdgeModel(to_tflite(binary.model, conversion("int8"), blind)).predict(binary.inputs)
    assert np.abs(outputs - binary.predictions()).max() > 0.3


def test_examples_are_given_one_by_one():
    x, y = np.arange(6).reshape(3, 2), np.arange(4).reshape(4, 1)
    batches = list(one_by_one({"x": x, "y": y}))
    assert [{name: part.tolist() for name, part in batch.items()} for batch in batches] == [
        {"x": [[0, 1]], "y": [[0]]},
        {"x": [[2, 3]], "y": [[1]]},
        {"x": [[4, 5]], "y": [[2]]},
    ]


def _with_values(weights: np.ndarray) -> np.ndarray:
    """Fill a kernel with four values, the largest of them in every second output only: scales per output would differ."""
    values = np.random.default_rng(1).choice(np.array([-0.3, 0.1, 0.3], np.float32), size=weights.shape)
    values[..., ::2] = np.where(values[..., ::2] == 0.1, np.float32(-1.0), values[..., ::2])
    return values


@pytest.mark.parametrize(
    # TensorFlow 2.16 has one scale per dense kernel anyway.
    ("layer", "per_channel", "expected"),
    [("dense", False, 4), ("convolution", False, 4), ("convolution", True, 5)],
)
def test_one_scale_per_kernel_keeps_clusters_clusters(layer: str, per_channel: bool, expected: int):
    head, x = Head("binary", 2), np.random.default_rng(1).normal(size=(20, 4, 4, 8)).astype(np.float32)
    bodies = {
        "dense": lambda y: keras.layers.Dense(16, activation="relu", name="dense")(keras.layers.Flatten()(y)),
        "convolution": lambda y: keras.layers.Flatten()(keras.layers.Conv2D(16, 3, name="convolution")(y)),
    }
    model = from_image(head, x.shape[1:], bodies[layer])
    weights, bias = model.get_layer(layer).get_weights()
    model.get_layer(layer).set_weights([_with_values(weights), bias])
    content = to_tflite(model, Conversion(Quantize(kind="int8"), per_channel=per_channel), {"image_xf": x})
    (found,) = [weight for weight in examine(content).weights if weight.size == weights.size]
    # Scaled by the largest of each output, 0.3 is 127 here and 38 there.
    assert (found.dtype, found.distinct) == ("INT8", expected)


def test_operator_that_devices_lack_is_refused_by_the_converter():
    model = functional(Head("binary", 2), {"x_xf": ((3,), "float32")}, lambda x: keras.layers.Lambda(tf.math.tan)(x["x_xf"]))
    with pytest.raises(Exception, match=r"'tf\.Tan' op is neither a custom op nor a flex op"):
        to_tflite(model)


def test_nothing_is_quantized_unless_asked_for(binary: Task, contents):
    assert collections.Counter(dtypes(contents["float32"]).values()) == {"FLOAT32": 5}


@pytest.mark.parametrize("kind", ["float16", "dynamic"])
def test_integer_inputs_of_a_float_model_are_refused(kind: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        Quantize(kind=kind, io="integer")
    assert [error["msg"] for error in caught.value.errors()] == [
        f"Value error, `io: integer` needs one of int8, int16x8, not {kind}."
    ]


@pytest.mark.parametrize(
    ("section", "mistake", "message"),
    [
        (Quantize, {"kind": "int4"}, "Input should be 'float16', 'dynamic', 'int8' or 'int16x8'"),
        (Quantize, {"kind": "int8", "io": "int8"}, "Input should be 'float' or 'integer'"),
        (Quantize, {"kind": "int8", "bits": 4}, "Extra inputs are not permitted"),
        (Representative, {"num_examples": 0}, "Input should be greater than or equal to 1"),
        (Representative, {"seed": -1}, "Input should be greater than or equal to 0"),
    ],
)
def test_mistaken_config_is_refused(section: type[pydantic.BaseModel], mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        section.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]
