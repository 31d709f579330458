"""Values as files have them to values as models read them."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from pipeline.predicting.values import can_convert, from_json, from_stored, spelled_json

CELLS = pa.binary()


@pytest.mark.parametrize(
    ("wanted", "cells", "expected"),
    [
        ("text", [b"a, b", b"", b"3.0", b"nan", b"\xc3\xa9"], [b"a, b", None, b"3.0", b"nan", "é".encode()]),
        ("integer", [b"3", b"", b"-7", b"9007199254740993"], [3, None, -7, 9007199254740993]),
        ("integer", [b"3.0", b"-7.", b"nan", b"NaN", b"12.000"], [3, -7, None, None, 12]),
        ("number", [b"3", b"0.5", b"", b"nan", b"1e3"], [3.0, 0.5, None, None, 1000.0]),
    ],
)
def test_cells_of_csv_become_what_the_model_reads(wanted, cells, expected):
    values, wrong = from_stored(pa.array(cells, CELLS), wanted)
    assert (values.to_pylist(), wrong) == (expected, {})


@pytest.mark.parametrize(
    ("wanted", "cell", "reason"),
    [
        ("integer", b"3.5", "holds '3.5', not a number"),
        ("integer", b"0x10", "holds '0x10', not a number"),
        ("number", b"twelve", "holds 'twelve', not a number"),
        ("number", b"inf", "holds 'inf': infinite"),
        ("number", b"1e39", "holds '1e39': beyond a 32-bit float"),
        ("text", b"\xff", r"holds b'\xff', not UTF-8"),
    ],
)
def test_a_cell_that_is_not_of_the_type_is_named(wanted, cell, reason):
    values, wrong = from_stored(pa.array([b"1", cell, b"2"], CELLS), wanted)
    assert values.is_null().to_pylist() == [False, True, False]
    assert wrong == {1: reason}


@pytest.mark.parametrize(
    ("wanted", "stored", "expected"),
    [
        ("text", pa.array([60601, None]), [b"60601", None]),
        # pandas has integers as floats once one is missing.
        ("text", pa.array([60601.0, np.nan, 0.5]), [b"60601", None, b"0.5"]),
        ("text", pa.array([date(2024, 1, 31)]), [b"2024-01-31"]),
        ("text", pa.array([datetime(2024, 1, 31, 12, tzinfo=timezone.utc)]), [b"2024-01-31 12:00:00.000000Z"]),
        ("text", pa.array(["", "x"], pa.large_string()), [None, b"x"]),
        ("integer", pa.array([3.0, np.nan, None, -0.0]), [3, None, None, 0]),
        ("integer", pa.array([7, None], pa.uint8()), [7, None]),
        ("integer", pa.array([True, None, False]), [1, None, 0]),
        ("integer", pa.array(["3", "", None]), [3, None, None]),
        ("number", pa.array([3, None], pa.int32()), [3.0, None]),
        ("number", pa.array([0.5, np.nan]), [0.5, None]),
        ("number", pa.array([Decimal("1.50"), None]), [1.5, None]),
        ("number", pa.array(["2.5", None]), [2.5, None]),
        ("number", pa.array([True]), [1.0]),
        ("number", pa.array([2**63], pa.uint64()), [2.0**63]),
        ("number", pa.nulls(2), [None, None]),
    ],
)
def test_columns_of_parquet_become_what_the_model_reads(wanted, stored, expected):
    values, wrong = from_stored(stored, wanted)
    assert (values.to_pylist(), wrong) == (expected, {})
    assert values.type in ({"text": pa.binary(), "integer": pa.int64(), "number": pa.float32()}[wanted], pa.null())


@pytest.mark.parametrize(
    ("wanted", "stored", "reason"),
    [
        ("integer", pa.array([1.0, 3.5]), "holds '3.5', no whole number"),
        ("integer", pa.array([1.0, 1e17]), "holds '1e+17', no whole number"),
        ("integer", pa.array([1.0, np.inf]), "holds 'inf', no whole number"),
        ("number", pa.array([1.0, -np.inf]), "holds '-inf': infinite"),
        ("text", pa.array([None, True]), "holds a boolean"),
    ],
)
def test_a_stored_value_that_is_not_of_the_type_is_named(wanted, stored, reason):
    values, wrong = from_stored(stored, wanted)
    assert values[1].as_py() is None
    assert wrong == {1: reason}


@pytest.mark.parametrize(
    ("wanted", "values", "expected"),
    [
        ("text", ["Cash", None, "", 17, 3.0, 0.5], [b"Cash", None, None, b"17", b"3", b"0.5"]),
        ("integer", [3, None, "4", 5.0, True, float("nan")], [3, None, 4, 5, 1, None]),
        ("number", [3, None, "4.5", 0.5, True, float("nan")], [3.0, None, 4.5, 0.5, 1.0, None]),
        ("number", [None, None], [None, None]),
        ("number", [], []),
    ],
)
def test_json_values_of_several_types_become_one(wanted, values, expected):
    converted, wrong = from_json(values, wanted)
    assert (converted.to_pylist(), wrong) == (expected, {})


@pytest.mark.parametrize(
    ("wanted", "value", "reason"),
    [
        ("number", [1, 2], "holds [1, 2]"),
        ("text", {"key": "x" * 50}, 'holds {"key": "' + "x" * 31 + "..."),
        ("text", True, "holds a boolean"),
        ("text", "\ud800", r"holds b'\xed\xa0\x80', not UTF-8"),
        ("integer", 2**63, "holds 9223372036854775808: beyond 64 bits"),
        ("integer", 3.5, "holds '3.5', no whole number"),
        ("number", "many", "holds 'many', not a number"),
        ("number", float("inf"), "holds 'inf': infinite"),
    ],
)
def test_a_json_value_that_is_not_of_the_type_is_named(wanted, value, reason):
    converted, wrong = from_json([None, value, 1], wanted)
    assert converted.is_null().to_pylist() == [True, True, False]
    assert wrong == {1: reason}


def test_carried_json_values_are_spelled_as_json_has_them():
    values = ["a\nb", 7, 0.5, True, None, [1, "é"], "\ud800"]
    assert spelled_json(values).to_pylist() == ["a\nb", "7", "0.5", "true", None, '[1, "é"]', "?"]


def test_lists_structs_and_durations_cannot_be_read():
    unreadable = (pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.duration("s"), pa.float16())
    assert not any(map(can_convert, unreadable))
    assert all(map(can_convert, (pa.string(), pa.bool_(), pa.int8(), pa.decimal128(5, 2), pa.date32(), pa.null())))
