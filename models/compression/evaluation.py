"""What scores are worth: metrics over all rows and by slice, agreement with the reference, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.heads import Kind
from models.metrics import evaluate

_BINS = 15
_RARE = 0.01  # of so few rows a good model may well say the same as of the others


@dataclass(frozen=True)
class Agreement:
    """How far scores are from the reference's.

    Attributes:
      mean_difference: mean absolute difference of scores.
      max_difference: largest absolute difference of scores.
      same_label: share of rows with the same predicted class; None for regression.
    """

    mean_difference: float
    max_difference: float
    same_label: float | None


@dataclass(frozen=True)
class SliceScore:
    """Metrics of one slice, those that are defined in it."""

    slice: str
    examples: int
    metrics: dict[str, float]


def predicted_classes(kind: Kind, scores: np.ndarray) -> np.ndarray | None:
    """Return the predicted class (n,) of scores (n, units); None for regression."""
    if kind == "regression":
        return None
    return (scores[:, 0] > 0.5).astype(int) if kind == "binary" else scores.argmax(axis=1)


def agreement(kind: Kind, reference: np.ndarray, scores: np.ndarray) -> Agreement:
    """Compare scores (n, units) with the reference's."""
    difference = np.abs(scores.astype(np.float64) - reference)
    mine, others = predicted_classes(kind, scores), predicted_classes(kind, reference)
    same = None if mine is None else float(np.mean(mine == others))
    return Agreement(float(difference.mean()), float(difference.max()), same)


def calibration(kind: Kind, labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the expected calibration error over 15 equal bins (Guo et al. 2017), or for regression the mean error.

    Args:
      kind: of the label.
      labels: (n,).
      scores: (n, units).
    """
    if kind == "regression":
        return {"mean_error": float(np.mean(scores[:, 0].astype(np.float64) - labels))}
    if kind == "binary":
        confidence, correct = scores[:, 0], labels == 1
    else:
        confidence, correct = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    gaps = np.abs(np.bincount(bins, confidence, _BINS) - np.bincount(bins, correct, _BINS))
    return {"expected_calibration_error": float(gaps[counts > 0].sum() / len(labels))}


def collapse(kind: Kind, reference: np.ndarray, scores: np.ndarray) -> str | None:
    """Say so if scores (n, units) are not finite, or name one class only where the reference names another for 1 % of rows."""
    if not np.isfinite(scores).all():
        return f"{int((~np.isfinite(scores)).any(axis=1).sum()):,} of {len(scores):,} rows have scores that are not finite"
    mine, others = predicted_classes(kind, scores), predicted_classes(kind, reference)
    if mine is None or others is None:
        constant = np.ptp(scores) == 0 and np.ptp(reference) > 0
        return f"it has collapsed: every row gets {scores[0, 0]:g}" if constant else None
    if len(np.unique(mine)) == 1 and len(np.unique(others)) > 1 and np.mean(others != mine[0]) >= _RARE:
        return f"it has collapsed: every row gets class {mine[0]}, the reference gives {len(np.unique(others))} classes"
    return None


def by_slice(
    kind: Kind,
    names: Sequence[str],
    labels: np.ndarray,
    scores: np.ndarray,
    slices: Sequence[tuple[list[str], np.ndarray]],
) -> list[SliceScore]:
    """Return the metrics of every slice.

    Args:
      kind: of the label.
      names: of the metrics.
      labels: (n,).
      scores: (n, units).
      slices: as of `ArraySet.slices`.
    """
    results = []
    for slice_names, positions in slices:
        for position, name in enumerate(slice_names):
            rows = positions == position
            values = evaluate(kind, names, labels[rows], scores[rows])
            finite = {metric: value for metric, value in values.items() if math.isfinite(value)}
            results.append(SliceScore(name, int(rows.sum()), finite))
    return sorted(results, key=lambda s: s.slice)
