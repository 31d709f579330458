"""Tensor operations shared by the tasks' transforms. A raw column comes as SparseTensor (batch, <=1) or dense (batch, 1)."""

from __future__ import annotations

import math
from typing import TypeAlias

import tensorflow as tf
import tensorflow_transform as tft

from preprocessing.features import MISSING_ID

Column: TypeAlias = "tf.Tensor | tf.SparseTensor"

# Crossed ids are polynomial hashes: integer arithmetic that any device can repeat.
CROSS_MULTIPLIER = 1_000_003


def as_float(column: Column) -> tf.Tensor:
    """Return float32 (batch, 1), NaN where the value is missing. Takes integers, floats."""
    return _dense(column, lambda values: tf.cast(values, tf.float32), math.nan)


def as_text(column: Column) -> tf.Tensor:
    """Return string (batch, 1), "" where the value is missing or NaN; whole floats (3.0) read as integers ("3")."""

    def spell(values: tf.Tensor) -> tf.Tensor:
        if values.dtype == tf.string:
            return values
        if values.dtype.is_integer:
            return tf.strings.as_string(values)
        whole = tf.logical_and(tf.equal(values, tf.floor(values)), tf.abs(values) < 2.0**63)
        integer = tf.strings.as_string(tf.cast(tf.where(whole, values, tf.zeros_like(values)), tf.int64))
        text = tf.where(whole, integer, tf.strings.as_string(values, shortest=True))
        return tf.where(tf.math.is_nan(values), "", text)

    return _dense(column, spell, "")


def _dense(column: Column, convert, default: float | str) -> tf.Tensor:
    if not isinstance(column, tf.SparseTensor):
        return tf.reshape(convert(column), [-1, 1])
    shape = tf.stack([column.dense_shape[0], tf.constant(1, tf.int64)])
    sparse = tf.SparseTensor(column.indices, convert(column.values), shape)
    dense = tf.sparse.to_dense(sparse, default_value=tf.constant(default, sparse.dtype))
    return tf.ensure_shape(dense, [None, 1])


def signed_log1p(x: tf.Tensor) -> tf.Tensor:
    """Return sign(x) * log(1 + |x|), any float shape."""
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


def z_score(x: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """Standardize by the mean and standard deviation of the present values; missing ones become 0, the mean.

    Args:
      x: float32 (batch, 1).
      missing: bool (batch, 1).

    Returns:
      float32 (batch, 1).
    """
    present = tf.boolean_mask(x, tf.logical_not(missing))
    mean, variance = tf.cast(tft.mean(present), tf.float32), tf.cast(tft.var(present), tf.float32)
    deviation = tf.where(variance > 0, tf.sqrt(variance), tf.ones_like(variance))
    return tf.where(missing, tf.zeros_like(x), (x - mean) / deviation)


def bucket_ids(x: tf.Tensor, missing: tf.Tensor, num_buckets: int) -> tf.Tensor:
    """Cut at quantiles: int64 (batch, 1) in [1, num_buckets], 0 where missing."""
    present = tf.boolean_mask(x, tf.logical_not(missing))
    boundaries = tft.quantiles(present, num_buckets=num_buckets, epsilon=0.01)
    buckets = tft.apply_buckets(tf.where(missing, tf.zeros_like(x), x), boundaries)
    return tf.where(missing, tf.zeros_like(buckets) + MISSING_ID, buckets + 1)


def integer_ids(x: tf.Tensor, missing: tf.Tensor, num_values: int) -> tf.Tensor:
    """Return int64 (batch, 1): 0 where missing, value + 1 for integers in [0, num_values), num_values + 1 for others."""
    value = tf.cast(tf.where(missing, tf.zeros_like(x), x), tf.int64)
    known = tf.logical_and(tf.logical_and(value >= 0, value < num_values), tf.equal(tf.cast(value, x.dtype), x))
    ids = tf.where(known, value + 1, tf.fill(tf.shape(value), tf.constant(num_values + 1, tf.int64)))
    return tf.where(missing, tf.zeros_like(ids) + MISSING_ID, ids)


def vocabulary_ids(text: tf.Tensor, name: str, top_k: int | None, num_oov_buckets: int, min_count: int) -> tf.Tensor:
    """Look text up in the vocabulary of the training split.

    Args:
      text: string (batch, 1), "" where missing.
      name: the vocabulary's file name in the transform graph.
      top_k: size limit, None for none.
      num_oov_buckets: ids for unknown values.
      min_count: values seen less often are unknown.

    Returns:
      int64 (batch, 1): 0 where missing, 1 + position in the vocabulary, then the out-of-vocabulary ids.
    """
    missing = tf.equal(text, "")
    vocabulary = tft.vocabulary(
        tf.boolean_mask(text, tf.logical_not(missing)),
        top_k=top_k,
        frequency_threshold=min_count if min_count > 1 else None,  # TFT warns of a threshold of 1
        vocab_filename=name,
    )
    ids = tft.apply_vocabulary(text, vocabulary, num_oov_buckets=num_oov_buckets)
    return tf.where(missing, tf.zeros_like(ids) + MISSING_ID, ids + 1)


def circle(x: tf.Tensor, missing: tf.Tensor, period: int) -> tf.Tensor:
    """Return float32 (batch, 2): sine and cosine of x on a circle of the given period, (0, 0) where missing."""
    angle = 2.0 * math.pi * tf.where(missing, tf.zeros_like(x), x) / period
    return tf.where(missing, tf.zeros_like(angle), tf.concat([tf.sin(angle), tf.cos(angle)], axis=1))


def cross_ids(ids: list[tf.Tensor], num_buckets: int) -> tf.Tensor:
    """Hash a combination of ids, int64 (batch, 1) each, into int64 (batch, 1) in [0, num_buckets)."""
    crossed = ids[0]
    for part in ids[1:]:
        crossed = crossed * CROSS_MULTIPLIER + part
    return tf.math.floormod(crossed, num_buckets)
