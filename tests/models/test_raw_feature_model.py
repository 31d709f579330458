"""The model that takes raw columns: the same scores as the model behind the transform, with builtin operators only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tensorflow.lite.tools import flatbuffer_utils

from models import tabular
from models.compression.raw_features import joined, raw_columns, raw_transform
from models.heads import Head
from models.serving import inference_function
from preprocessing import ops
from preprocessing.features import EncodedFeature

MISSING = -(2**63)
COLUMNS = ("amount", "area", "payment")


def example(**columns: Sequence[float | int | bytes]) -> bytes:
    features = {}
    for name, values in columns.items():
        if name == "payment":
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        elif name == "area":
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def examples(transformed) -> list[bytes]:
    """The 30 of the training split, and some with missing and unseen values."""
    unseen = [
        example(),
        example(amount=[float("nan")], payment=[b""]),
        example(amount=[1e9], payment=[b"crypto"], area=[99]),
        example(amount=[-3.0], area=[-1]),
        example(payment=[b"cash"], area=[3]),
    ]
    return [*transformed.examples, *unseen]


@pytest.fixture(scope="module")
def raw(transformed, examples) -> dict[str, np.ndarray]:
    return raw_columns(examples, transformed.transform, COLUMNS)


@pytest.fixture(scope="module")
def features(transformed, examples) -> dict[str, np.ndarray]:
    """What the transform itself makes of the examples, {transformed name: (35, width)}."""
    spec = transformed.transform.raw_feature_spec()
    parsed = tf.io.parse_example(tf.constant(examples), {name: spec[name] for name in COLUMNS})
    outputs = transformed.transform.transform_features_layer()(parsed)
    ids = {feature.name: bool(feature.num_ids) for feature in transformed.encoded}
    return {name: outputs[name].numpy().astype(np.int32 if ids[name] else np.float32) for name in ids}


@pytest.fixture(scope="module")
def model(transformed) -> keras.Model:
    """An untrained model; its kernels are large enough for dynamic range quantization."""
    keras.utils.set_random_seed(3)
    return tabular.build(tabular.Config(numeric_units=32, hidden=(64, 32)), transformed.encoded, Head("binary", 2))


@pytest.fixture(scope="module")
def expected(model, features) -> np.ndarray:
    return model(features, training=False).numpy()


def convert(function, module: tf.Module, folder: str, variant: str, representative: Mapping[str, np.ndarray]) -> bytes:
    tf.saved_model.save(module, folder, signatures=function)
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant == "int8":
        rows = range(len(next(iter(representative.values()))))
        converter.representative_dataset = lambda: ({name: x[i : i + 1] for name, x in representative.items()} for i in rows)
    return converter.convert()


@pytest.fixture(scope="module")
def plain(model, features, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Give the model without the transform, by variant."""

    def converted(variant: str) -> bytes:
        return convert(*inference_function(model), str(tmp_path_factory.mktemp(variant)), variant, features)

    return converted


@pytest.fixture(scope="module")
def front(transformed) -> bytes:
    """The transform alone."""
    return raw_transform(transformed.transform, transformed.encoded)


def run(content: bytes, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Run a flatbuffer in an interpreter that has builtin operators only."""
    builtin = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=builtin)
    (output,) = interpreter.get_signature_runner()(**columns).values()
    return output


def custom_operators(content: bytes) -> list[bytes]:
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    return [code.customCode for code in model.operatorCodes if code.customCode]


def test_raw_columns_hold_markers_where_values_are_missing(transformed):
    rows = [example(amount=[1.5], payment=[b"cash"], area=[2]), example(amount=[], payment=[]), example(area=[0])]
    raw = raw_columns(rows, transformed.transform, COLUMNS)
    assert {name: (x.dtype, x.shape) for name, x in raw.items()} == {
        "amount": (np.float32, (3, 1)),
        "area": (np.int64, (3, 1)),
        "payment": (np.dtype(object), (3, 1)),
    }
    np.testing.assert_array_equal(raw["amount"], [[1.5], [np.nan], [np.nan]])
    assert raw["area"].tolist() == [[2], [MISSING], [0]]
    assert raw["payment"].tolist() == [[b"cash"], [b""], [b""]]


def test_raw_columns_of_no_examples_are_empty(transformed):
    raw = raw_columns([], transformed.transform, COLUMNS)
    assert {name: x.shape for name, x in raw.items()} == dict.fromkeys(COLUMNS, (0, 1))


def test_more_than_one_value_of_a_column_is_an_error(transformed):
    rows = [example(area=[1]), example(area=[1, 2, 3])]
    with pytest.raises(ValueError) as caught:
        raw_columns(rows, transformed.transform, ["area"])
    assert str(caught.value) == (
        "Column 'area' has 3 values in example 1; a raw-feature model takes at most one. Use no recipe with `inputs: raw`."
    )


def test_unknown_column_is_an_error(transformed):
    with pytest.raises(ValueError) as caught:
        raw_columns([], transformed.transform, ["amount", "amuont"])
    assert str(caught.value) == (
        "The transform reads no columns ['amuont']. Expected some of: "
        "['amount', 'area', 'paid', 'payment', 'price', 'species']."
    )


def test_joined_float32_model_scores_as_the_keras_model_does(front, plain, raw, expected):
    content = joined(front, plain("float32"))
    assert custom_operators(content) == []
    outputs = run(content, raw)
    assert (outputs.shape, outputs.dtype) == ((35, 1), np.float32)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    for i in (0, 30, 34):
        np.testing.assert_allclose(run(content, {name: x[i : i + 1] for name, x in raw.items()}), outputs[i : i + 1], atol=1e-6)


@pytest.mark.parametrize("variant", ["float32", "float16", "dynamic", "int8"])
def test_joined_model_scores_as_the_quantized_model_does_behind_the_transform(front, plain, raw, features, variant: str):
    back = plain(variant)
    content = joined(front, back)
    assert custom_operators(content) == []
    outputs = run(content, raw)
    assert (outputs.shape, outputs.dtype) == ((35, 1), np.float32)
    # int8 rounds its output to 1/256: the last bit of a z-score may decide which way.
    np.testing.assert_allclose(outputs, run(back, features), atol=1 / 256 + 1e-6 if variant == "int8" else 1e-3)
    assert np.mean(np.abs(outputs - run(back, features)) < 1e-6) > 0.9
    np.testing.assert_allclose(run(content, {name: x[7:8] for name, x in raw.items()}), outputs[7:8], atol=1e-6)


def test_joined_model_names_raw_columns_and_the_models_output(front, plain):
    content = joined(front, plain("float32"))
    runner = tf.lite.Interpreter(model_content=content).get_signature_runner()
    described = {name: (x["dtype"], x["shape_signature"].tolist()) for name, x in runner.get_input_details().items()}
    assert described == {
        "amount": (np.float32, [-1, 1]),
        "area": (np.int64, [-1, 1]),
        "payment": (np.bytes_, [-1, 1]),
    }
    (output,) = runner.get_output_details().items()
    assert (output[0], output[1]["shape_signature"].tolist()) == ("output", [-1, 1])


def test_transform_is_arranged_as_the_model_takes_it(transformed, raw, features):
    def arrange(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"ids": tf.concat([inputs["payment_xf"], inputs["area_xf"]], 1), "amount": inputs["amount_xf"]}

    content = raw_transform(transformed.transform, transformed.encoded, arrange)
    outputs = tf.lite.Interpreter(model_content=content).get_signature_runner()(**raw)
    assert outputs["ids"].dtype == np.int32
    np.testing.assert_array_equal(outputs["ids"], np.concatenate([features["payment_xf"], features["area_xf"]], 1))
    np.testing.assert_allclose(outputs["amount"], features["amount_xf"], atol=1e-6)


def test_column_of_any_name_is_an_input_by_that_name(tmp_path):
    dtypes = {"trip miles (km)": tf.float32, "2x": tf.int64, "Straße": tf.string}

    def transform_fn(inputs: Mapping[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        numbers = [ops.as_float(inputs[name]) for name in ("trip miles (km)", "2x")]
        known = tf.cast(tf.equal(ops.as_text(inputs["Straße"]), "me"), tf.float32)
        return {"all_xf": tf.concat([*numbers, known], axis=1)}

    module = tf.Module()
    specs = {name: tf.SparseTensorSpec([None, None], dtype) for name, dtype in dtypes.items()}
    module.transform_fn = tf.function(transform_fn).get_concrete_function(specs)
    tf.saved_model.save(module, str(tmp_path))
    transform = SimpleNamespace(transform_savedmodel_dir=str(tmp_path))
    content = raw_transform(transform, [EncodedFeature("all_xf", "all", width=3)])
    columns = {"2x": np.array([[7]]), "Straße": np.array([[b"me"]], object), "trip miles (km)": np.array([[0.5]], np.float32)}
    outputs = tf.lite.Interpreter(model_content=content).get_signature_runner()(**columns)
    assert outputs["all_xf"].tolist() == [[0.5, 7.0, 1.0]]


def test_joining_what_does_not_fit_is_an_error(transformed, front, plain):
    others = raw_transform(
        transformed.transform, transformed.encoded, lambda x: {**x, "area_xf": tf.cast(x["area_xf"], tf.int64)}
    )
    with pytest.raises(ValueError) as caught:
        joined(others, plain("float32"))
    assert str(caught.value) == (
        "The transform does not give what the model takes. 'area_xf': expected int32 [-1, 1], got int64 [-1, 1]. "
        "Quantize with `io: float`, and arrange the features as the model does."
    )
    fewer = raw_transform(transformed.transform, [f for f in transformed.encoded if f.feature != "pair"])
    with pytest.raises(ValueError, match=r"'pair_xf': expected int32 \[-1, 1\], got no such output\."):
        joined(fewer, plain("float32"))


def test_model_of_several_subgraphs_cannot_be_put_behind_another(front):
    with pytest.raises(ValueError) as caught:
        joined(front, front)  # fills its vocabulary in a second one
    assert str(caught.value) == "The model has 2 subgraphs; it needs to have one to be put behind another."
