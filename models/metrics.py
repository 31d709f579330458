"""Metrics computed on whole splits in NumPy: for the simple baseline and for every edge variant, by the same code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from models.heads import Kind

EPSILON = 1e-7


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties shared; NaN when one class is missing or a score is NaN.

    Args:
      labels: 0/1, (n,).
      scores: probability of class 1, (n, 1).
    """
    positive = labels == 1
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative or np.isnan(scores).any():
        return float("nan")
    _, inverse, counts = np.unique(scores[:, 0], return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = mean_rank[inverse][positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2.0) / (num_positive * num_negative))


def binary_accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of rows on the right side of 0.5; scores (n, 1)."""
    return float(np.mean((scores[:, 0] > 0.5) == (labels == 1)))


def binary_log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean cross-entropy in nats; scores (n, 1)."""
    p = np.clip(scores[:, 0].astype(np.float64), EPSILON, 1 - EPSILON)
    return float(-np.mean(np.where(labels == 1, np.log(p), np.log1p(-p))))


def multiclass_accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of rows whose largest score is the label's; scores (n, classes)."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def multiclass_log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean cross-entropy in nats; an unknown class (-1) adds nothing, as in training and TFMA; scores (n, classes)."""
    p = scores[np.arange(len(labels)), np.maximum(labels, 0)].astype(np.float64)
    return float(-np.mean(np.log(np.clip(np.where(labels < 0, 1.0, p), EPSILON, 1.0))))


def rmse(labels: np.ndarray, scores: np.ndarray) -> float:
    """Root of the mean squared error, in the label's unit."""
    return float(np.sqrt(np.mean((scores[:, 0].astype(np.float64) - labels) ** 2)))


def mae(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean absolute error, in the label's unit."""
    return float(np.mean(np.abs(scores[:, 0].astype(np.float64) - labels)))


@dataclass(frozen=True)
class Metric:
    """A metric and which way is better."""

    compute: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool


METRICS: dict[Kind, dict[str, Metric]] = {
    "binary": {
        "auc": Metric(auc, True),
        "accuracy": Metric(binary_accuracy, True),
        "log_loss": Metric(binary_log_loss, False),
    },
    "multiclass": {"accuracy": Metric(multiclass_accuracy, True), "log_loss": Metric(multiclass_log_loss, False)},
    "regression": {"rmse": Metric(rmse, False), "mae": Metric(mae, False)},
}


def evaluate(kind: Kind, names: Iterable[str], labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Compute metrics.

    Args:
      kind: of the label.
      names: keys of METRICS[kind].
      labels: (n,) or (n, 1).
      scores: (n, units) as the model gives them.

    Returns:
      {name: value}.
    """
    return {name: METRICS[kind][name].compute(labels.reshape(-1), scores.reshape(len(labels), -1)) for name in names}


def loss_of(kind: Kind, name: str, value: float, reference: float) -> float:
    """Return by how much a metric is worse than a reference, in the metric's unit; negative when it is better."""
    return reference - value if METRICS[kind][name].higher_is_better else value - reference
