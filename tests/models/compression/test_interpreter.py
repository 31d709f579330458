"""EdgeModel: what a flatbuffer says to batches of any size, its inputs and outputs in integers, its time and memory."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from small_models import Task, to_tflite

from models.compression.quantization import Conversion, Quantize
from models.compression.tflite import EdgeModel, arena_bytes


@pytest.fixture(scope="module")
def content(binary: Task) -> bytes:
    return to_tflite(binary.model)


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, size=(50, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def linear() -> keras.Model:
    """Two outputs from three numbers."""
    keras.utils.set_random_seed(1)
    x = keras.Input((3,), name="x_xf")
    return keras.Model({"x_xf": x}, keras.layers.Dense(2, name="output")(x))


@pytest.fixture(scope="module")
def integer_content(linear, numbers) -> bytes:
    """The same with int8 inputs and outputs."""
    return to_tflite(linear, Conversion(Quantize(kind="int8", io="integer")), {"x_xf": numbers})


def fixed_batch(model: keras.Model) -> bytes:
    """Convert a model of three numbers for a batch of one."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(lambda x_xf: {"output": model(x_xf)}).get_concrete_function(tf.TensorSpec([1, 3], name="x_xf"))], model
    )
    return converter.convert()


@pytest.mark.parametrize("batch_size", [1, 7, 450, 1000])
def test_predictions_do_not_depend_on_the_batch_size(binary: Task, content, batch_size: int):
    outputs = EdgeModel(content).predict(binary.inputs, batch_size)
    assert (outputs.shape, outputs.dtype) == ((450, 1), np.float32)
    np.testing.assert_allclose(outputs, binary.predictions(), atol=1e-5)


def test_one_model_takes_batches_of_changing_size(binary: Task, content):
    model = EdgeModel(content)
    parts = [model.predict({name: x[i:j] for name, x in binary.inputs.items()}) for i, j in ((0, 5), (5, 6), (6, 7), (7, 450))]
    np.testing.assert_allclose(np.concatenate(parts), binary.predictions(), atol=1e-5)


def test_inputs_the_model_does_not_take_are_ignored(binary: Task, content):
    more = {"another_xf": np.zeros((450, 9)), **binary.inputs}
    np.testing.assert_allclose(EdgeModel(content).predict(more), binary.predictions(), atol=1e-5)


def test_fixed_batch_of_one_predicts_row_by_row(linear, numbers):
    model = EdgeModel(fixed_batch(linear))
    assert not model.resizable
    assert model.describe()["inputs"][0]["shape"] == [1, 3]
    np.testing.assert_allclose(model.predict({"x_xf": numbers}), linear.predict(numbers, verbose=0), atol=1e-6)


def test_model_with_an_open_batch_is_resizable(content):
    assert EdgeModel(content).resizable


def test_description_names_every_input_and_output(content):
    described = EdgeModel(content).describe()
    inputs = {record["name"]: (record["dtype"], record["shape"]) for record in described["inputs"]}
    assert inputs == {"miles_xf": ("float32", [-1, 1]), "hour_xf": ("float32", [-1, 2]), "company_xf": ("int32", [-1, 1])}
    assert described["outputs"] == [{"name": "output", "dtype": "float32", "shape": [-1, 1], "scale": None, "zero_point": None}]
    assert {(record["scale"], record["zero_point"]) for record in described["inputs"]} == {(None, None)}


def test_description_has_the_scale_and_zero_point_of_integers(integer_content, numbers):
    described = EdgeModel(integer_content).describe()
    (x,), (output,) = described["inputs"], described["outputs"]
    assert (x["dtype"], output["dtype"]) == ("int8", "int8")
    low, high = numbers.min(), numbers.max()
    assert x["scale"] == pytest.approx((high - low) / 255, rel=1e-3)
    assert x["zero_point"] == round(-128 - low / x["scale"])
    assert isinstance(output["zero_point"], int)


def test_integer_inputs_and_outputs_are_converted_by_their_scale(integer_content, linear, numbers):
    model = EdgeModel(integer_content)
    (x,), (output,) = model.describe()["inputs"], model.describe()["outputs"]
    interpreter = tf.lite.Interpreter(model_content=integer_content, num_threads=1)
    interpreter.allocate_tensors()  # with the kernels that EdgeModel runs on
    integers = np.clip(np.round(numbers / x["scale"]) + x["zero_point"], -128, 127).astype(np.int8)
    raw = interpreter.get_signature_runner()(x_xf=integers)["output"]
    assert raw.dtype == np.int8
    outputs = model.predict({"x_xf": numbers})
    np.testing.assert_allclose(outputs, (raw.astype(np.float64) - output["zero_point"]) * output["scale"], rtol=1e-5)
    assert np.abs(outputs - linear.predict(numbers, verbose=0)).max() < 3 * output["scale"]


def test_integer_inputs_saturate_instead_of_wrapping(integer_content, numbers):
    model = EdgeModel(integer_content)
    for sign in (-1, 1):
        limit = sign * np.abs(numbers).max() * np.ones((1, 3), np.float32)
        np.testing.assert_array_equal(model.predict({"x_xf": 100 * limit}), model.predict({"x_xf": 1.1 * limit}))


def test_time_is_that_of_one_inference_and_leaves_the_model_usable(binary: Task, content):
    model = EdgeModel(content)
    one = {name: x[:1] for name, x in binary.inputs.items()}
    assert 1e-7 < model.seconds(one, num_runs=20) < 0.1
    np.testing.assert_allclose(model.predict(binary.inputs), binary.predictions(), atol=1e-5)


def chain(num_layers: int) -> keras.Model:
    """Return dense layers of 100 units one after the other."""
    keras.utils.set_random_seed(1)
    x = keras.Input((100,), name="x_xf")
    y = x
    for _ in range(num_layers):
        y = keras.layers.Dense(100, activation="tanh")(y)
    return keras.Model({"x_xf": x}, y)


def test_arena_holds_what_lives_at_the_same_time():
    # 400 bytes a tensor; input and output stay, what lies between takes turns.
    assert 800 <= arena_bytes(to_tflite(chain(1))) <= 1400
    assert 1200 <= arena_bytes(to_tflite(chain(10))) <= 2200


def test_arena_of_integers_is_smaller():
    x = {"x_xf": np.random.default_rng(1).normal(size=(20, 100)).astype(np.float32)}
    integers = to_tflite(chain(10), Conversion(Quantize(kind="int8", io="integer")), x)
    assert 300 <= arena_bytes(integers) <= 700


def test_weights_take_no_arena(binary: Task, content):
    # A table of 9,600 bytes, kernels of 19,000.
    assert 100 < arena_bytes(content) < 2000


def test_bytes_that_are_no_flatbuffer_are_refused(current: bool):
    with pytest.raises(ValueError) as caught:
        EdgeModel(b"no flatbuffer")
    old = "Model provided has model identifier 'latb', should be 'TFL3'"
    assert str(caught.value) == (
        f"The stock TFLite interpreter refuses the model: {'The model is not a valid Flatbuffer buffer' if current else old}. "
        "Only builtin operators run on devices."
    )


@pytest.fixture(scope="module")
def needs_tensorflow() -> bytes:
    """A flatbuffer with an operator that only TensorFlow itself has."""
    function = tf.function(lambda x_xf: {"output": tf.math.tan(x_xf)})
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(tf.TensorSpec([None, 3], name="x_xf"))], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def test_operators_outside_the_builtin_set_are_refused(needs_tensorflow):
    with pytest.raises(ValueError, match="FlexTan"):
        EdgeModel(needs_tensorflow)
