"""AutoGraph leaves tf_keras alone, not the layers that people write."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.autograph.core import config
from tensorflow.python.autograph.impl import conversion

from models import datasets, in_memory, optimizers, training
from models.autograph import leave_alone
from models.heads import Head


class Powers(keras.layers.Layer):
    """Multiplies a learned weight into x as often as the largest x says, and turns the sign of large results."""

    def build(self, input_shape) -> None:
        self.weight = self.add_weight("weight", (), initializer=keras.initializers.Constant(0.5))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Loop and branch on tensors, which only converted code can."""
        for _ in tf.range(tf.cast(tf.reduce_max(x), tf.int32)):
            x = x * self.weight
        if tf.reduce_sum(x) > 10.0:  # noqa: SIM108
            x = -x
        else:
            x = x + 0.0
        return x


@pytest.fixture(autouse=True)
def rules():
    leave_alone()


def test_rules_are_added_once(current: bool):
    before = config.CONVERSION_RULES
    leave_alone()
    assert before == config.CONVERSION_RULES
    rules = [str(rule) for rule in before]
    assert rules.count("Convert rule for tf_keras.src.engine.training") == 1
    # TensorFlow 2.21 has a second one, of its own.
    assert rules.count("DoNotConvert rule for tf_keras") == (2 if current else 1)


def test_keras_layers_are_not_converted_but_the_training_loop_is():
    assert conversion.is_allowlisted(keras.layers.Dense.call)
    assert not conversion.is_allowlisted(keras.Model.make_train_function)
    assert not conversion.is_allowlisted(Powers.call)


def test_reading_and_optimizers_are_not_converted():
    assert conversion.is_allowlisted(optimizers.AdamW.aggregate_gradients)
    assert conversion.is_allowlisted(in_memory.Split.dataset)
    assert conversion.is_allowlisted(datasets.load)


def test_layer_that_loops_and_branches_on_tensors_still_computes_in_a_graph():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, Powers()(inputs))
    np.testing.assert_allclose(model.predict(np.array([[2.0], [1.0]]), verbose=0), [[0.5], [0.25]])
    np.testing.assert_allclose(model.predict(np.array([[1.0], [40.0]] + [[1.0]] * 3), verbose=0), np.zeros((5, 1)), atol=1e-9)
    np.testing.assert_allclose(model.predict(np.array([[0.9]] * 12), verbose=0), np.full((12, 1), -0.9), rtol=1e-6)


def test_layer_that_loops_and_branches_on_tensors_still_trains():
    inputs = {"x_xf": keras.Input((1,), name="x_xf")}
    layer = Powers()
    model = keras.Model(inputs, layer(inputs["x_xf"]))
    x = np.full((16, 1), 2.0, np.float32)  # the output is 2 * weight ** 2
    data = tf.data.Dataset.from_tensor_slices(({"x_xf": x}, np.full((16, 1), 0.32, np.float32))).batch(8)
    config = training.FitConfig(
        epochs=60, optimizer="adam", learning_rate=0.02, early_stopping_patience=60, reduce_lr_patience=60
    )
    training.fit(model, Head("regression").loss, data, data, config)
    assert float(layer.weight.numpy()) == pytest.approx(0.4, abs=0.01)
