"""What a column is taken for, and which of its cells cannot be used."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.ingest import columns
from pipeline.ingest.columns import ColumnType


def cells(*values: bytes) -> pa.Array:
    return pa.array(values, pa.binary())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], ColumnType.EMPTY, id="no rows"),
        pytest.param([b"", b""], ColumnType.EMPTY, id="nothing but empty cells"),
        pytest.param([b"1", b"", b"-2"], ColumnType.INTEGER, id="integers"),
        pytest.param([b"16777216", b"-16777216", b"33554432"], ColumnType.INTEGER, id="integers that float32 holds"),
        pytest.param([b"1", b"16777217"], ColumnType.LONG, id="integer that float32 would change"),
        pytest.param([b"9223372036854775807"], ColumnType.LONG, id="largest int64"),
        pytest.param([b"-9223372036854775808"], ColumnType.LONG, id="smallest int64"),
        pytest.param([b"1.5", b"16777217"], ColumnType.TEXT, id="integer that float32 would change among floats"),
        pytest.param([b"1.5", b"9007199254740993"], ColumnType.TEXT, id="integer that float64 would change among floats"),
        pytest.param([b"1", b"9223372036854775808"], ColumnType.TEXT, id="integer beyond int64"),
        pytest.param([b"1.5", b"-99999999999999999999"], ColumnType.TEXT, id="integer beyond int64 among floats"),
        pytest.param([b"1.5", b"1e20", b""], ColumnType.FLOAT, id="large float"),
        pytest.param([b"1", b"1.5"], ColumnType.FLOAT, id="integers and floats"),
        pytest.param([b"1e3"], ColumnType.FLOAT, id="exponent"),
        pytest.param([b"1", b"nan"], ColumnType.FLOAT, id="NaN"),
        pytest.param([b"1", b"inf"], ColumnType.FLOAT, id="infinity"),
        pytest.param([b"1.5", b"1e39"], ColumnType.TEXT, id="float beyond float32"),
        pytest.param([b"1", b"x"], ColumnType.TEXT, id="text after a number"),
        pytest.param([b"1 "], ColumnType.TEXT, id="space"),
        pytest.param([b"1_000"], ColumnType.TEXT, id="underscore"),
        pytest.param([b"1,000"], ColumnType.TEXT, id="thousands separator"),
        pytest.param([b"true"], ColumnType.TEXT, id="boolean"),
        pytest.param([b"2013-01-01"], ColumnType.TEXT, id="date"),
        pytest.param([b"1", b"\xff"], ColumnType.TEXT, id="not UTF-8"),
    ],
)
def test_a_column_is_as_wide_as_its_widest_cell(values: list[bytes], expected: ColumnType):
    assert columns.infer_type(cells(*values)) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (ColumnType.EMPTY, ColumnType.FLOAT, ColumnType.FLOAT),
        (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.FLOAT),
        (ColumnType.INTEGER, ColumnType.LONG, ColumnType.LONG),
        (ColumnType.LONG, ColumnType.FLOAT, ColumnType.TEXT),
        (ColumnType.EMPTY, ColumnType.TEXT, ColumnType.TEXT),
    ],
)
def test_two_parts_of_a_column_are_held_by_the_narrowest_type_that_holds_both(
    one: ColumnType, other: ColumnType, expected: ColumnType
):
    assert {one.widened(other), other.widened(one)} == {expected}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"1", b"x", b"2"], ColumnType.INTEGER),
        ([b"1", b"16777217"], ColumnType.INTEGER),
        ([b"1", b"x", b"2.5"], ColumnType.FLOAT),
        ([b"1", b"1e39"], ColumnType.FLOAT),
        ([b"1", b"\xff"], ColumnType.INTEGER),
        ([b"x", b""], ColumnType.EMPTY),
        ([b"1", b""], ColumnType.INTEGER),
    ],
)
def test_a_column_of_numbers_takes_its_type_from_the_cells_that_are_numbers(values: list[bytes], expected: ColumnType):
    assert columns.infer_number_type(cells(*values)) is expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (b"twelve", "holds 'twelve', not a number"),
        (b" 1", "holds ' 1', not a number"),
        (b"\xff", r"holds '\xff', not a number"),
        (b"x" * 41, f"holds '{'x' * 40}...', not a number"),
        (b"inf", "holds 'inf': infinite"),
        (b"-Infinity", "holds '-Infinity': infinite"),
        (b"1e400", "holds '1e400': infinite"),
        (b"1e39", "holds '1e39': beyond a 32-bit float"),
        (b"-4e38", "holds '-4e38': beyond a 32-bit float"),
    ],
)
def test_unusable_numbers_are_named_with_their_position(cell: bytes, reason: str):
    values, wrong = columns.to_values(cells(b"1", b"", b"2.5", cell, b"nan"), ColumnType.FLOAT)
    assert wrong == {3: reason}
    assert values.to_pylist() == [1.0, None, 2.5, None, None]


def test_many_unusable_numbers_are_all_found():
    """The search for them goes by halves."""
    content = [b"x" if i % 7 == 3 or i > 90 else b"%d" % i for i in range(101)]
    values, wrong = columns.to_values(cells(*content), ColumnType.INTEGER)
    assert sorted(wrong) == [i for i, cell in enumerate(content) if cell == b"x"]
    assert values.to_pylist() == [None if cell == b"x" else i for i, cell in enumerate(content)]


@pytest.mark.parametrize("cell", [b"0x10", b"0X1F", b"-0x1"])
def test_hexadecimal_is_no_number(cell: bytes):
    """Arrow reads it as an integer, TFX's CsvExampleGen as text."""
    assert columns.infer_type(cells(cell, b"1")) is ColumnType.TEXT
    assert columns.infer_number_type(cells(b"2", cell, b"1")) is ColumnType.INTEGER
    for column_type in (ColumnType.INTEGER, ColumnType.FLOAT):
        values, wrong = columns.to_values(cells(b"2", cell, b"1"), column_type)
        assert wrong == {1: f"holds '{cell.decode()}', not a number"}
        assert values.to_pylist() == [2, None, 1]


@pytest.mark.parametrize("values", [[], [b""], [b"1", b"", b"-2.5"], [b"nan", b"NaN"], [b"3.4e38"], [b"9223372036854775808"]])
def test_finite_and_missing_numbers_are_usable(values: list[bytes]):
    assert columns.to_values(cells(*values), ColumnType.FLOAT)[1] == {}


def test_text_that_is_not_utf8_is_named_with_its_position():
    values, wrong = columns.to_values(cells(b"caf\xc3\xa9", b"caf\xe9", b""), ColumnType.TEXT)
    assert wrong == {1: r"holds b'caf\xe9', not UTF-8"}
    assert values.to_pylist() == [b"caf\xc3\xa9", None, None]


@pytest.mark.parametrize(
    ("column_type", "values", "expected"),
    [
        (ColumnType.INTEGER, [b"1", b"", b"-2"], [1, None, -2]),
        (ColumnType.LONG, [b"9223372036854775807", b""], [9223372036854775807, None]),
        (ColumnType.FLOAT, [b"1.5", b"", b"nan", b"-NaN", b"2"], [1.5, None, None, None, 2.0]),
        (ColumnType.FLOAT, [b"nan", b"", b"NaN"], [None, None, None]),
        (ColumnType.TEXT, [b"", b"x", b"nan", b""], [None, b"x", b"nan", None]),
        (ColumnType.EMPTY, [b"", b""], [None, None]),
        (ColumnType.TEXT, [], []),
    ],
)
def test_every_cell_becomes_a_value_or_null(column_type: ColumnType, values: list[bytes], expected: list):
    found, wrong = columns.to_values(cells(*values), column_type)
    assert (found.to_pylist(), wrong) == (expected, {})
    assert found.type == columns.ARROW_TYPES[column_type]


def test_a_slice_of_a_column_is_converted_like_the_column():
    assert columns.to_values(cells(b"1", b"", b"3", b"4").slice(1, 2), ColumnType.INTEGER)[0].to_pylist() == [None, 3]


def test_rows_are_joined_so_that_cells_cannot_flow_together():
    assert columns.joined([cells(b"ab", b"a"), cells(b"c", b"bc")]) == [b"ab\x1fc", b"a\x1fbc"]
