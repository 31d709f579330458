"""The simple baseline every candidate must beat: logistic or linear regression on the same transformed features.

The problem is convex, so that L-BFGS (Liu & Nocedal 1989) finds its one solution: in a fraction of a second, or in seconds
where there are many examples, in a minute or two with many classes. It is computed in float64: weights of correlated features
are large and cancel out, and in float32 the rounding of their scores can end the search before the solution.
"""

from __future__ import annotations

import logging
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

_CHUNK_SCORES, _TOLERANCE = 2_000_000, 1e-5
# Correlated, long-tailed features take 500 iterations. One with the most scores takes half a second: they get 200.
_FEWEST_ITERATIONS, _MOST_ITERATIONS, _MOST_WORK = 200, 1000, 4_000_000_000
# What L-BFGS remembers of the last steps: two float64 a parameter each. Fewer than three steps say little of the curvature.
_MEMORY_BYTES, _FEWEST_STEPS, _MOST_STEPS = 64 * 2**20, 3, 10

_LOGGER = logging.getLogger(__name__)


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
      converged: whether they are the solution; otherwise the best that was found.
      num_iterations: that it took to find them.
    """

    features: tuple[EncodedFeature, ...]
    head: Head
    weights: np.ndarray
    bias: np.ndarray
    converged: bool = True
    num_iterations: int = 0

    def predict(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 (n, units), probabilities or predicted numbers as a network with this head gives them.

        Args:
          inputs: {transformed name: (n, width)}; features that it does not read may be among them.
        """
        number = len(inputs[self.features[0].name])
        chunks = [
            _ACTIVATIONS[self.head.kind](_matrix(self.features, inputs, rows) @ self.weights + self.bias)
            for rows in _chunks(number, self.head.units)
        ]
        scores = np.concatenate(chunks) * (self.head.scale if self.head.kind == "regression" else 1.0) + self.head.offset
        return scores.astype(np.float32)


def fit(features: Sequence[EncodedFeature], head: Head, inputs: Mapping[str, np.ndarray], labels: np.ndarray) -> LinearModel:
    """Fit the baseline, with a small L2 penalty on all weights but the bias.

    Buckets and crosses are left out, unless there is nothing else: with them a linear model is no simple one.

    Where the solution is not reached within 1,000 iterations, the best that was found is returned, a warning is logged, and the
    model says so: it is then easier to beat than it should be. There are fewer iterations, but 200 at least, for more than four
    million scores: examples times classes. L-BFGS remembers the last ten steps, two float64 a parameter each; fewer, but three
    at least, where that would be more than 64 MB. From 1.4 million parameters on, it needs about 160 bytes for each in all.

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
    shape, number = (parts[0][0].shape[1] + 1, head.units), max(1, int(known.sum()))
    start, objective = np.zeros(shape[0] * shape[1]), _objective(parts, _LOSSES[head.kind](head), shape, number)
    options = _options(start.size, number * head.units)
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    if not found.success:
        _LOGGER.warning(
            "The simple baseline is not solved after %d iterations (%s), so that it is easier to beat than it should be. "
            "Look for extreme values in the numeric features.",
            found.nit,
            found.message,
        )
    table = found.x.reshape(shape)
    return LinearModel(chosen, head, table[:-1], table[-1], bool(found.success), int(found.nit))


def _objective(
    parts: Sequence[tuple[sparse.csr_matrix, np.ndarray]], loss: Loss, shape: tuple[int, int], number: int
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Return what gives the penalized loss and its slope at parameters: weights, then the bias, of this shape together."""

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        table = parameters.reshape(shape)
        weights, bias = table[:-1], table[-1]
        total, slope = 0.5 * PENALTY * float(np.vdot(weights, weights)), PENALTY * table
        slope[-1] = 0.0
        for matrix, label in parts:
            losses, errors = loss(matrix @ weights + bias, label)
            total += losses
            slope[:-1] += matrix.T @ errors
            slope[-1] += errors.sum(axis=0)
        # Of a mean, so that the tolerance means the same for any number of examples.
        slope /= number
        return total / number, slope.reshape(-1)

    return objective


def _options(num_parameters: int, num_scores: int) -> dict[str, float]:
    iterations = min(max(_MOST_WORK // num_scores, _FEWEST_ITERATIONS), _MOST_ITERATIONS)
    steps = min(max(_MEMORY_BYTES // (2 * 8 * num_parameters), _FEWEST_STEPS), _MOST_STEPS)
    # Evaluations are not limited, only iterations, which take little more than one each.
    return {"maxiter": iterations, "maxfun": 20 * iterations, "gtol": _TOLERANCE, "ftol": 1e-10, "maxcor": steps}


def _chunks(number: int, units: int) -> list[np.ndarray]:
    """Return the positions of all rows, as many at a time as keep the scores of a chunk small."""
    size = max(1, _CHUNK_SCORES // units)
    return [np.arange(start, min(start + size, number)) for start in range(0, number, size)]


def _matrix(features: Sequence[EncodedFeature], inputs: Mapping[str, np.ndarray], rows: np.ndarray) -> sparse.csr_matrix:
    """Return float64 (rows, numbers and ids): numbers as they are, ids one-hot."""
    from scipy import sparse

    columns, values, start = [], [], 0
    for feature in features:
        x = inputs[feature.name][rows]
        if feature.num_ids:
            columns.append(x.astype(np.int32) + start)
            values.append(np.ones(x.shape))
            start += feature.num_ids
        else:
            columns.append(np.broadcast_to(np.arange(start, start + feature.width, dtype=np.int32), x.shape))
            values.append(x.astype(np.float64))
            start += feature.width
    indices, data = np.concatenate(columns, axis=1), np.concatenate(values, axis=1)
    starts = np.arange(len(rows) + 1, dtype=np.int64) * indices.shape[1]
    return sparse.csr_matrix((data.reshape(-1), indices.reshape(-1), starts), shape=(len(rows), start))


# Each takes scores (n, units) and labels (n,), and returns the sum of the losses and its slope by score.
Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def _binary(head: Head) -> Loss:
    def loss(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        label = labels[:, np.newaxis]
        losses = np.logaddexp(0, scores) - label * scores
        return float(losses.sum()), _sigmoid(scores) - label

    return loss


def _multiclass(head: Head) -> Loss:
    def loss(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        rows, probabilities = np.arange(len(labels)), _softmax(scores)
        losses = -np.log(np.maximum(probabilities[rows, labels], np.finfo(np.float64).tiny))
        probabilities[rows, labels] -= 1
        return float(losses.sum()), probabilities

    return loss


def _regression(head: Head) -> Loss:
    def loss(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        errors: np.ndarray = scores - ((labels.astype(np.float64) - head.offset) / head.scale)[:, np.newaxis]
        return 0.5 * float(np.vdot(errors, errors)), errors

    return loss


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * scores))  # never overflows


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers: np.ndarray = scores - scores.max(axis=1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


_LOSSES = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
_ACTIVATIONS = {"binary": _sigmoid, "multiclass": _softmax, "regression": lambda scores: scores}
