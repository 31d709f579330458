"""The simple baseline every candidate must beat: logistic or linear regression on the same transformed features.

The problem is convex, so that L-BFGS (Liu & Nocedal 1989) finds its one solution in a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.heads import Head
from preprocessing.features import EncodedFeature

if TYPE_CHECKING:
    from scipy import sparse

# A simple model learns nothing more from more examples; with many classes each costs more.
MOST_EXAMPLES, MOST_SCORES = 200_000, 20_000_000
PENALTY = 1.0  # half of it times the squared weights is added to the sum of the losses: `C=1` in scikit-learn

_CHUNK_SCORES, _MOST_ITERATIONS, _TOLERANCE = 2_000_000, 100, 1e-5


def most_examples(head: Head) -> int:
    """Return how many training examples are enough: 200,000, and fewer from 100 classes on."""
    return min(MOST_EXAMPLES, MOST_SCORES // head.units)


@dataclass(frozen=True)
class LinearModel:
    """One weight per number and per id, and one number per unit, for each unit of the head.

    Attributes:
      features: that it reads.
      head: what its scores mean.
      weights: (numbers and ids, units).
      bias: (units,).
    """

    features: tuple[EncodedFeature, ...]
    head: Head
    weights: np.ndarray
    bias: np.ndarray

    def predict(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return (n, units), probabilities or predicted numbers as a network with this head gives them.

        Args:
          inputs: {transformed name: (n, width)}; features that it does not read may be among them.
        """
        number = len(inputs[self.features[0].name])
        chunks = [
            _ACTIVATIONS[self.head.kind](_matrix(self.features, inputs, rows) @ self.weights + self.bias)
            for rows in _chunks(number, self.head.units)
        ]
        return np.concatenate(chunks) * (self.head.scale if self.head.kind == "regression" else 1.0) + self.head.offset


def fit(features: Sequence[EncodedFeature], head: Head, inputs: Mapping[str, np.ndarray], labels: np.ndarray) -> LinearModel:
    """Fit the baseline, with a small L2 penalty on all weights but the bias.

    Buckets and crosses are left out, unless there is nothing else: with them a linear model is no simple one.

    Args:
      features: the transformed features.
      head: the kind of label and, for regression, its mean and deviation.
      inputs: {transformed name: (n, width)}, at most `most_examples` of them.
      labels: (n, 1): 0 or 1, positions of classes with -1 for an unknown one, which adds nothing, or numbers.

    Raises:
      ValueError: there are no features.
    """
    from scipy import optimize  # a config is read without it

    if not features:
        raise ValueError("A model needs at least one feature. Declare some under `features:` in the config file.")
    chosen = tuple(feature for feature in features if not feature.derived) or tuple(features)
    known = labels[:, 0] >= 0 if head.kind == "multiclass" else np.ones(len(labels), bool)
    chunks = [rows[known[rows]] for rows in _chunks(len(labels), head.units)]
    parts = [(_matrix(chosen, inputs, rows), labels[rows, 0]) for rows in chunks]
    width = parts[0][0].shape[1]
    loss = _LOSSES[head.kind](head)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        table = parameters.reshape(width + 1, head.units)
        weights, bias = table[:-1].astype(np.float32), table[-1].astype(np.float32)
        total, slope = 0.5 * PENALTY * float(np.sum(table[:-1] ** 2)), np.zeros_like(table)
        slope[:-1] = PENALTY * table[:-1]
        for matrix, label in parts:
            losses, errors = loss(matrix @ weights + bias, label)
            total += losses
            slope[:-1] += matrix.T @ errors
            slope[-1] += errors.sum(axis=0, dtype=np.float64)
        # Of a mean, so that the tolerance means the same for any number of examples.
        number = max(1, int(known.sum()))
        return total / number, slope.reshape(-1) / number

    options = {"maxiter": _MOST_ITERATIONS, "gtol": _TOLERANCE, "ftol": 1e-9}
    start = np.zeros((width + 1) * head.units)
    solution = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    table = solution.reshape(width + 1, head.units).astype(np.float32)
    return LinearModel(chosen, head, table[:-1], table[-1])


def _chunks(number: int, units: int) -> list[np.ndarray]:
    """Return the positions of all rows, as many at a time as keep the scores of a chunk small."""
    size = max(1, _CHUNK_SCORES // units)
    return [np.arange(start, min(start + size, number)) for start in range(0, number, size)]


def _matrix(features: Sequence[EncodedFeature], inputs: Mapping[str, np.ndarray], rows: np.ndarray) -> sparse.csr_matrix:
    """Return float32 (rows, numbers and ids): numbers as they are, ids one-hot."""
    from scipy import sparse

    columns, values, start = [], [], 0
    for feature in features:
        x = inputs[feature.name][rows]
        if feature.num_ids:
            columns.append(x.astype(np.int32) + start)
            values.append(np.ones(x.shape, np.float32))
            start += feature.num_ids
        else:
            columns.append(np.broadcast_to(np.arange(start, start + feature.width, dtype=np.int32), x.shape))
            values.append(x.astype(np.float32))
            start += feature.width
    indices, data = np.concatenate(columns, axis=1), np.concatenate(values, axis=1)
    starts = np.arange(len(rows) + 1, dtype=np.int64) * indices.shape[1]
    return sparse.csr_matrix((data.reshape(-1), indices.reshape(-1), starts), shape=(len(rows), start))


# Each takes scores (n, units) and labels (n,), and returns the sum of the losses and its slope by score.
Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def _binary(head: Head) -> Loss:
    def loss(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        label = labels[:, np.newaxis].astype(np.float32)
        losses = np.logaddexp(0, scores) - label * scores
        return float(losses.sum(dtype=np.float64)), _sigmoid(scores) - label

    return loss


def _multiclass(head: Head) -> Loss:
    def loss(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        rows, probabilities = np.arange(len(labels)), _softmax(scores)
        losses = -np.log(np.maximum(probabilities[rows, labels], np.finfo(np.float32).tiny))
        probabilities[rows, labels] -= 1
        return float(losses.sum(dtype=np.float64)), probabilities

    return loss


def _regression(head: Head) -> Loss:
    def loss(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        errors: np.ndarray = scores - ((labels - head.offset) / head.scale)[:, np.newaxis].astype(np.float32)
        return 0.5 * float(np.sum(errors**2, dtype=np.float64)), errors

    return loss


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * scores))  # never overflows


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


_LOSSES = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
_ACTIVATIONS = {"binary": _sigmoid, "multiclass": _softmax, "regression": lambda scores: scores}
