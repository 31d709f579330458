"""Distribution strategies: which one, why, and that mirroring changes nothing but the speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from models import distribution

ONE_CPU = pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="the texts below are those of a machine without GPUs"
)

MIRRORED_AND_SINGLE = """
import json
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from models import distribution, in_memory, tabular, training
from models.heads import Head
from preprocessing.features import EncodedFeature

FEATURES = (EncodedFeature("fare_xf", "fare"), EncodedFeature("company_xf", "company", num_ids=10))
random = np.random.default_rng(2)
inputs = {
    "fare_xf": random.normal(size=(64, 1)).astype(np.float32),
    "company_xf": random.integers(0, 10, size=(64, 1)).astype(np.int32),
}
labels = (inputs["fare_xf"] > 0).astype(np.int64)
blocks = tuple(in_memory.Block((name,), (1,), x) for name, x in inputs.items())
split = in_memory.Split(blocks, labels)


def trained(kind):
    training.make_deterministic(1)
    strategy, reason = distribution.choose(kind)
    with strategy.scope():
        config = tabular.Config(embedding_dim=2, numeric_units=4, hidden=(8,), dropout=0.0)
        model = tabular.build(config, FEATURES, Head("binary", 2))
    start = model.get_weights()
    train, evaluation = split.dataset(24, shuffle_seed=3), split.dataset(24)  # the last batch is smaller
    config = training.FitConfig(epochs=3, optimizer="adam", learning_rate=0.01)
    training.fit(model, Head("binary", 2).loss, train, evaluation, config)
    return start, model.get_weights(), reason, strategy.num_replicas_in_sync


start, single, single_reason, single_replicas = trained("one_device")
_, mirrored, mirrored_reason, mirrored_replicas = trained("mirrored")
largest = lambda one, other: max(float(np.abs(x - y).max()) for x, y in zip(one, other))
print(json.dumps({
    "replicas": [single_replicas, mirrored_replicas],
    "reasons": [single_reason, mirrored_reason, distribution.choose("auto")[1]],
    "moved": largest(start, single),
    "difference": largest(single, mirrored),
}))
"""


@ONE_CPU
def test_auto_takes_the_one_device_there_is():
    strategy, reason = distribution.choose("auto")
    assert strategy.num_replicas_in_sync == 1
    assert not isinstance(strategy, tf.distribute.MirroredStrategy)
    assert reason == "auto: one device, /device:CPU:0"


@ONE_CPU
def test_one_device_is_taken_as_asked():
    strategy, reason = distribution.choose("one_device")
    assert strategy.num_replicas_in_sync == 1
    assert not isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 1
    assert reason == "one device, /device:CPU:0"


@ONE_CPU
def test_mirroring_over_one_device_is_an_error_not_a_fall_back():
    with pytest.raises(ValueError) as caught:
        distribution.choose("mirrored")
    assert str(caught.value) == (
        "Strategy 'mirrored' needs at least 2 devices of a kind, found 0 GPU(s) and 1 CPU(s). "
        "Use `strategy: auto` or `one_device`, or configure logical devices."
    )


def test_unknown_strategy_is_an_error():
    with pytest.raises(ValueError) as caught:
        distribution.choose("parameter_server")
    assert str(caught.value) == "Unknown strategy 'parameter_server'. Expected one of: auto, one_device, mirrored."


def test_mirrored_training_reaches_the_weights_of_one_device():
    """Train in a process of its own: logical devices are fixed when TensorFlow starts."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED_AND_SINGLE],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["replicas"] == [1, 2]
    assert result["reasons"] == [
        "one device, /device:CPU:0",
        "mirrored over 2 devices",
        "auto: one device, /device:CPU:0",
    ]
    assert result["moved"] > 0.05
    # Float32 sums in another order, over 12 steps of Adam.
    assert result["difference"] < 1e-4
