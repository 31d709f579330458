"""Quantization-aware training: every layer that can be is quantized, those that cannot are named, and the model works."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras as keras
from small_models import Subclassed, Task, from_image, functional, nested, to_tflite, trainer

from models import metrics
from models.compression.evidence import Evidence, check_quantized, examine
from models.compression.packing import Pack, pack
from models.compression.quantization import Conversion, Quantize
from models.compression.quantization_aware import QuantizeAware, QuantizedModel, quantize_aware
from models.compression.tflite import EdgeModel
from models.heads import Head

TRAINED = Conversion(trained=True)
HEAD = Head("multiclass", 3)
STEP = QuantizeAware(epochs=1)
layers = keras.layers


def of_image(body: Callable[[keras.KerasTensor], keras.KerasTensor], step: QuantizeAware = STEP, **keep) -> QuantizedModel:
    """Quantize a model of (6, 6, 4) images."""
    x = np.random.default_rng(1).normal(size=(50, 6, 6, 4)).astype(np.float32)
    labels = np.arange(50)[:, np.newaxis] % 3
    return quantize_aware(from_image(HEAD, (6, 6, 4), body), step, trainer({"image_xf": x}, labels, HEAD), **keep)


def checked(quantized: QuantizedModel) -> Evidence:
    """Convert and check as the stage does."""
    evidence = examine(to_tflite(quantized.model, TRAINED))
    check_quantized(evidence, TRAINED, quantized.left_in_float)
    return evidence


@pytest.fixture(scope="module")
def aware(binary: Task) -> QuantizedModel:
    # What is required can be quantized here.
    step = QuantizeAware(epochs=3, require=("hidden_0", "company_xf_embedding"))
    return quantize_aware(binary.model, step, binary.trainer())


@pytest.fixture(scope="module")
def content(aware) -> bytes:
    return to_tflite(aware.model, TRAINED)


def test_every_weight_is_int8_the_embedding_among_them(aware, content):
    assert aware.left_in_float == ()
    assert {weight.size: weight.dtype for weight in examine(content).weights} == dict.fromkeys(
        (32, 96, 2048, 2400, 2560), "INT8"
    )


def test_embedding_uses_its_whole_range(content):
    # Calibrated after training instead, it gets the scale of what it is joined with, and a few dozen values.
    (table,) = [weight for weight in examine(content).weights if weight.size == 2400]
    assert table.distinct > 150


def test_inputs_and_outputs_stay_float_and_ids_integers(content):
    described = EdgeModel(content).describe()
    types = {record["name"]: record["dtype"] for record in [*described["inputs"], *described["outputs"]]}
    assert types == {"miles_xf": "float32", "hour_xf": "float32", "company_xf": "int32", "output": "float32"}


def test_flatbuffer_predicts_as_the_trained_model_does(binary: Task, aware, content):
    outputs = EdgeModel(content).predict(binary.inputs)
    assert np.abs(outputs - binary.predictions(aware.model)).mean() < 0.02
    assert metrics.auc(binary.labels[:, 0], outputs) > 0.95


def test_flatbuffer_with_integer_inputs_and_outputs(binary: Task, aware):
    model = EdgeModel(to_tflite(aware.model, Conversion(Quantize(kind="int8", io="integer"), trained=True)))
    described = model.describe()
    types = {record["name"]: record["dtype"] for record in [*described["inputs"], *described["outputs"]]}
    assert types == {"miles_xf": "int8", "hour_xf": "int8", "company_xf": "int32", "output": "int8"}
    assert np.abs(model.predict(binary.inputs) - binary.predictions(aware.model)).mean() < 0.02


def test_original_model_is_left_as_it_is(binary: Task, aware):
    for now, was in zip(binary.model.get_weights(), binary.original, strict=True):
        np.testing.assert_array_equal(now, was)


def test_ids_are_looked_up_unharmed():
    # Quantized like a number, 300 ids would become 256 values at most, and those that are out of range all the same.
    model = functional(
        Head("regression"),
        {"ids_xf": ((1,), "int32")},
        lambda x: layers.Flatten()(layers.Embedding(300, 4, name="table")(x["ids_xf"])),
    )
    slope = np.linspace(-2, 2, 300)[:, np.newaxis]
    model.set_weights([np.repeat(slope, 4, axis=1), np.full((4, 1), 0.5), np.zeros(1)])
    ids = np.arange(300, dtype=np.int32)[:, np.newaxis]
    trained = trainer({"ids_xf": ids}, 2 * slope, Head("regression"), learning_rate=1e-9)
    quantized = quantize_aware(model, QuantizeAware(epochs=2), trained)
    outputs = EdgeModel(to_tflite(quantized.model, TRAINED)).predict({"ids_xf": ids})
    assert np.abs(outputs - 2 * slope).max() < 0.1


@pytest.mark.parametrize(
    ("name", "merge"),
    [
        ("quant_concatenate", lambda a, b: layers.Concatenate()([a, b])),
        ("quant_multiply", lambda a, b: layers.Multiply()([a, layers.Activation("sigmoid")(b)])),
        ("quant_layer_normalization", lambda a, b: layers.LayerNormalization()(layers.Add()([a, b]))),
    ],
)
def test_layers_with_a_config_of_their_own(name: str, merge: Callable):
    def body(image: keras.KerasTensor) -> keras.KerasTensor:
        flat = layers.Flatten()(image)
        return layers.Dense(24, "relu")(merge(layers.Dense(16, "relu")(flat), layers.Dense(16)(flat)))

    quantized = of_image(body)
    assert any(layer.name.startswith(name) for layer in quantized.model.layers)
    assert quantized.left_in_float == ()
    assert {weight.dtype for weight in checked(quantized).weights} == {"INT8"}


def _rescaled(image: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(2.0)(image)))


def _normalized_after_activation(image: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Flatten()(layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(image)))


def _normalized_before_activation(image: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Flatten()(layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3)(image))))


def _depthwise(image: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Flatten()(layers.ReLU()(layers.DepthwiseConv2D(3, depth_multiplier=2)(image)))


@pytest.mark.parametrize(
    ("body", "keep"),
    [
        (_rescaled, {}),
        (_rescaled, {"sparse": True}),
        (_rescaled, {"clustered": True}),
        (_normalized_after_activation, {}),
        (_normalized_after_activation, {"sparse": True}),
        (_normalized_before_activation, {}),
        (_normalized_before_activation, {"sparse": True}),
        (_depthwise, {"sparse": True}),
        (_depthwise, {"clustered": True}),
    ],
)
def test_usual_networks_are_quantized_as_a_whole(body: Callable, keep: dict[str, bool]):
    quantized = of_image(body, **keep)
    assert quantized.left_in_float == ()
    assert {weight.dtype for weight in checked(quantized).weights if weight.size > 8} == {"INT8"}


def _attention(image: keras.KerasTensor) -> keras.KerasTensor:
    rows = layers.Reshape((6, 24))(image)
    return layers.Dense(8, name="behind")(layers.Flatten()(layers.MultiHeadAttention(2, 4, name="attention")(rows, rows)))


def _recurrent(image: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(8, name="dense")(layers.LSTM(8, name="recurrent")(layers.Reshape((6, 24))(image)))


def test_recurrent_layer_stays_in_float_and_is_named():
    assert of_image(_recurrent).left_in_float == ("recurrent",)


def test_kernels_that_stay_in_float_belong_to_layers_that_are_named():
    quantized = of_image(_attention)
    assert "attention" in quantized.left_in_float
    assert "logits" not in quantized.left_in_float
    weights = {weight.size: weight.dtype for weight in checked(quantized).weights}
    assert weights[8 * 3] == "INT8"
    assert weights[6 * 24 * 8] == "INT8" or "behind" in quantized.left_in_float


def test_functions_between_layers_stay_in_float_and_are_named_when_zeros_are_kept():
    body = lambda x: layers.Dense(8)(keras.activations.softplus(layers.Flatten()(x)) * 2.0)  # noqa: E731
    left = of_image(body, sparse=True).left_in_float
    assert {"tf.math.softplus", "tf.math.multiply"} <= {name.rstrip("_0123456789") for name in left}


def test_required_layer_that_stays_in_float_is_an_error():
    with pytest.raises(ValueError) as caught:
        of_image(_recurrent, QuantizeAware(epochs=1, require=("recurrent", "dense")))
    assert str(caught.value) == (
        "quantize_aware: these layers cannot be quantized: recurrent (LSTM). Remove them from `require` or the model."
    )


def test_required_layer_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="recurent"):
        of_image(_recurrent, QuantizeAware(epochs=1, require=("recurent",)))


def test_model_without_a_layer_to_quantize_is_an_error():
    x = keras.Input((6, 4), name="x_xf")
    model = keras.Model({"x_xf": x}, layers.Softmax()(layers.LSTM(3)(x)))
    with pytest.raises(ValueError) as caught:
        quantize_aware(model, STEP, trainer({"x_xf": np.zeros((50, 6, 4))}, np.zeros((50, 1)), HEAD))
    assert str(caught.value) == (
        "quantize_aware: the model has no layer with weights that can be quantized; use `int8` instead."
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Subclassed, r"^quantize_aware: the model 'opaque' is a subclassed Subclassed"),
        (nested, r"^quantize_aware: layer 'inner' is a model inside"),
    ],
)
def test_model_that_cannot_be_wrapped_is_refused(binary: Task, model: Callable, message: str):
    with pytest.raises(ValueError, match=message):
        quantize_aware(model(), STEP, binary.trainer())


def test_packed_model_is_quantized_with_its_table(binary: Task):
    packed = pack(binary.model, Pack())
    inputs = packed.layout.pack(binary.inputs)
    quantized = quantize_aware(packed.model, STEP, trainer(inputs, binary.labels, binary.head))
    assert quantized.left_in_float == ()
    content = to_tflite(quantized.model, TRAINED)
    assert {weight.size: weight.dtype for weight in examine(content).weights} == dict.fromkeys(
        (32, 96, 2048, 2400, 2560), "INT8"
    )
    outputs = EdgeModel(content).predict(inputs)
    assert np.abs(outputs - quantized.model.predict(inputs, verbose=0)).mean() < 0.02
    assert metrics.auc(binary.labels[:, 0], outputs) > 0.9
