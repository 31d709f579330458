"""Evidence: counted in flatbuffers whose weights are known, and what it holds against a technique that did not act."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from small_models import Task, functional, kernel, to_tflite

from models.compression.evidence import Evidence, Weight, check_kept, check_quantized, compacted, examine
from models.compression.layers import kernels
from models.compression.quantization import Conversion, Quantize
from models.compression.tflite import EdgeModel
from models.heads import Head


def weights_of(*weights: tuple[str, int, int, int], activations: Mapping[str, int] | None = None) -> Evidence:
    """Return evidence of weights (dtype, size, zeros, distinct); some activations are INT8 unless told otherwise."""
    named = tuple(Weight(f"w{i}", *weight) for i, weight in enumerate(weights))
    return Evidence(named, {"INT8": 1} if activations is None else activations, {}, 0)


def post_training(kind: str) -> Conversion:
    return Conversion(Quantize(kind=kind))


TRAINED = Conversion(trained=True)


@pytest.fixture(scope="module")
def known() -> keras.Model:
    """A kernel (64, 32) with 1,500 zeros and five values, then one (32, 1) of 32 values."""
    model = functional(
        Head("binary", 2), {"x_xf": ((64,), "float32")}, lambda x: keras.layers.Dense(32, "relu", name="dense")(x["x_xf"])
    )
    values = np.zeros(64 * 32, np.float32)
    values[1500:] = np.resize([1.0, -1.0, 0.5, -0.25], 548)
    np.random.default_rng(1).shuffle(values)
    model.get_layer("dense").set_weights([values.reshape(64, 32), np.linspace(-1, 1, 32)])
    model.get_layer("logits").set_weights([np.linspace(0.1, 1, 32)[:, np.newaxis], np.zeros(1)])
    return model


@pytest.fixture(scope="module")
def examples() -> dict[str, np.ndarray]:
    return {"x_xf": np.random.default_rng(1).normal(size=(50, 64)).astype(np.float32)}


@pytest.mark.parametrize(
    ("kind", "large", "small"),
    [
        (None, ("FLOAT32", 2048, 1500, 5), ("FLOAT32", 32, 0, 32)),
        ("float16", ("FLOAT16", 2048, 1500, 5), ("FLOAT16", 32, 0, 32)),
        ("dynamic", ("INT8", 2048, 1500, 5), ("FLOAT32", 32, 0, 32)),
        ("int8", ("INT8", 2048, 1500, 5), ("INT8", 32, 0, 32)),
    ],
)
def test_known_weights_are_counted(known, examples, kind: str | None, large: tuple, small: tuple):
    evidence = examine(to_tflite(known, post_training(kind) if kind else None, examples))
    found = {(weight.dtype, weight.size, weight.zeros, weight.distinct) for weight in evidence.weights}
    assert found == {large, small}
    assert evidence.sparsity == pytest.approx(1500 / 2080)


def test_operators_activations_and_parameters_are_counted(known):
    evidence = examine(to_tflite(known))
    assert evidence.operators == {"FULLY_CONNECTED": 2, "LOGISTIC": 1}
    assert evidence.activations == {"FLOAT32": 4}  # input, hidden, logits, output
    # Where a layer's bias is zero, it is left out.
    assert evidence.parameters in (2048 + 32 + 32, 2048 + 32 + 32 + 1)
    assert evidence.to_dict()["sparsity"] == evidence.sparsity
    assert evidence.to_dict()["operators"] == evidence.operators


def test_sparse_encoding_changes_no_count(known, examples):
    dense, sparse = (
        examine(to_tflite(known, Conversion(Quantize(kind="int8", sparse=flag)), examples)) for flag in (False, True)
    )
    assert sparse.operators["DENSIFY"] == 1
    counts = [sorted((w.dtype, w.size, w.zeros, w.distinct) for w in evidence.weights) for evidence in (dense, sparse)]
    assert counts[0] == counts[1]


def test_zeros_are_counted_where_zero_is_not_stored_as_0():
    # A table that is positive apart from its zeros gets a zero point of its own.
    model = functional(
        Head("binary", 2),
        {"ids_xf": ((1,), "int32")},
        lambda x: keras.layers.Flatten()(keras.layers.Embedding(300, 8, name="table")(x["ids_xf"])),
    )
    table = np.abs(np.random.default_rng(1).normal(size=(300, 8))) + 0.5
    table[:200] = 0
    model.get_layer("table").set_weights([table])
    evidence = examine(to_tflite(model, post_training("int8"), {"ids_xf": np.arange(300, dtype=np.int32)[:, np.newaxis]}))
    (found,) = [weight for weight in evidence.weights if weight.size == 2400]
    assert (found.dtype, found.zeros) == ("INT8", 1600)


def test_custom_operators_are_refused():
    function = tf.function(lambda x_xf: {"output": tf.math.tan(x_xf)})
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(tf.TensorSpec([None, 3], name="x_xf"))], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    with pytest.raises(ValueError) as caught:
        examine(converter.convert())
    assert str(caught.value) == "The model needs operators that no stock interpreter has: ['FlexTan']."


@pytest.mark.parametrize(
    ("conversion", "weights", "message"),
    [
        (
            post_training("dynamic"),
            [("FLOAT32", 96, 0, 96)],
            "dynamic did nothing: the weights are ['FLOAT32'], none is INT8. Kernels may be too small for it.",
        ),
        (
            post_training("float16"),
            [("INT8", 9, 0, 9), ("FLOAT32", 9, 0, 9)],
            "float16 did nothing: the weights are ['FLOAT32', 'INT8'], none is FLOAT16. Kernels may be too small for it.",
        ),
        (post_training("int8"), [], "int8 did nothing: the weights are [], none is INT8. Kernels may be too small for it."),
        (TRAINED, [("INT8", 9, 0, 9), ("FLOAT32", 12, 0, 9)], "int8 left kernels in float32: w1 (12)."),
        (
            Conversion(Quantize(kind="int8", sparse=True)),
            [("INT8", 9, 0, 9)],
            "`sparse: true` found no kernel with enough zeros to encode. Put `prune` before it, or leave it out.",
        ),
        (
            post_training("dynamic"),
            [("INT8", 9, 0, 9), ("FLOAT32", 1024, 0, 9), ("FLOAT32", 2048, 0, 9)],
            "dynamic left kernels in float32: w1 (1,024), w2 (2,048).",
        ),
    ],
)
def test_quantization_that_did_not_act_is_an_error(conversion: Conversion, weights: list, message: str):
    with pytest.raises(ValueError) as caught:
        check_quantized(weights_of(*weights), conversion)
    assert str(caught.value) == message


@pytest.mark.parametrize(("kind", "wanted"), [("int8", "INT8"), ("int16x8", "INT16")])
def test_activations_that_stayed_in_float_are_an_error(kind: str, wanted: str):
    evidence = weights_of(("INT8", 9, 0, 9), activations={"FLOAT32": 3, "INT32": 1})
    with pytest.raises(ValueError) as caught:
        check_quantized(evidence, post_training(kind))
    assert str(caught.value) == (f"{kind} did nothing to the activations: none is {wanted}, they are ['FLOAT32', 'INT32'].")


def test_layers_left_in_float_excuse_no_other_layer():
    weights = weights_of(("INT8", 9, 0, 9), ("FLOAT32", 2048, 0, 9), ("FLOAT32", 64, 0, 9))
    check_quantized(weights, TRAINED, ["lstm"], {"w0"})
    with pytest.raises(ValueError, match=r"^int8 left kernels in float32: w2 \(64\)\.$"):
        check_quantized(weights, TRAINED, ["lstm"], {"w0", "w2"})


def test_quantization_that_acted_passes():
    check_quantized(weights_of(("FLOAT32", 9, 0, 9)), Conversion())
    check_quantized(weights_of(("INT8", 2048, 0, 9), ("FLOAT32", 1023, 0, 9)), post_training("dynamic"))
    check_quantized(weights_of(("INT8", 9, 0, 9), ("INT16", 9, 0, 9), activations={"INT16": 1}), post_training("int16x8"))
    check_quantized(weights_of(("INT8", 9, 0, 9), ("FLOAT32", 2048, 0, 9)), TRAINED, ["lstm"])


def test_layers_left_in_float_do_not_excuse_quantizing_nothing():
    with pytest.raises(ValueError, match=r"^int8 did nothing: the weights are \['FLOAT32'\]"):
        check_quantized(weights_of(("FLOAT32", 2048, 0, 9)), TRAINED, ["lstm"])


@pytest.mark.parametrize(
    ("weights", "notes", "message"),
    [
        (
            [("INT8", 2000, 1900, 9), ("INT8", 2000, 979, 9)],
            {"zeros": {"w0": 1000, "w1": 1000}},
            "pruning made 1,000 zeros in layer 'w1', 979 are left in the converted model.",
        ),
        (
            [("INT8", 2000, 0, 17), ("INT8", 2000, 0, 18)],
            {"clustered": {"w0": 16, "w1": 16}},
            "clustering left 16 values in layer 'w1', the converted model has 18.",
        ),
        (
            [("INT8", 2000, 0, 3)],
            {"clustered": {"w0": 16, "gone": 16}},
            "The converted model has no kernels of the layers ['gone'], so what was done to them is lost.",
        ),
    ],
)
def test_zeros_or_clusters_that_were_lost_are_an_error(weights: list, notes: dict, message: str):
    with pytest.raises(ValueError) as caught:
        check_kept(weights_of(*weights), notes)
    assert str(caught.value) == message


def test_zeros_and_clusters_that_were_kept_pass():
    check_kept(weights_of(("INT8", 2000, 980, 17)), {"zeros": {"w0": 1000}, "clustered": {"w0": 16}})
    check_kept(weights_of(("FLOAT32", 2000, 0, 2000)), {})


def test_pruned_and_clustered_models_pass_their_own_check_and_others_do_not(binary: Task, pruned_and_clustered):
    layers = ("hidden_0", "hidden_1")
    zeros = {layer: int(np.sum(kernel(pruned_and_clustered, layer) == 0)) for layer in layers}
    check_kept(
        examine(to_tflite(pruned_and_clustered), kernels(pruned_and_clustered)),
        {"zeros": zeros, "clustered": dict.fromkeys(layers, 16)},
    )
    others = examine(to_tflite(binary.model), kernels(binary.model))
    with pytest.raises(ValueError, match=r"^pruning made [12],\d\d\d zeros in layer 'hidden_0', \d are left"):
        check_kept(others, {"zeros": zeros})
    with pytest.raises(ValueError, match=r"^clustering left 16 values in layer 'hidden_0', the converted model has 2\d\d\d\.$"):
        check_kept(others, {"clustered": dict.fromkeys(layers, 16)})


@pytest.mark.parametrize(
    ("kind", "sparse"), [(None, False), ("dynamic", False), ("int8", False), ("float16", False), ("int8", True)]
)
def test_weights_are_named_after_their_layers(kind: str | None, sparse: bool):
    # Two layers of one size: only their numbers tell them apart.
    model = functional(
        Head("binary", 2),
        {"x_xf": ((40,), "float32")},
        lambda x: keras.layers.Dense(40, "relu", name="second")(keras.layers.Dense(40, "relu", name="first")(x["x_xf"])),
    )
    model.get_layer("first").set_weights([np.eye(40), np.zeros(40)])  # 40 numbers, all others zero
    examples = {"x_xf": np.random.default_rng(1).normal(size=(20, 40)).astype(np.float32)}
    conversion = Conversion(Quantize(kind=kind, sparse=sparse)) if kind else None
    # In both orders: what comes first must not decide.
    evidence = examine(to_tflite(model, conversion, examples), dict(reversed(kernels(model).items())))
    assert examine(to_tflite(model, conversion, examples), kernels(model)) == evidence
    zeros = {weight.name: weight.zeros for weight in evidence.weights if weight.size == 1600}
    assert zeros["first"] == 1560
    assert zeros["second"] < 100


@pytest.mark.parametrize("kind", [None, "int8"])
def test_compacted_flatbuffer_is_smaller_and_says_the_same(binary: Task, kind: str | None):
    content = to_tflite(binary.model, post_training(kind) if kind else None, {n: x[:50] for n, x in binary.inputs.items()})
    small = compacted(content)
    assert len(small) < len(content) - 500
    before, after = EdgeModel(content), EdgeModel(small)
    assert after.describe() == before.describe()
    np.testing.assert_array_equal(after.predict(binary.inputs), before.predict(binary.inputs))
    assert [(w.dtype, w.size, w.zeros, w.distinct) for w in examine(small).weights] == [
        (w.dtype, w.size, w.zeros, w.distinct) for w in examine(content).weights
    ]
    assert {weight.name for weight in examine(small).weights} == {""}
