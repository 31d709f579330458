"""Each row's slice, as TFMA gives and spells it."""

from __future__ import annotations

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_model_analysis.slicer import slicer_lib

from pipeline.columnar.slices import Slicing, slice_name, slices_of_rows
from pipeline.gates import SliceMetrics

FLOATS = pa.list_(pa.float32())


@pytest.fixture
def block() -> pa.RecordBatch:
    """Three rows as they come out of tf.Examples; missing values are null lists or empty ones."""
    return pa.RecordBatch.from_pydict(
        {
            "hour": pa.array([[17], [3], [17]]),
            "payment": pa.array([[b"Cash"], ["Züri: 1,50".encode()], [b"No Charge"]]),
            "city": pa.array([[b"Bern"], None, [b"Basel"]]),
            "area": pa.array([[8], [76], []]),
            "fare": pa.array([[4.5], [0.1], [1e20]], FLOATS),
            "whole": pa.array([[3.0], [-0.0], [1234567.0]], FLOATS),
            "empty": pa.array([[b""], [b"x"], [b"Z\xfcrich"]]),
            "never": pa.array([None, None, None]),
            "several": pa.array([[1, 2], [1], None]),
        }
    )


def names(block: pa.RecordBatch, columns: Sequence[str]) -> list[str]:
    """Return each row's slice; "" where there is none."""
    keys, positions = slices_of_rows(block, columns)
    return [slice_name(keys[position]) if position >= 0 else "" for position in positions]


def spelled_by_tfma(block: pa.RecordBatch, columns: Sequence[str]) -> list[str]:
    """Return each row's slice as TFMA gives it and gates print it; "" where it gives none."""
    found = []
    for i in range(block.num_rows):
        cells = {name: block.column(name)[i].as_py() or [] for name in block.schema.names}
        row = {name: np.array(cell, np.float32 if name in ("fare", "whole") else None) for name, cell in cells.items()}
        keys = list(slicer_lib.get_slices_for_features_dicts([row], None, [slicer_lib.SingleSliceSpec(columns=columns)]))
        columns_of_key, values = zip(*keys[0], strict=True) if keys else ((), ())
        found.append(SliceMetrics(tuple(columns_of_key), tuple(map(str, values)), 0, {}).name)
    return found


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("hour",), ["hour:17", "hour:3", "hour:17"]),
        (("payment",), ["payment:Cash", "payment:Züri: 1,50", "payment:No Charge"]),
        (("city",), ["city:Bern", "", "city:Basel"]),
        (("area",), ["area:8", "area:76", ""]),
        (("whole",), ["whole:3.0", "whole:-0.0", "whole:1234567.0"]),
        (("payment", "hour"), ["hour:17,payment:Cash", "hour:3,payment:Züri: 1,50", "hour:17,payment:No Charge"]),
        (("hour", "city", "area"), ["area:8,city:Bern,hour:17", "", ""]),
        (("fare",), ["fare:4.5", "fare:0.10000000149011612", "fare:1.0000000200408773e+20"]),
    ],
)
def test_slice_of_a_row_is_spelled_as_tfma_does(block: pa.RecordBatch, columns: tuple[str, ...], expected: list[str]):
    assert names(block, columns) == expected
    assert spelled_by_tfma(block, columns) == expected


@pytest.mark.parametrize("columns", [("never",), ("nowhere",), ("hour", "never")])
def test_column_without_any_value_puts_no_row_into_a_slice(block: pa.RecordBatch, columns: tuple[str, ...]):
    assert names(block, columns) == ["", "", ""]


def test_empty_text_is_a_value_of_its_own_and_text_that_is_no_utf8_still_a_name(block: pa.RecordBatch):
    assert names(block, ("empty",)) == ["empty:", "empty:x", "empty:Z\ufffdrich"]


def test_row_with_several_values_is_in_no_slice(block: pa.RecordBatch):
    assert names(block, ("several",)) == ["", "several:1", ""]


def test_slices_over_blocks_hold_the_positions_of_their_rows(block: pa.RecordBatch):
    slicing = Slicing(("hour",))
    for part in (block, block.slice(1, 1), block.slice(0, 0), block):
        slicing.add(part)
    assert {key: rows.tolist() for key, rows in slicing.items()} == {
        (("hour", 17),): [0, 2, 4, 6],
        (("hour", 3),): [1, 3, 5],
    }


def test_values_seen_later_are_slices_too_and_rows_without_one_are_in_none(block: pa.RecordBatch):
    slicing = Slicing(("area",))
    slicing.add(block.slice(2, 1))
    slicing.add(block)
    assert {key: rows.tolist() for key, rows in slicing.items()} == {(("area", 8),): [1], (("area", 76),): [2]}
