"""More replicas: a larger global batch, a rate that is scaled with it, and a warm-up to that rate."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import optimizers, training
from models.fit_config import FitConfig
from models.scaling import scaled


@pytest.mark.parametrize(
    ("config", "replicas", "expected"),
    [
        ({}, 1, (1, 64, 0.01, 0.01, 0.0)),
        ({}, 4, (4, 256, 0.04, 0.01, 5.0)),
        ({"epochs": 12}, 4, (4, 256, 0.04, 0.01, 2.0)),
        ({"learning_rate_scaling": "sqrt"}, 4, (4, 256, 0.02, 0.01, 5.0)),
        ({"learning_rate_scaling": "none"}, 4, (4, 256, 0.01, 0.01, 0.0)),
        ({"warmup_epochs": 3}, 4, (4, 256, 0.04, 0.01, 3.0)),
        ({"warmup_epochs": 0}, 4, (4, 256, 0.04, 0.04, 0.0)),
        ({"warmup_epochs": 3}, 1, (1, 64, 0.01, 0.0, 3.0)),
    ],
)
def test_batch_rate_and_warmup_go_with_the_replicas(config: dict, replicas: int, expected: tuple):
    scale = scaled(FitConfig(**{"batch_size": 64, "learning_rate": 0.01} | config), replicas)
    assert tuple(scale.report().values()) == pytest.approx(expected)


def test_scale_says_itself_in_a_line():
    config = FitConfig(batch_size=64, learning_rate=0.01)
    assert str(scaled(config, 1)) == "1 replica(s), global batch 64, learning rate 0.01"
    assert str(scaled(config, 2)) == (
        "2 replica(s), global batch 128, learning rate 0.02 after a warm-up from 0.01 over 5 epochs"
    )


def test_rate_rises_step_by_step_and_then_stays():
    # The first step of Adam is as long as the rate, whatever the gradient; without momentum so is every other.
    optimizer = optimizers.Adam(0.4, beta_1=0.0, beta_2=0.0, epsilon=0.0)
    optimizer.warm_up(4, first=0.25)
    variable = tf.Variable([0.0])
    optimizer.build([variable])
    positions = [0.0]
    for _ in range(6):
        optimizer.apply_gradients([(tf.constant([-2.0]), variable)])
        positions.append(float(variable[0]))
    assert np.diff(positions) == pytest.approx([0.175, 0.25, 0.325, 0.4, 0.4, 0.4], rel=1e-3)


def test_warmup_that_a_config_asks_for_slows_the_first_epoch_only():
    def losses(**fit: object) -> list[float]:
        training.make_deterministic(1)
        x = np.linspace(-1, 1, 64, dtype=np.float32)[:, np.newaxis]
        data = tf.data.Dataset.from_tensor_slices((x, 3 * x)).batch(8)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
        config = FitConfig(epochs=4, learning_rate=0.1, optimizer="adam", reduce_lr_patience=9, **fit)
        return training.fit(model, keras.losses.MeanSquaredError(), data, data, config).history["val_loss"]

    straight, warmed = losses(), losses(warmup_epochs=1)
    assert losses(warmup_epochs=0) == straight
    assert warmed[0] > straight[0] + 0.1
    assert warmed[3] < warmed[0] / 4
