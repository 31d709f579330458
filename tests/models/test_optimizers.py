"""The fused Adam and AdamW do what those of Keras do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import optimizers

PAIRS = {
    "adam": (keras.optimizers.Adam, optimizers.Adam, {}),
    "adamw": (keras.optimizers.AdamW, optimizers.AdamW, {"weight_decay": 0.05}),
    "clipped": (keras.optimizers.AdamW, optimizers.AdamW, {"weight_decay": 0.05, "global_clipnorm": 0.1}),
    "amsgrad": (keras.optimizers.Adam, optimizers.Adam, {"amsgrad": True}),
    "average": (keras.optimizers.AdamW, optimizers.AdamW, {"weight_decay": 0.05, "use_ema": True}),
}


def _model() -> keras.Model:
    keras.utils.set_random_seed(5)
    ids, numbers = keras.Input((2,), dtype="int32"), keras.Input((3,))
    rows = keras.layers.Flatten()(keras.layers.Embedding(7, 4)(ids))
    hidden = keras.layers.Dense(8, "relu")(keras.layers.Concatenate()([rows, numbers]))
    return keras.Model([ids, numbers], keras.layers.Dense(1)(hidden))


def _batches() -> list[tuple[list[np.ndarray], np.ndarray]]:
    random = np.random.default_rng(1)
    # Ids repeat within a row and a batch, and one is never seen.
    return [
        ([random.integers(0, 6, (16, 2)).astype(np.int32), numbers[:, 1:]], numbers[:, :1])
        for numbers in random.normal(size=(12, 16, 4)).astype(np.float32)
    ]


def _trained(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model = _model()
    model.compile(optimizer, "mse")
    for position, (inputs, label) in enumerate(_batches()):
        model.optimizer.learning_rate.assign(0.02 if position < 6 else 0.005)
        model.train_on_batch(inputs, label)
    return model


@pytest.mark.parametrize("pair", PAIRS)
def test_weights_and_state_are_those_of_keras(pair: str):
    of_keras, fused, options = PAIRS[pair]
    expected, found = _trained(of_keras(**options)), _trained(fused(**options))
    assert [v.shape for v in found.optimizer.variables] == [v.shape for v in expected.optimizer.variables]
    for x, y in zip(found.optimizer.variables, expected.optimizer.variables, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=3e-6)
    for x, y, start in zip(found.get_weights(), expected.get_weights(), _model().get_weights(), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=3e-6)
        assert np.abs(x - start).max() > 0.01


def test_weights_excluded_from_decay_are_left_alone():
    def moved(optimizer: keras.optimizers.Optimizer) -> np.ndarray:
        variable = tf.Variable([2.0, -3.0], name="kept")
        optimizer.exclude_from_weight_decay(var_names=["kept"])
        optimizer.apply_gradients([(tf.zeros(2), variable)])
        return variable.numpy()

    assert moved(optimizers.AdamW(0.1, weight_decay=0.5)).tolist() == [2.0, -3.0]


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("pair", ["adam", "adamw"])
def test_half_precision_variables_are_updated_as_by_keras(pair: str, dtype: tf.DType):
    def trained(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
        variables = [tf.Variable(tf.cast([1.0, -2.0], kind)) for kind in (dtype, tf.float32)]
        for _ in range(5):
            optimizer.apply_gradients([(tf.cast([0.5, -0.25], v.dtype), v) for v in variables])
        return [tf.cast(v, tf.float32).numpy() for v in variables]

    of_keras, fused, options = PAIRS[pair]
    expected, found = (trained(kind(0.01, **options)) for kind in (of_keras, fused))
    np.testing.assert_array_equal(found[0], expected[0])
    # A float32 variable beside it is still fused.
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=3e-6)
    assert found[1][0] < 0.96


def test_a_step_is_one_adam_kernel_per_variable():
    model = _model()
    model.compile(optimizers.AdamW(), "mse")
    model.train_on_batch(*_batches()[0])
    (function, *_) = model.train_tf_function._list_all_concrete_functions()
    kinds = [operation.type for operation in function.graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(model.trainable_variables) == 5
    assert "AssignSubVariableOp" not in kinds


def test_saved_model_goes_on_where_it_stopped(tmp_path: Path):
    model = _trained(optimizers.AdamW(weight_decay=0.05))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is optimizers.AdamW
    for each in (model, loaded):
        each.train_on_batch(*_batches()[0])
    for x, y in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-7)


def test_mixed_precision_keeps_float32_state():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = _model()
        model.compile(keras.mixed_precision.LossScaleOptimizer(optimizers.Adam(0.02)), "mse")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    start = model.get_weights()
    for _ in range(3):
        model.train_on_batch(*_batches()[0])
    assert {x.dtype for x in model.get_weights()} == {np.dtype("float32")}
    assert all(np.isfinite(x).all() for x in model.get_weights())
    assert any(np.abs(x - y).max() > 0.01 for x, y in zip(model.get_weights(), start, strict=True))
