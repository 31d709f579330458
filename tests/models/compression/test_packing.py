"""Packing: the same outputs from two inputs and one table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras
from small_models import Subclassed, Task, functional, nested, to_tflite

from models import serving, tabular
from models.compression.evidence import examine
from models.compression.packed_embedding import PackedEmbedding
from models.compression.packing import Layout, Pack, pack
from models.compression.tflite import EdgeModel
from models.heads import Head
from preprocessing.features import EncodedFeature

HEAD = Head("binary", 2)
NUM_ROWS = 40
Inputs = dict[str, Any]
layers = keras.layers


def number(name: str, width: int = 1) -> EncodedFeature:
    return EncodedFeature(name, name, width=width)


def ids(name: str, num_ids: int, width: int = 1) -> EncodedFeature:
    return EncodedFeature(name, name, num_ids=num_ids, width=width)


def rows(features: list[EncodedFeature]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        f.name: random.integers(0, f.num_ids, (NUM_ROWS, f.width)).astype(np.int32)
        if f.num_ids
        else random.normal(size=(NUM_ROWS, f.width)).astype(np.float32)
        for f in features
    }


def network(features: list[EncodedFeature], **config) -> keras.Model:
    keras.utils.set_random_seed(1)
    return tabular.build(tabular.Config(**{"embedding_dim": 8, "numeric_units": 8, "hidden": (16,), **config}), features, HEAD)


@pytest.mark.parametrize(
    ("features", "layout"),
    [
        ([number("a"), number("b"), ids("c", 60), ids("d", 90)], Layout(("a", "b"), ("c", "d"))),
        # Tables of 2, 8 and 5 columns: the narrow ones are filled up.
        ([ids("c", 3), number("a"), ids("d", 200), ids("e", 17)], Layout(("a",), ("c", "d", "e"))),
        ([ids("c", 60), ids("d", 5)], Layout((), ("c", "d"))),
        ([number("a"), number("b", 2)], Layout(("a", "b"), ())),
        ([number("a", 2), ids("c", 60), number("b", 2)], Layout(("a", "b"), ("c",))),
        ([number("a"), ids("c", 9)], Layout(("a",), ("c",))),
    ],
)
def test_packed_model_says_the_same(features: list[EncodedFeature], layout: Layout):
    model, x = network(features), rows(features)
    packed = pack(model, Pack())
    assert packed.layout == layout
    assert sorted(packed.model.input) == sorted(layout.inputs)
    np.testing.assert_allclose(packed.model.predict(layout.pack(x), verbose=0), model.predict(x, verbose=0), rtol=0, atol=1e-6)


def test_all_tables_become_one():
    packed = pack(network([ids("c", 3), ids("d", 200), ids("e", 17)]), Pack()).model
    (table,) = [layer for layer in packed.layers if isinstance(layer, PackedEmbedding)]
    assert table.offsets == [0, 3, 203]
    assert table.get_weights()[0].shape == (220, 8)
    assert not any(isinstance(layer, layers.Embedding) for layer in packed.layers)


def test_pruned_model_keeps_its_zeros_and_its_outputs(binary: Task, pruned):
    packed = pack(pruned, Pack())
    outputs = packed.model.predict(packed.layout.pack(binary.inputs), verbose=0)
    np.testing.assert_allclose(outputs, binary.predictions(pruned), rtol=0, atol=1e-6)
    for layer in ("hidden_0", "hidden_1"):
        kernels = [np.sum(model.get_layer(layer).get_weights()[0] == 0) for model in (pruned, packed.model)]
        assert kernels[0] == kernels[1]


def test_original_model_is_left_as_it_is(binary: Task):
    pack(binary.model, Pack())
    for now, was in zip(binary.model.get_weights(), binary.original, strict=True):
        np.testing.assert_array_equal(now, was)


def test_layout_packs_arrays_and_tensors_in_its_own_order():
    layout = Layout(("b", "a"), ("c",))
    arrays = {
        "a": np.array([[1.0], [2.0]]),
        "b": np.array([[3.0, 4.0], [5.0, 6.0]]),
        "c": np.array([[7], [8]]),
        "d": np.zeros(2),
    }
    packed = layout.pack(arrays)
    assert {name: x.tolist() for name, x in packed.items()} == {
        "numbers": [[3.0, 4.0, 1.0], [5.0, 6.0, 2.0]],
        "ids": [[7], [8]],
    }
    assert all(isinstance(x, np.ndarray) for x in packed.values())
    tensors = layout.pack({name: tf.constant(x) for name, x in arrays.items()})
    assert all(tf.is_tensor(x) for x in tensors.values())
    assert {name: x.numpy().tolist() for name, x in tensors.items()} == {name: x.tolist() for name, x in packed.items()}


def test_inputs_of_a_layout_leave_out_what_is_empty():
    assert Layout((), ("c",)).inputs == {"ids": ("c",)}
    assert Layout().inputs == {}


def test_packed_model_survives_a_keras_file(binary: Task, tmp_path: Path):
    packed = pack(binary.model, Pack())
    file = os.path.join(tmp_path, "packed.keras")
    packed.model.save(file)
    outputs = serving.load_keras(file).predict(packed.layout.pack(binary.inputs), verbose=0)
    np.testing.assert_allclose(outputs, binary.predictions(), rtol=0, atol=1e-6)


def test_flatbuffer_has_two_inputs_and_is_smaller():
    features = [number("a"), number("b"), number("f"), ids("c", 9), ids("d", 30), ids("e", 30)]
    model, x = network(features), rows(features)
    packed = pack(model, Pack())
    content, original = to_tflite(packed.model), to_tflite(model)
    described = EdgeModel(content).describe()["inputs"]
    assert sorted((r["name"], r["dtype"], r["shape"]) for r in described) == [
        ("ids", "int32", [-1, 3]),
        ("numbers", "float32", [-1, 3]),
    ]
    np.testing.assert_allclose(EdgeModel(content).predict(packed.layout.pack(x)), model.predict(x, verbose=0), atol=1e-5)
    assert len(content) < len(original)
    assert examine(content).operators["GATHER"] == 1
    assert examine(original).operators["GATHER"] == 3


SPEC = {"a": ((1,), "float32"), "z": ((1,), "float32"), "c": ((1,), "int32"), "d": ((1,), "int32")}


def looked_up(x: Inputs, name: str, dim: int = 4) -> keras.KerasTensor:
    return layers.Flatten()(layers.Embedding(9, dim)(x[name]))


def _shared_table(x: Inputs) -> keras.KerasTensor:
    table = layers.Embedding(9, 4, name="shared")
    return layers.Dense(8)(layers.Concatenate()([layers.Flatten()(table(x["c"])), layers.Flatten()(table(x["d"])), x["a"]]))


def _function(x: Inputs) -> keras.KerasTensor:
    return layers.Dense(8)(layers.Concatenate()([x["a"], looked_up(x, "c"), looked_up(x, "d")])) * 2.0


def _pooled(x: Inputs) -> keras.KerasTensor:
    stacked = layers.Concatenate(axis=1)([layers.Embedding(9, 4)(x["c"]), layers.Embedding(9, 4)(x["d"])])
    return layers.Dense(8)(layers.GlobalAveragePooling1D(name="mean")(stacked))


def _several_ids(x: Inputs) -> keras.KerasTensor:
    return layers.Dense(8)(layers.Concatenate()([x["a"], looked_up(x, "wide")]))


def _normalized(x: Inputs) -> keras.KerasTensor:
    joined = layers.Concatenate()([looked_up(x, "c", 4), looked_up(x, "d", 3)])
    return layers.Dense(8)(layers.LayerNormalization(name="norm")(joined))


@pytest.mark.parametrize(
    ("inputs", "body", "reason"),
    [
        ("c", lambda x: looked_up(x, "c"), "the model 'model.*' has one input: there is nothing to join."),
        (
            "az",
            lambda x: layers.Concatenate()([layers.Dense(4, name="one")(x["a"]), layers.Dense(4, name="two")(x["z"])]),
            r"layer 'two' \(Dense\) reads \['z'\] in a way of its own.",
        ),
        (
            "ac",
            lambda x: layers.Concatenate()([layers.Dense(4)(x["a"]), layers.Rescaling(1.0)(x["c"])]),
            "the ids 'c' go through no Embedding.",
        ),
        ("cd", _normalized, r"the embeddings have different widths and go into 'norm' \(LayerNormalization\), not into Dense."),
        ("acd", _shared_table, ".*shared.*"),
        ("acd", _function, ".*multiply.*"),
        ("cd", _pooled, ".*"),
        (("a", "wide"), _several_ids, ".*wide.*"),
    ],
)
def test_model_of_another_shape_is_refused_or_left_as_it_is(
    inputs: str, body: Callable[[Inputs], keras.KerasTensor], reason: str
):
    spec = {name: {**SPEC, "wide": ((2,), "int32")}[name] for name in inputs}
    model = functional(HEAD, spec, body)
    with pytest.raises(ValueError, match=rf"^pack: {reason} Leave `pack` out of the recipe\.$"):
        pack(model, Pack())
    left = pack(model, Pack(required=False))
    assert left.model is model
    assert left.layout == Layout()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Subclassed, r"^pack: the model 'opaque' is a subclassed Subclassed"),
        (nested, r"^pack: layer 'inner' is a model inside"),
    ],
)
def test_model_that_cannot_be_rebuilt_is_refused(model: Callable[[], keras.Model], message: str):
    with pytest.raises(ValueError, match=message):
        pack(model(), Pack())


def test_mistaken_packing_is_refused():
    with pytest.raises(pydantic.ValidationError, match="Extra inputs are not permitted"):
        Pack.model_validate({"optional": True})
