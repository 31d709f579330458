"""Half precision while training, float32 in what comes out; XLA; kernels that are deterministic or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import in_memory, precision, serving, training
from models.experiment import Experiment
from models.heads import Head
from preprocessing.features import EncodedFeature

FEATURES = (EncodedFeature("fare_xf", "fare"), EncodedFeature("company_xf", "company", num_ids=10))
MODEL = {"embedding_dim": 2, "numeric_units": 8, "hidden": [16]}
RANDOM = np.random.default_rng(2)
FARE = RANDOM.normal(size=(320, 1)).astype(np.float32)
COMPANY = RANDOM.integers(0, 10, size=(320, 1)).astype(np.int32)
INPUTS = {"fare_xf": FARE, "company_xf": COMPANY}
LABELS = ((FARE > 0) ^ (COMPANY > 6)).astype(np.int64)
SPLIT = in_memory.Split(tuple(in_memory.Block((name,), (1,), x) for name, x in INPUTS.items()), LABELS)
HALF = ["mixed_float16", "mixed_bfloat16"]


class Watched(keras.callbacks.Callback):
    """Remembers what was trained."""

    def on_train_begin(self, logs: object = None) -> None:
        self.trained = self.model
        self.optimizer = self.model.optimizer


def trained(*callbacks: keras.callbacks.Callback, dropout: float = 0.1, **fit: object) -> tuple[keras.Model, list[float]]:
    config = training.FitConfig(**{"epochs": 8, "batch_size": 32, "learning_rate": 0.02} | fit)
    experiment = Experiment("models.tabular", MODEL | {"dropout": dropout}, config, FEATURES, Head("binary", 2))
    model, history = experiment.train(SPLIT, SPLIT.dataset(64), tf.distribute.get_strategy(), callbacks)
    return model, history.history["val_loss"]


@pytest.fixture(scope="module")
def whole() -> tuple[keras.Model, list[float]]:
    """Trained in float32."""
    return trained()


@pytest.mark.parametrize("kind", HALF)
def test_layers_compute_in_half_precision_and_the_output_is_float32(kind: str, whole):
    watched = Watched()
    _, losses = trained(watched, precision=kind)
    hidden = watched.trained.get_layer("hidden_0")
    assert (hidden.compute_dtype, hidden.kernel.dtype) == (kind.removeprefix("mixed_"), tf.float32)
    assert watched.trained.output.dtype == tf.float32
    assert isinstance(watched.optimizer, keras.mixed_precision.LossScaleOptimizer) == (kind == "mixed_float16")
    assert losses[-1] == pytest.approx(whole[1][-1], abs=0.05)
    assert losses[-1] < losses[0] - 0.2
    assert losses != whole[1]


@pytest.mark.parametrize("kind", HALF)
def test_what_is_exported_is_float32_with_the_same_weights(kind: str, tmp_path: Path):
    watched = Watched()
    model, _ = trained(watched, precision=kind)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    for x, y in zip(model.get_weights(), watched.trained.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    expected = watched.trained.predict(INPUTS, verbose=0)
    np.testing.assert_allclose(model.predict(INPUTS, verbose=0), expected, atol=0.02)
    serving.save_keras(model, str(tmp_path / "model.keras"))
    again = serving.load_keras(str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(again.predict(INPUTS, verbose=0), model.predict(INPUTS, verbose=0))
    serving.export_function(*serving.inference_function(model), str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    scores = served(**{name: tf.constant(x) for name, x in INPUTS.items()})["output"]
    np.testing.assert_allclose(scores, model.predict(INPUTS, verbose=0), atol=1e-6)


def test_policy_of_the_process_is_put_back_also_after_a_failure():
    seen = []

    def fail() -> None:
        with precision.policy("mixed_bfloat16"):
            seen.append(keras.mixed_precision.global_policy().name)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert seen == ["mixed_bfloat16"]
    assert keras.mixed_precision.global_policy().name == "float32"


def test_scale_of_the_loss_follows_the_gradients():
    watched = Watched()
    trained(watched, precision="mixed_float16", epochs=1)
    optimizer = watched.optimizer
    # Begins at 2^15, halves with every overflow, and counts the steps since: all ten were taken or overflowed.
    scale, since = float(optimizer.loss_scale), int(optimizer.dynamic_counter)
    assert int(optimizer.iterations) == 10
    assert scale == 2.0**15 / 2 ** (10 - since) if since < 10 else scale == 2.0**15


def test_float32_model_is_the_trained_one_itself(whole):
    watched = Watched()
    model, losses = trained(watched)
    assert model is watched.trained
    assert losses == whole[1]


def test_training_step_compiles_with_xla(whole):
    _, losses = trained(jit_compile=True, precision="mixed_bfloat16", epochs=2, dropout=0.0)  # XLA draws other numbers
    _, expected = trained(precision="mixed_bfloat16", epochs=2, dropout=0.0)
    assert losses == pytest.approx(expected, abs=0.02)


def test_xla_over_logical_devices_of_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch):
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with pytest.raises(ValueError, match=r"^`fit.jit_compile` with 1 replicas needs GPUs or a TPU, found devices of the CPU\."):
        training._check_supported(training.FitConfig(jit_compile=True), strategy)


def test_kernels_need_not_be_deterministic(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append("deterministic"))
    trained(epochs=1, deterministic=False)
    assert asked == []
    trained(epochs=1)
    assert asked == ["deterministic"]
