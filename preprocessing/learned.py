"""Constants that Transform learned (means, deviations, bucket boundaries), read off its graph by evaluating it.

TFT keeps them inside the graph and annotates the schema with them only where an unpublished proto is available. Probing needs
no more than the graph itself: a z-score is a straight line, a bucket id is a step function.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

# Far enough out for the line's slope to be exact in float32.
_FAR = 1e18


class TransformProbe:
    """Evaluates one output of a transform graph for chosen values of one column, all other columns missing."""

    def __init__(self, transform_output: tft.TFTransformOutput):
        self._spec = transform_output.raw_feature_spec()
        self._transform = transform_output.transform_features_layer()

    def z_score(self, column: str, output: str, log: bool) -> tuple[float, float]:
        """Return the mean and standard deviation of a numeric feature (of the logarithm, with log)."""
        at_zero, at_far = self._evaluate(column, output, np.array([0.0, _FAR]))
        far = float(np.log1p(np.float32(_FAR))) if log else _FAR
        deviation = far / (float(at_far) - float(at_zero))
        mean = -float(at_zero) * deviation
        # The mean is now as exact as its own float32; seen from nearby it is as exact as the deviation's.
        near = np.float32(np.copysign(np.expm1(abs(mean)), mean) if log else mean)
        if self._spec[column].dtype == tf.int64:
            near = np.round(near)
        at_near = self._evaluate(column, output, np.array([near]))[0]
        near = np.copysign(np.log1p(abs(float(near))), near) if log else near
        return float(near) - float(at_near) * deviation, deviation

    def boundaries(self, column: str, output: str, first_id: int, num_buckets: int) -> list[float]:
        """Return the smallest value of each bucket but the first, ascending; buckets that no value reaches are left out.

        Args:
          column: raw column.
          output: transformed name of the bucketized feature.
          first_id: id of the first bucket.
          num_buckets: as configured.
        """
        if self._spec[column].dtype == tf.int64:
            return [float(x) for x in self._bisect(column, output, first_id, num_buckets, -(2**53), 2**53, lambda i: i)]
        limit = _ordered(np.float32(3e38))
        return [float(x) for x in self._bisect(column, output, first_id, num_buckets, -limit, limit, _unordered)]

    def _bisect(
        self,
        column: str,
        output: str,
        first_id: int,
        num_buckets: int,
        low: int,
        high: int,
        value: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Find, for each bucket, the smallest position in [low, high] whose value falls into it or a later one."""
        wanted = np.arange(first_id + 1, first_id + num_buckets)
        lows, highs = np.full(len(wanted), low, np.int64), np.full(len(wanted), high, np.int64)
        reachable = self._evaluate(column, output, value(highs)) >= wanted
        while np.any(lows < highs):
            middle = (lows + highs) // 2
            reached = self._evaluate(column, output, value(middle)) >= wanted
            highs, lows = np.where(reached, middle, highs), np.where(reached, lows, middle + 1)
        return value(highs[reachable])

    def _evaluate(self, column: str, output: str, values: np.ndarray) -> np.ndarray:
        raw = {name: self._column(name, values if name == column else None, len(values)) for name in self._spec}
        return self._transform(raw)[output].numpy()[:, 0]

    def _column(self, name: str, values: np.ndarray | None, num_rows: int) -> tf.Tensor | tf.SparseTensor:
        feature = self._spec[name]
        dtype = feature.dtype
        if isinstance(feature, tf.io.FixedLenFeature):
            # A required column has no missing value: what stands in it does not matter to another column's output.
            content = values if values is not None else np.zeros(num_rows)
            dense = tf.fill([num_rows], "") if dtype == tf.string else tf.constant(content, dtype)
            return tf.reshape(dense, [num_rows, *feature.shape])
        if values is None:
            return tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], dtype), [num_rows, 1])
        rows = np.stack([np.arange(num_rows), np.zeros(num_rows, int)], axis=1)
        return tf.SparseTensor(rows, tf.constant(values, dtype), [num_rows, 1])


def _ordered(x: np.float32) -> int:
    """Return the position of a non-negative float32 among all float32 numbers, 0 being at 0."""
    return int(np.float32(x).view(np.int32))


def _unordered(positions: np.ndarray) -> np.ndarray:
    """Return the float32 numbers at positions that may be negative."""
    magnitude = np.abs(positions).astype(np.int32).view(np.float32)
    return np.where(positions < 0, -magnitude, magnitude)
