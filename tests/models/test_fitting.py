"""fit(): reproducible, keeps the best weights, says when it diverged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydantic
import pytest
import tensorflow as tf
import tf_keras as keras

from models import metrics, tabular, training
from models.heads import Head, Kind
from models.inputs import keras_inputs
from preprocessing.features import EncodedFeature

FEATURES = (EncodedFeature("fare_xf", "fare"), EncodedFeature("company_xf", "company", num_ids=10))
HEADS = {"binary": Head("binary", 2), "multiclass": Head("multiclass", 3), "regression": Head("regression")}
CONFIG = tabular.Config(embedding_dim=2, numeric_units=4, hidden=(8,), dropout=0.3)
RANDOM = np.random.default_rng(2)
INPUTS = {
    "fare_xf": RANDOM.normal(size=(96, 1)).astype(np.float32),
    "company_xf": RANDOM.integers(0, 10, size=(96, 1)).astype(np.int32),
}
LABELS = {
    "binary": (INPUTS["fare_xf"] > 0).astype(np.int64),
    "multiclass": (INPUTS["company_xf"] % 3).astype(np.int64),
    "regression": 3 * INPUTS["fare_xf"] + 1,
}


def batches(labels: np.ndarray, shuffle_seed: int | None = None) -> tf.data.Dataset:
    data = tf.data.Dataset.from_tensor_slices((INPUTS, labels))
    return (data.shuffle(96, seed=shuffle_seed) if shuffle_seed is not None else data).batch(32)


def line(features: Sequence[EncodedFeature], head: Head) -> keras.Model:
    """Build a network of one layer, which starts at zero."""
    x = keras_inputs(features)
    numbers = [
        keras.layers.Lambda(lambda ids: tf.one_hot(ids[:, 0], 10))(x[f.name]) if f.num_ids else x[f.name] for f in features
    ]
    return keras.Model(
        x, head.activate(keras.layers.Dense(head.units, kernel_initializer="zeros")(keras.layers.Concatenate()(numbers)))
    )


def with_one(labels: np.ndarray, value: float) -> np.ndarray:
    return np.concatenate([labels[:-1], np.array([[value]], labels.dtype)])


def trained_weights(seed: int, dropout: float = 0.3, **fit) -> list[np.ndarray]:
    training.make_deterministic(seed)
    model = tabular.build(CONFIG.model_copy(update={"dropout": dropout}), FEATURES, HEADS["binary"])
    data = batches(LABELS["binary"], shuffle_seed=seed)
    config = training.FitConfig(seed=seed, epochs=3, **fit)
    training.fit(model, HEADS["binary"].loss, data, batches(LABELS["binary"]), config)
    return model.get_weights()


def test_same_seed_gives_identical_weights_and_another_seed_does_not():
    first, again, other = trained_weights(1), trained_weights(1), trained_weights(2)
    for x, y in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, y)
    assert any((x != y).any() for x, y in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("fit", "tolerance"),
    [({"steps_per_execution": 2}, 1e-6), ({"steps_per_execution": 10}, 1e-6), ({"jit_compile": True}, 2e-3)],
)
def test_how_steps_are_executed_changes_nothing_but_rounding(fit: dict, tolerance: float):
    for x, y in zip(trained_weights(1, dropout=0.0), trained_weights(1, dropout=0.0, **fit), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)


def test_batches_are_counted_where_several_are_executed_at_once():
    # As records do, these do not know how many there are.
    train, evaluation = (batches(LABELS["binary"]).filter(lambda x, y: True) for _ in range(2))
    model = tabular.build(CONFIG, FEATURES, HEADS["binary"])
    config = training.FitConfig(epochs=2, steps_per_execution=10)
    training.fit(model, HEADS["binary"].loss, train, evaluation, config)
    assert int(model.optimizer.iterations) == 2 * 3


def test_a_model_that_was_trained_with_several_batches_a_call_predicts_one_batch():
    model = line(FEATURES, HEADS["binary"])
    data = batches(LABELS["binary"])
    training.fit(model, HEADS["binary"].loss, data, data, training.FitConfig(epochs=1, steps_per_execution=3))
    assert model.predict_on_batch(INPUTS).shape == (96, 1)


def test_early_stopping_restores_the_weights_of_the_best_epoch():
    keras.utils.set_random_seed(1)
    model = line(FEATURES, HEADS["binary"])
    # What is learned of the train split is wrong for the eval split: the first epoch is the best.
    labels = LABELS["binary"]
    config = training.FitConfig(epochs=30, optimizer="adam", learning_rate=0.05, early_stopping_patience=2)
    history = training.fit(model, HEADS["binary"].loss, batches(labels), batches(1 - labels), config)
    eval_loss = history.history["val_loss"]
    assert eval_loss[0] < eval_loss[1] < eval_loss[2]
    assert len(eval_loss) == 3
    restored = metrics.binary_log_loss(1 - labels[:, 0], model.predict(INPUTS, verbose=0))
    assert restored == pytest.approx(eval_loss[0], abs=1e-5)


def test_learning_rate_drops_after_epochs_without_gain():
    model = line(FEATURES, HEADS["binary"])
    config = training.FitConfig(epochs=3, learning_rate=0.05, reduce_lr_patience=1, reduce_lr_factor=0.1)
    history = training.fit(model, HEADS["binary"].loss, batches(LABELS["binary"]), batches(1 - LABELS["binary"]), config)
    assert history.history["lr"] == pytest.approx([0.05, 0.05, 0.005])


@pytest.mark.parametrize(("kind", "largest_loss"), [("binary", 0.2), ("multiclass", 0.2), ("regression", 0.5)])
def test_every_label_kind_is_learned(kind: Kind, largest_loss: float):
    keras.utils.set_random_seed(1)
    model = tabular.build(CONFIG.model_copy(update={"dropout": 0.0}), FEATURES, HEADS[kind])
    data = batches(LABELS[kind])
    config = training.FitConfig(epochs=40, learning_rate=0.05, reduce_lr_patience=10, early_stopping_patience=40)
    history = training.fit(model, HEADS[kind].loss, data, data, config)
    assert min(history.history["val_loss"]) < largest_loss < history.history["loss"][0]


def test_adamw_decays_weights_and_adam_does_not():
    def optimizer(kind: str) -> keras.optimizers.Optimizer:
        model = line(FEATURES, HEADS["binary"])
        config = training.FitConfig(optimizer=kind, weight_decay=0.02, learning_rate=0.03, epochs=1)
        training.fit(model, HEADS["binary"].loss, batches(LABELS["binary"]), batches(LABELS["binary"]), config)
        return model.optimizer

    adamw, adam = optimizer("adamw"), optimizer("adam")
    assert (adamw.name, adamw.weight_decay, float(adamw.learning_rate.numpy())) == ("AdamW", 0.02, pytest.approx(0.03))
    assert (adam.name, adam.weight_decay) == ("Adam", None)


def test_nan_label_in_the_train_split_is_a_divergence():
    model = line(FEATURES, HEADS["regression"])
    labels = LABELS["regression"]
    with pytest.raises(ValueError) as caught:
        training.fit(
            model,
            HEADS["regression"].loss,
            batches(with_one(labels, np.nan)),
            batches(labels),
            training.FitConfig(learning_rate=0.125),
        )
    assert str(caught.value) == (
        "Training diverged: the loss became nan in epoch 1. "
        "Lower `fit.learning_rate` (now 0.125) or look for extreme values in the numeric features."
    )


def test_absurd_learning_rate_is_a_divergence():
    model = tabular.build(CONFIG, FEATURES, HEADS["regression"])
    data = batches(LABELS["regression"])
    with pytest.raises(
        ValueError,
        match=r"^Training diverged: the loss became (nan|inf) in epoch 1\. Lower `fit\.learning_rate` \(now 1e\+20\) or look "
        r"for extreme values in the numeric features\.$",
    ):
        training.fit(model, HEADS["regression"].loss, data, data, training.FitConfig(learning_rate=1e20))


def test_nan_label_in_the_eval_split_is_an_error():
    model = line(FEATURES, HEADS["regression"])
    labels = LABELS["regression"]
    with pytest.raises(ValueError) as caught:
        training.fit(
            model,
            HEADS["regression"].loss,
            batches(labels),
            batches(with_one(labels, np.nan)),
            training.FitConfig(epochs=2),
        )
    assert str(caught.value) == (
        "The eval loss was never a number, so no epoch is the best. "
        "Look for missing or extreme labels and numeric features in the eval split."
    )


def test_class_that_only_the_eval_split_has_does_not_stop_training():
    model = line(FEATURES, HEADS["multiclass"])
    labels = LABELS["multiclass"]
    history = training.fit(
        model, HEADS["multiclass"].loss, batches(labels), batches(with_one(labels, -1)), training.FitConfig(epochs=1)
    )
    scores = model.predict(INPUTS, verbose=0)[:-1]
    known = metrics.multiclass_log_loss(labels[:-1, 0], scores)
    assert history.history["val_loss"][0] == pytest.approx(known * 95 / 96, rel=1e-4)


def test_tensorboard_logs_go_below_the_log_dir(tmp_path: Path):
    data = batches(LABELS["binary"])
    config = training.FitConfig(epochs=1)
    log = training.tensorboard(str(tmp_path / "logs"))
    training.fit(line(FEATURES, HEADS["binary"]), HEADS["binary"].loss, data, data, config, [log])
    assert sorted(os.listdir(tmp_path / "logs" / "tensorboard")) == ["train", "validation"]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"learning_rate": 0.0}, "Input should be greater than 0"),
        ({"epochs": 0}, "Input should be greater than or equal to 1"),
        ({"reduce_lr_factor": 1.0}, "Input should be less than 1"),
        ({"optimizer": "sgd"}, "Input should be 'adam' or 'adamw'"),
        ({"lr": 0.1}, "Extra inputs are not permitted"),
    ],
)
def test_mistaken_fit_config_is_refused(mistake: dict, message: str):
    with pytest.raises(pydantic.ValidationError) as caught:
        training.FitConfig.model_validate(mistake)
    assert [error["msg"] for error in caught.value.errors()] == [message]


class CountsBatches(keras.callbacks.Callback):
    """Looks at every batch, as a pruning schedule does."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.calls += 1


class CountsExecutions(keras.callbacks.Callback):
    """Asks how many batches a call of the training step has."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.batches = int(self.model._steps_per_execution)


@pytest.mark.parametrize(
    ("given", "callbacks", "known", "expected"),
    [("auto", [], True, 3), ("auto", [CountsBatches()], True, 1), ("auto", [], False, 1), (2, [CountsBatches()], False, 2)],
)
def test_batches_of_a_call(given: int | str, callbacks: list, known: bool, expected: int):
    data = batches(LABELS["binary"]) if known else batches(LABELS["binary"]).filter(lambda x, y: True)
    model, seen = tabular.build(CONFIG, FEATURES, HEADS["binary"]), CountsExecutions()
    config = training.FitConfig(epochs=1, steps_per_execution=given)
    training.fit(model, HEADS["binary"].loss, data, data, config, [seen, *callbacks])
    assert seen.batches == expected
    assert int(model.optimizer.iterations) == 3


def test_nothing_is_learned_after_the_last_batch_of_an_unknown_number():
    def weights(data: tf.data.Dataset) -> list[np.ndarray]:
        training.make_deterministic(1)
        model = tabular.build(CONFIG.model_copy(update={"dropout": 0.0}), FEATURES, HEADS["binary"])
        config = training.FitConfig(epochs=3, weight_decay=0.1, steps_per_execution=1)
        training.fit(model, HEADS["binary"].loss, data, data, config)
        return model.get_weights()

    data = batches(LABELS["binary"])
    for x, y in zip(weights(data), weights(data.filter(lambda x, y: True)), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_callback_that_looks_at_every_batch_sees_every_batch():
    counts = CountsBatches()
    data = batches(LABELS["binary"])
    model = tabular.build(CONFIG, FEATURES, HEADS["binary"])
    training.fit(model, HEADS["binary"].loss, data, data, training.FitConfig(epochs=2), [counts])
    assert counts.calls == 6


@pytest.mark.parametrize("steps", [1, 2])
def test_training_and_evaluation_are_traced_once(steps: int):
    traces = []

    class Traced(keras.losses.Loss):
        def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
            traces.append(tf.inside_function())
            return HEADS["binary"].loss(y_true, y_pred)

    data = batches(LABELS["binary"])
    model = tabular.build(CONFIG, FEATURES, HEADS["binary"])
    training.fit(model, Traced(), data, data, training.FitConfig(epochs=3, steps_per_execution=steps))
    assert traces == [True, True]  # one for training, one for evaluation
    model.evaluate(data, verbose=0)
    assert len(traces) == 2
