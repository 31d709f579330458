"""LiteRT's quantizer: as good as the converter, with the same proof; and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pydantic
import pytest
import tf_keras as keras
from small_models import Task, from_image, to_tflite
from tensorflow.lite.tools import flatbuffer_utils

from models import metrics
from models.compression import litert
from models.compression.evidence import check_quantized, examine
from models.compression.quantization import Conversion, Quantize
from models.compression.recipes import Recipe
from models.compression.tflite import EdgeModel
from models.heads import Head

TOLERANCE = {"int8": 0.1, "int16x8": 0.03}  # the converter's, in test_quantization
installed = pytest.mark.skipif(not litert.is_installed(), reason="litert-quantizer comes with TFX 1.21's generation.")


def conversion(kind: str, **step) -> Conversion:
    return Conversion(Quantize(kind=kind, quantizer="litert", **step))


@pytest.fixture(scope="module")
def representative(binary: Task) -> Mapping[str, np.ndarray]:
    return {name: x[:200] for name, x in binary.inputs.items()}


@installed
@pytest.mark.parametrize("kind", ["int8", "int16x8"])
def test_variant_predicts_as_the_keras_model_does_and_proves_it(binary: Task, representative, kind: str):
    content = to_tflite(binary.model, conversion(kind), representative)
    outputs = EdgeModel(content).predict(binary.inputs)
    assert np.abs(outputs - binary.predictions()).max() < TOLERANCE[kind]
    assert metrics.auc(binary.labels[:, 0], outputs) > 0.95
    check_quantized(examine(content), conversion(kind))
    converted = to_tflite(binary.model, Conversion(Quantize(kind=kind)), representative)
    assert len(content) < 1.05 * len(converted)


@installed
@pytest.mark.parametrize(("io", "dtype"), [("float", "float32"), ("integer", "int8")])
def test_inputs_and_outputs_have_the_type_that_was_asked_for(binary: Task, representative, io: str, dtype: str):
    described = EdgeModel(to_tflite(binary.model, conversion("int8", io=io), representative)).describe()
    types = {record["name"]: record["dtype"] for record in [*described["inputs"], *described["outputs"]]}
    assert types == {"miles_xf": dtype, "hour_xf": dtype, "company_xf": "int32", "output": dtype}


@installed
def test_ranges_are_those_of_all_examples(binary: Task, representative):
    # A moving average, the library's default, would know little of the first example by the last one.
    extreme = {name: np.concatenate([100 * x[:1] if x.dtype.kind == "f" else x[:1], x]) for name, x in representative.items()}
    described = EdgeModel(to_tflite(binary.model, conversion("int8", io="integer"), extreme)).describe()
    (scale,) = (record["scale"] for record in described["inputs"] if record["name"] == "miles_xf")
    assert scale == pytest.approx(float(np.ptp(np.append(extreme["miles_xf"], 0.0))) / 255, rel=0.02)


@installed
def test_tables_that_dynamic_leaves_in_float_are_told(binary: Task):
    content = to_tflite(binary.model, conversion("dynamic"))
    with pytest.raises(ValueError, match=r"dynamic left kernels in float32: .*LiteRT's quantizer leaves tables of embeddings"):
        check_quantized(examine(content), conversion("dynamic"))


@installed
def test_dense_kernels_have_one_scale_and_convolutions_one_a_channel_unless_clustered():
    def layers(x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.Dense(24, "relu")(keras.layers.Flatten()(keras.layers.Conv2D(8, 3, activation="relu")(x)))

    model = from_image(Head("binary", 2), (8, 8, 1), layers)
    images = {"image_xf": np.random.default_rng(1).random((50, 8, 8, 1)).astype(np.float32)}
    step = Quantize(kind="int8", quantizer="litert")
    for quantized, per_channel in ((step, True), (step, False), (Quantize(kind="int8"), True)):
        content = to_tflite(model, Conversion(quantized, per_channel=per_channel), images)
        (graph,) = flatbuffer_utils.convert_bytearray_to_object(bytearray(content)).subgraphs
        scales = {len(x.shape): len(x.quantization.scale) for x in graph.tensors if tuple(x.shape) in ((8, 3, 3, 1), (24, 288))}
        assert scales == {4: 8 if per_channel else 1, 2: 1}


@installed
def test_calibration_without_examples_is_an_error(binary: Task):
    with pytest.raises(ValueError, match="needs representative examples, got none"):
        to_tflite(binary.model, conversion("int8"), {})


def test_quantizer_that_is_not_there_is_told(binary: Task, representative, monkeypatch):
    monkeypatch.setattr(litert, "is_installed", lambda: False)
    with pytest.raises(ValueError, match=r"needs the package litert-quantizer, which TFX 1\.21's generation has"):
        to_tflite(binary.model, conversion("int8"), representative)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"kind": "float16"}, "`quantizer: litert` does not go with float16. Use `quantizer: converter`."),
        ({"kind": "int8", "sparse": True}, "`quantizer: litert` does not go with `sparse: true`."),
    ],
)
def test_what_it_cannot_do_is_refused(step, said: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        Quantize(quantizer="litert", **step)
    assert said in str(caught.value)


def test_quantization_aware_training_needs_the_converter():
    steps = ["quantize_aware", {"kind": "int8", "quantizer": "litert"}]
    with pytest.raises(pydantic.ValidationError, match="puts ranges into the model that only the converter reads"):
        Recipe.model_validate(steps)


def test_recipes_of_both_quantizers_have_names_of_their_own():
    names = [Recipe.model_validate(steps).name for steps in (["int8"], [{"kind": "int8", "quantizer": "litert"}])]
    assert names == ["int8", "int8-litert"]
