"""Whole-split metrics against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics

from models import metrics

RANDOM = np.random.default_rng(5)
BINARY = RANDOM.integers(0, 2, size=500)
BINARY_SCORES = np.clip(0.4 * BINARY + RANDOM.normal(0.3, 0.25, size=500), 0.01, 0.99)[:, np.newaxis]
CLASSES = RANDOM.integers(0, 4, size=300)
CLASS_SCORES = RANDOM.dirichlet(np.ones(4), size=300)
NUMBERS = RANDOM.normal(10.0, 5.0, size=200)
PREDICTIONS = (NUMBERS + RANDOM.normal(size=200))[:, np.newaxis].astype(np.float32)


@pytest.mark.parametrize("decimals", [6, 2, 1, 0])
def test_auc_shares_ties_as_sklearn_does(decimals: int):
    scores = BINARY_SCORES.round(decimals)
    assert metrics.auc(BINARY, scores) == pytest.approx(sklearn.metrics.roc_auc_score(BINARY, scores[:, 0]), abs=1e-12)


def test_auc_is_one_half_when_every_score_is_the_same():
    assert metrics.auc(np.array([0, 1, 1, 0, 1]), np.full((5, 1), 0.7)) == 0.5


def test_auc_is_zero_for_the_inverted_order():
    assert metrics.auc(np.array([1, 1, 0]), np.array([[0.1], [0.2], [0.3]])) == 0.0


@pytest.mark.parametrize("label", [0, 1])
def test_auc_is_nan_with_one_class(label: int):
    assert math.isnan(metrics.auc(np.full(3, label), np.array([[0.1], [0.5], [0.9]])))


def test_binary_accuracy_and_log_loss_equal_sklearn():
    assert metrics.binary_accuracy(BINARY, BINARY_SCORES) == pytest.approx(
        sklearn.metrics.accuracy_score(BINARY, BINARY_SCORES[:, 0] > 0.5), abs=1e-12
    )
    assert metrics.binary_log_loss(BINARY, BINARY_SCORES) == pytest.approx(
        sklearn.metrics.log_loss(BINARY, BINARY_SCORES[:, 0]), abs=1e-12
    )


def test_binary_accuracy_counts_one_half_as_the_negative_class():
    assert metrics.binary_accuracy(np.array([0, 1]), np.array([[0.5], [0.5]])) == 0.5


def test_log_loss_of_a_certain_mistake_is_bounded():
    assert metrics.binary_log_loss(np.array([1]), np.array([[0.0]])) == pytest.approx(-math.log(1e-7))
    assert metrics.multiclass_log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-math.log(1e-7))


def test_multiclass_accuracy_and_log_loss_equal_sklearn():
    assert metrics.multiclass_accuracy(CLASSES, CLASS_SCORES) == pytest.approx(
        sklearn.metrics.accuracy_score(CLASSES, CLASS_SCORES.argmax(axis=1)), abs=1e-12
    )
    assert metrics.multiclass_log_loss(CLASSES, CLASS_SCORES) == pytest.approx(
        sklearn.metrics.log_loss(CLASSES, CLASS_SCORES), abs=1e-9
    )


def test_unknown_class_is_never_right_and_adds_no_log_loss():
    labels, scores = np.array([0, -1]), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    assert metrics.multiclass_accuracy(labels, scores) == 0.5
    assert metrics.multiclass_log_loss(labels, scores) == pytest.approx(math.log(2) / 2)


def test_rmse_and_mae_equal_sklearn():
    mse = sklearn.metrics.mean_squared_error(NUMBERS, PREDICTIONS[:, 0])
    assert metrics.rmse(NUMBERS, PREDICTIONS) == pytest.approx(math.sqrt(mse), abs=1e-9)
    assert metrics.mae(NUMBERS, PREDICTIONS) == pytest.approx(
        sklearn.metrics.mean_absolute_error(NUMBERS, PREDICTIONS[:, 0]), abs=1e-9
    )


def test_evaluate_takes_labels_as_column_or_vector_and_only_the_named_metrics():
    expected = {"accuracy": 0.75, "auc": 0.75}
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.55, 0.8])
    assert metrics.evaluate("binary", ["accuracy", "auc"], labels[:, np.newaxis], scores[:, np.newaxis]) == expected
    assert metrics.evaluate("binary", ["accuracy", "auc"], labels, scores) == expected


def test_loss_is_positive_for_the_worse_metric_whichever_way_is_better():
    assert metrics.loss_of("binary", "auc", 0.90, 0.95) == pytest.approx(0.05)
    assert metrics.loss_of("binary", "auc", 0.97, 0.95) == pytest.approx(-0.02)
    assert metrics.loss_of("regression", "rmse", 3.0, 2.5) == pytest.approx(0.5)
    assert metrics.loss_of("multiclass", "log_loss", 0.4, 0.5) == pytest.approx(-0.1)


def test_every_label_kind_has_its_metrics():
    assert {kind: list(known) for kind, known in metrics.METRICS.items()} == {
        "binary": ["auc", "accuracy", "log_loss"],
        "multiclass": ["accuracy", "log_loss"],
        "regression": ["rmse", "mae"],
    }


def test_auc_of_a_model_that_gives_nan_is_nan():
    assert np.isnan(metrics.auc(np.array([0, 1]), np.array([[np.nan], [np.nan]])))
