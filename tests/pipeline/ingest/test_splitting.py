"""Which rows are for training and which for evaluation, by column and by time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.ingest.points_in_time import at_or_after

CEST = timezone(timedelta(hours=2))
NEW_YEAR = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def sides(tmp_path: Path, ingest_files: Callable[..., Any]) -> Callable[..., Any]:
    """Split rows whose column `t` has some values, in CSV or Parquet; more rows on both sides keep splits from being empty."""

    def run(
        split: dict[str, Any], cells: list, more: list, arrow_type: pa.DataType | None = None, **options: Any
    ) -> tuple[str, dict[int, str]]:
        cells = [*cells, *more]
        path = tmp_path / "data.file"
        if arrow_type is None:
            path.write_text("i,t,y\n" + "".join(f"{i},{cell},{i % 2}\n" for i, cell in enumerate(cells)))
        else:
            columns = {"i": range(len(cells)), "t": pa.array(cells, arrow_type), "y": [i % 2 for i in range(len(cells))]}
            parquet.write_table(pa.table(columns), path)
        kind, first = ("csv", 2) if arrow_type is None else ("parquet", 1)
        done = ingest_files(kind, path, split=split, max_bad_rows=0.9, **options)
        found = {row["i"]: side[0] for side, rows in done.rows.items() for row in rows}
        shown = "".join(found.get(i, "-") for i in range(len(cells) - len(more)))
        return shown, {row - first: reason for row, reason in done.reasons.items()}

    return run


def by_column(train: list, evaluation: list) -> dict[str, Any]:
    return {"by": "column", "column": "t", "train": train, "eval": evaluation}


def by_time(eval_from: Any) -> dict[str, Any]:
    return {"by": "time", "column": "t", "eval_from": eval_from}


@pytest.mark.parametrize(
    ("cells", "more", "split", "expected"),
    [
        (["a", "b", "a", "c"], ["a", "a", "c"], (["a", "b"], ["c"]), "ttte"),
        (["2013", "2014"], ["2013"], ([2013], [2014]), "te"),
        (["2013.0", "2014", "0.1"], ["2013", "2014"], ([2013, 0.1], [2014]), "tet"),
        (["2013", "x2014", "2014"], ["2013", "x2014"], (["2013", 2014], ["x2014"]), "tet"),
    ],
    ids=["text", "integers", "floats", "numbers as text"],
)
def test_a_column_names_the_side(sides, cells: list, more: list, split: tuple[list, list], expected: str):
    assert sides(by_column(*split), cells, more) == (expected, {})


def test_numbers_that_a_32_bit_float_would_merge_go_where_the_file_says(sides):
    split = by_column([20230101.5, 20230103], [20230104])
    cells, more = ["20230101.5", "20230103.0", "20230104.0"], ["20230103", "20230104"]
    assert sides(split, cells, more, number_columns={"t": "numeric"}) == ("tte", {})


@pytest.mark.parametrize(
    ("arrow_type", "cells", "split", "expected"),
    [
        (pa.float64(), [20230103.0, 20230104.0, 0.1], ([20230103, 0.1], [20230104]), "tet"),
        (pa.float64(), [1700000000.25, 1700000000.75], ([1700000000.25], [1700000000.75]), "te"),
        (pa.float32(), [0.1, 2.0], ([0.1], [2]), "te"),
        (pa.decimal128(12, 2), [Decimal("20230103"), Decimal("20230104")], ([20230103], [20230104]), "te"),
        (pa.uint64(), [2**63, 2**63 + 1], ([2**63], [2**63 + 1]), "te"),
        (pa.dictionary(pa.int8(), pa.float64()), [20230103.0, 20230104.0], ([20230103], [20230104]), "te"),
        (pa.dictionary(pa.int8(), pa.string()), ["a", "b"], (["a"], ["b"]), "te"),
        (pa.date32(), [date(2023, 1, 3), date(2023, 1, 4)], (["2023-01-03"], ["2023-01-04"]), "te"),
    ],
    ids=str,
)
def test_a_column_of_parquet_names_the_side_at_the_precision_it_is_stored_with(
    sides, arrow_type: pa.DataType, cells: list, split: tuple[list, list], expected: str
):
    assert sides(by_column(*split), cells, cells * 2, arrow_type) == (expected, {})


def test_a_number_of_neither_side_is_spelled_as_it_is_stored(sides):
    cells = [20230101.0, 1.5, 20230103.0, 20230104.0]
    reasons = sides(by_column([20230103], [20230104]), cells, cells[2:], pa.float64())[1]
    assert reasons == {
        i: f"column 't' holds '{shown}', of neither split (`data.split` names '20230103', '20230104')"
        for i, shown in enumerate(["20230101", "1.5"])
    }


@pytest.mark.parametrize(
    ("split", "found"),
    [
        (([20230103], [5]), "20230103, which column 't' cannot hold exactly: its 32-bit floats have 20230104 there"),
        (([5], ["20230103"]), "20230103, which column 't' cannot hold exactly: its 32-bit floats have 20230104 there"),
        (([0.1], [0.1000000001]), "0.1000000001, which column 't' cannot hold exactly: its 32-bit floats have 0.1 there"),
    ],
)
def test_a_value_that_a_column_of_32_bit_floats_would_merge_is_refused(sides, split: tuple[list, list], found: str):
    with pytest.raises(DataError) as caught:
        sides(by_column(*split), [5.0], [1.5], pa.float32())
    assert str(caught.value) == f"`data.split` names {found}. Store the column as integers or text."


def test_a_row_of_neither_side_is_set_aside(sides):
    assert sides(by_column(["a"], ["b"]), ["a", "z", "", "b"], ["a", "b"]) == (
        "t--e",
        {
            1: "column 't' holds 'z', of neither split (`data.split` names 'a', 'b')",
            2: "column 't' is empty, so the row belongs to no split",
        },
    )


@pytest.mark.parametrize(
    ("cells", "eval_from", "expected"),
    [
        (["9", "10", "11", "100"], 10, "teee"),  # as text, 9 would be last
        (["-1", "1.5", "2"], 1.5, "tee"),
        (["1700000000.25", "1700000000.75"], 1700000000.5, "te"),  # a 32-bit float is two minutes wide here
        (["9007199254740992", "9007199254740993"], 9007199254740993, "te"),  # a 64-bit float takes them for one
        (["2023-12-31", "2024-01-01", "2024-01-01 00:00:01"], "2024-01-01", "tee"),
        (["2024-01-01T01:59:59+02:00", "2024-01-01T02:00:00+02:00"], "2024-01-01T00:00:00Z", "te"),
        (["2023-12-31T23:59:59Z", "2024-01-01 00:00", "2024-01-01T00:00:00.5-0100"], datetime(2024, 1, 1), "tee"),
        (["2024-06-30T21:59:59Z", "2024-06-30T22:00:00Z"], datetime(2024, 7, 1, tzinfo=CEST), "te"),
    ],
)
def test_rows_from_a_point_in_time_on_are_for_evaluation(sides, cells: list[str], eval_from: Any, expected: str):
    more = [cells[0], cells[0], cells[-1], cells[-1]]
    assert sides(by_time(eval_from), cells, more) == (expected, {})


@pytest.mark.parametrize(
    ("arrow_type", "cells", "eval_from", "expected"),
    [
        (pa.int32(), [1, 2], 2, "te"),
        (pa.uint64(), [1, 2**63], 2**63 - 1, "te"),
        (pa.uint64(), [2**63, 2**63 + 1], 2**63 + 1, "te"),
        (pa.int64(), [2**53, 2**53 + 1, 2**53 + 3], 2.0**53 + 2, "tte"),
        (pa.int64(), [-2, -1, 0], -1.5, "tee"),
        (pa.float64(), [2.0**53, 2.0**53 + 2], 2**53 + 1, "te"),
        (pa.float64(), [1700000000.25, 1700000000.75], 1700000000.5, "te"),
        (pa.decimal128(12, 2), [Decimal("1.25"), Decimal("1.50")], 1.5, "te"),
        (pa.date32(), [date(2023, 12, 31), date(2024, 1, 1)], "2024-01-01", "te"),
        (pa.timestamp("ns"), [datetime(2023, 12, 31, 23, 59, 59, 999999), datetime(2024, 1, 1)], "2024-01-01", "te"),
        (pa.timestamp("s", "Europe/Berlin"), [NEW_YEAR - timedelta(seconds=1), NEW_YEAR], "2024-01-01T01:00:00+01:00", "te"),
        (pa.string(), ["2023-12-31", "2024-01-01"], "2024-01-01", "te"),
        (pa.dictionary(pa.int8(), pa.string()), ["2023-12-31", "2024-01-01"], "2024-01-01", "te"),
        (pa.binary(10), [b"2023-12-31", b"2024-01-01"], "2024-01-01", "te"),
    ],
    ids=str,
)  # fmt: skip
def test_columns_of_parquet_are_compared_as_they_are_stored(
    sides, arrow_type: pa.DataType, cells: list, eval_from: Any, expected: str
):
    assert sides(by_time(eval_from), cells, cells * 2, arrow_type) == (expected, {})


def test_rows_without_a_point_in_time_are_set_aside(sides):
    assert sides(by_time("2024-01-01"), ["2023-05-05", "", "soon", "2024-05-05", "17"], ["2023-01-01", "2024-02-02"]) == (
        "t--e-",
        {
            1: "column 't' is empty, so the row belongs to no split",
            2: "column 't' holds 'soon', not an ISO 8601 time, so the row belongs to no split",
            4: "column 't' holds '17', not an ISO 8601 time, so the row belongs to no split",
        },
    )
    assert sides(by_time(5), ["1", "x", "nan", "9"], ["1", "9", "x"])[1] == {
        1: "column 't' holds 'x', not a number, so the row belongs to no split",
        2: "column 't' holds 'nan', not a number, so the row belongs to no split",
        6: "column 't' holds 'x', not a number, so the row belongs to no split",
    }


@pytest.mark.parametrize(
    ("arrow_type", "cells", "eval_from", "message"),
    [
        (
            pa.timestamp("s"),
            [datetime(2024, 1, 1)],
            5,
            "`data.split.eval_from` is 5, but the column holds times. Write one, such as ",
        ),
        (
            pa.int64(),
            [5],
            "2024-01-01",
            "`data.split.eval_from` is a time, but the column holds numbers (int64). Write a number.",
        ),
        (
            pa.time64("us"),
            [time(12)],
            "2024-01-01",
            "The column that `data.split` names holds time64[us], which is no point in time. Name one of dates, timestamps, ",
        ),
        (
            pa.time32("ms"),
            [time(12)],
            5,
            "The column that `data.split` names holds time32[ms], which is no point in time. Name one of dates, timestamps, ",
        ),
    ],
)
def test_a_point_of_another_kind_than_the_column_is_refused(
    sides, arrow_type: pa.DataType, cells: list, eval_from: Any, message: str
):
    with pytest.raises(DataError) as caught:
        sides(by_time(eval_from), cells, cells, arrow_type)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("points", "start", "expected"),
    [
        (pa.array([-(2**63), 2**63 - 1, None]), 2**63, [False, False, None]),
        (pa.array([-(2**63), 2**63 - 1, None]), 1e300, [False, False, None]),
        (pa.array([-(2**63), 2**63 - 1, None]), -(2**63) - 1, [True, True, None]),
        (pa.array([0, 2**64 - 1], pa.uint64()), -0.5, [True, True]),
        (pa.array([0, 2**64 - 1], pa.uint64()), 2**64, [False, False]),
        (pa.array([0, 2**64 - 1], pa.uint64()), 2**64 - 1, [False, True]),
    ],
)
def test_a_start_that_the_column_cannot_hold_is_before_or_after_all(points: pa.Array, start: int | float, expected: list):
    assert at_or_after(points, start)[0].to_pylist() == expected


def test_a_column_that_is_not_there_is_named(sides):
    with pytest.raises(DataError) as caught:
        sides(by_time(5) | {"column": "time"}, ["1"], ["9"])
    assert str(caught.value) == "`data.split.column`: the data have no column 'time'. Their columns: i, t, y."


def test_an_empty_side_is_refused(sides):
    with pytest.raises(DataError, match="Split 'eval' got none of the 4 rows"):
        sides(by_time("2025-01-01"), ["2024-01-01"] * 2, ["2024-01-01"] * 2)
