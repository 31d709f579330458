"""The tensor operations that need no analysis of data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import ops


def sparse(values: list, dtype: tf.DType) -> tf.SparseTensor:
    """Return a column of len(values) rows in which None is missing."""
    rows = [[i, 0] for i, value in enumerate(values) if value is not None]
    present = tf.constant([value for value in values if value is not None], dtype)
    return tf.SparseTensor(tf.reshape(tf.constant(rows, tf.int64), [-1, 2]), present, [len(values), 1])


def column(values: list[float]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return float32 (batch, 1) and where it is NaN."""
    x = tf.constant(values, tf.float32)[:, tf.newaxis]
    return x, tf.math.is_nan(x)


def test_as_float_marks_missing_rows_with_nan():
    result = ops.as_float(sparse([3, None, -2], tf.int64))
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, [[3.0], [np.nan], [-2.0]])


def test_as_float_takes_dense_columns_of_rank_one_and_two():
    np.testing.assert_array_equal(ops.as_float(tf.constant([1.5, 2.5])), [[1.5], [2.5]])
    np.testing.assert_array_equal(ops.as_float(tf.constant([[7], [8]], tf.int64)), [[7.0], [8.0]])


def test_as_float_of_a_column_missing_in_every_row_of_the_batch_keeps_the_rows():
    # tf.io.parse_example gives dense_shape (batch, 0) here.
    empty = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], tf.float32), [2, 0])
    np.testing.assert_array_equal(ops.as_float(empty), [[np.nan], [np.nan]])


def test_as_text_spells_whole_floats_as_integers_and_missing_as_empty():
    result = ops.as_text(sparse([3.0, None, -12.0, 0.0], tf.float32))
    assert result.numpy().tolist() == [[b"3"], [b""], [b"-12"], [b"0"]]


def test_as_text_keeps_strings_and_spells_integers_exactly():
    assert ops.as_text(sparse(["Zürich", None, " a "], tf.string)).numpy().tolist() == [["Zürich".encode()], [b""], [b" a "]]
    assert ops.as_text(sparse([2**53 + 1, -7], tf.int64)).numpy().tolist() == [[b"9007199254740993"], [b"-7"]]


def test_as_text_keeps_the_fraction_of_floats_that_are_not_whole():
    assert ops.as_text(sparse([2.5, 2.75, -0.5], tf.float32)).numpy().tolist() == [[b"2.5"], [b"2.75"], [b"-0.5"]]


def test_as_text_reads_nan_as_missing_and_never_wraps_floats_beyond_int64():
    assert ops.as_text(sparse([math.nan, 1e30, -math.inf], tf.float32)).numpy().tolist() == [[b""], [b"1e+30"], [b"-inf"]]


def test_signed_log1p_is_odd_and_zero_at_zero():
    x = tf.constant([0.0, math.e - 1, 1 - math.e])
    np.testing.assert_allclose(ops.signed_log1p(x), [0.0, 1.0, -1.0], atol=1e-6)


def test_integer_ids_shift_known_values_by_one_and_share_one_id_for_all_others():
    ids = ops.integer_ids(*column([0.0, 4.0, 5.0, -1.0, math.nan, 1e30]), num_values=5)
    assert ids.dtype == tf.int64
    assert ids.numpy()[:, 0].tolist() == [1, 5, 6, 6, 0, 6]


def test_integer_ids_do_not_round_fractions_into_a_known_value():
    assert ops.integer_ids(*column([-0.5, 2.5, 4.999]), num_values=5).numpy()[:, 0].tolist() == [6, 6, 6]


@pytest.mark.parametrize(
    ("hour", "sine", "cosine"),
    [(0.0, 0.0, 1.0), (6.0, 1.0, 0.0), (12.0, 0.0, -1.0), (18.0, -1.0, 0.0), (24.0, 0.0, 1.0), (-6.0, -1.0, 0.0)],
)
def test_circle_places_hours_clockwise_from_the_top(hour: float, sine: float, cosine: float):
    np.testing.assert_allclose(ops.circle(*column([hour]), period=24), [[sine, cosine]], atol=1e-6)


def test_circle_of_a_missing_value_is_the_centre():
    np.testing.assert_array_equal(ops.circle(*column([math.nan]), period=7), [[0.0, 0.0]])


def test_cross_ids_are_a_polynomial_of_the_ids():
    ids = [tf.constant([[1], [2]], tf.int64), tf.constant([[3], [0]], tf.int64)]
    assert ops.cross_ids(ids, 10**9).numpy().tolist() == [[1_000_006], [2_000_006]]
    assert ops.cross_ids(ids, 100).numpy().tolist() == [[6], [6]]


def test_cross_ids_of_three_differ_by_order():
    one, two, three = (tf.constant([[i]], tf.int64) for i in (1, 2, 3))
    expected = (1 * 1_000_003 + 2) * 1_000_003 + 3
    assert ops.cross_ids([one, two, three], 2**60).numpy().item() == expected
    assert ops.cross_ids([three, two, one], 2**60).numpy().item() == (3 * 1_000_003 + 2) * 1_000_003 + 1


def test_cross_ids_stay_in_range_when_the_polynomial_overflows():
    huge = tf.constant([[2**62]], tf.int64)
    wrapped = np.array([2**62], np.int64) * np.int64(1_000_003) + np.int64(1)
    crossed = ops.cross_ids([huge, tf.constant([[1]], tf.int64)], 97).numpy().item()
    assert crossed == int(wrapped[0]) % 97
    assert 0 <= crossed < 97
