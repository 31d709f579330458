"""slice_names(): each row's slice, spelled as TFMA spells it, so that slices of edge variants and of the model are the same."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_model_analysis.slicer import slicer_lib

from pipeline.components.compressor import slice_names
from pipeline.gates import SliceMetrics

Tensors = Mapping[str, tf.Tensor | tf.SparseTensor]


def optional(values: Sequence[Any], dtype: tf.DType) -> tf.SparseTensor:
    """A column as it is read where values may be missing (None)."""
    present = [i for i, value in enumerate(values) if value is not None]
    indices = np.array([(i, 0) for i in present], np.int64).reshape(-1, 2)
    return tf.SparseTensor(indices, tf.constant([values[i] for i in present], dtype), [len(values), 1])


@pytest.fixture
def raw() -> Tensors:
    """Three rows."""
    return {
        "hour": tf.constant([[17], [3], [17]], tf.int64),
        "payment": tf.constant([[b"Cash"], ["Züri: 1,50".encode()], [b"No Charge"]]),
        "city": optional(["Bern", None, "Basel"], tf.string),
        "area": optional([8, 76, None], tf.int64),
        "fare": optional([4.5, 0.1, 1e20], tf.float32),
        "whole": tf.constant([[3.0], [-0.0], [1234567.0]], tf.float32),
    }


def spelled_by_tfma(raw: Tensors, columns: Sequence[str]) -> list[str]:
    """Return each row's slice as TFMA gives it and gates print it; "" where it gives none."""
    names = []
    for i in range(3):
        row = {}
        for column, x in raw.items():
            dense = x if isinstance(x, tf.Tensor) else tf.sparse.slice(x, [i, 0], [1, 1])
            row[column] = dense.values.numpy() if isinstance(dense, tf.SparseTensor) else dense.numpy()[i]
        keys = list(slicer_lib.get_slices_for_features_dicts([row], None, [slicer_lib.SingleSliceSpec(columns=columns)]))
        columns_and_values = zip(*keys[0], strict=True) if keys else ((), ())
        columns_of_key, values = columns_and_values
        names.append(SliceMetrics(tuple(columns_of_key), tuple(map(str, values)), 0, {}).name)
    return names


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (("hour",), ["hour:17", "hour:3", "hour:17"]),
        (("payment",), ["payment:Cash", "payment:Züri: 1,50", "payment:No Charge"]),
        (("city",), ["city:Bern", "", "city:Basel"]),
        (("area",), ["area:8", "area:76", ""]),
        (("whole",), ["whole:3.0", "whole:-0.0", "whole:1234567.0"]),
        (("payment", "hour"), ["hour:17,payment:Cash", "hour:3,payment:Züri: 1,50", "hour:17,payment:No Charge"]),
        (("hour", "city", "area"), ["area:8,city:Bern,hour:17", "", ""]),
    ],
)
def test_slice_of_a_row_is_spelled_as_tfma_does(raw: Tensors, columns: tuple[str, ...], names: list[str]):
    assert slice_names(raw, columns) == names
    assert spelled_by_tfma(raw, columns) == names


def test_fraction_is_spelled_with_the_digits_tfma_gives_it(raw: Tensors):
    spelled = spelled_by_tfma(raw, ("fare",))
    assert spelled[:2] == ["fare:4.5", "fare:0.10000000149011612"]
    assert slice_names(raw, ("fare",)) == spelled


def test_column_without_any_value_puts_no_row_into_a_slice():
    raw = {"city": optional([None, None], tf.string), "hour": tf.constant([[1], [2]], tf.int64)}
    assert slice_names(raw, ("city",)) == ["", ""]
    assert slice_names(raw, ("city", "hour")) == ["", ""]


def test_empty_text_is_a_value_of_its_own():
    assert slice_names({"city": tf.constant([[b""], [b"Bern"]])}, ("city",)) == ["city:", "city:Bern"]


def test_text_that_is_no_utf8_is_still_a_name():
    assert slice_names({"city": tf.constant([[b"Z\xfcrich"]])}, ("city",)) == ["city:Z\ufffdrich"]
