"""The data section of a config file: its kinds, spans and splits, and what is said of every mistake."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from mini_config import Load, error_of

from pipeline.data_config import BigQueryData, CsvData, ParquetData, TFRecordData


def data(**values: Any) -> dict[str, Any]:
    return {"data": {"path": "x", **values}}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"path": "x"}, CsvData),
        ({"kind": "csv", "path": "x"}, CsvData),
        ({"kind": "parquet", "path": "x"}, ParquetData),
        ({"kind": "tfrecord", "path": "x"}, TFRecordData),
        ({"kind": "bigquery", "query": "SELECT 1"}, BigQueryData),
    ],
)
def test_data_may_be_of_four_kinds_and_is_csv_if_not_told(load: Load, values: dict, kind: type):
    assert type(load(data=values).data) is kind


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            data(kind="parket"),
            "data.kind: unknown kind 'parket'. Expected one of: csv, parquet, tfrecord, bigquery. Did you mean 'parquet'?",
        ),
        (data(kind="parquet", pth=1), "data.pth: unknown key 'pth'. Did you mean 'path'?"),
        ({"data": {"kind": "tfrecord"}}, "data.path: required, but not given."),
        ({"data": {"kind": "bigquery"}}, "data.query: required, but not given."),
        ({"data": {"kind": "bigquery", "query": "q", "path": "x"}}, "data.path: unknown key 'path'."),
        (
            data(span=3),
            "data: `span` is given, but `path` has no place for it. Put {SPAN}, or {YYYY}, {MM} and {DD}, into the path.",
        ),
        (
            data(split={"by": "colum", "column": "c"}),
            "data.split.by: unknown 'colum'. Expected one of: column, time, or weights.",
        ),
        (data(split={"by": "column", "column": "c", "train": [1]}), "data.split.eval: required, but not given."),
        (
            data(split={"by": "column", "column": "c", "train": [1], "eval": [1]}),
            "data.split: '1' is named for train and for eval. Name each value once.",
        ),
        (
            data(split={"by": "column", "column": "c", "train": ["a", "1"], "eval": [1.0]}),
            "data.split: '1' is named for train and for eval. Name each value once.",
        ),
        (
            data(split={"by": "time", "colum": "c", "column": "c", "eval_from": 1}),
            "data.split.colum: unknown key 'colum'. Did you mean 'column'?",
        ),
        (
            data(split={"by": "time", "column": "c", "eval_from": "soon"}),
            "data.split.eval_from: expected a number or a time such as 2024-01-31T12:00:00Z, found 'soon'.",
        ),
        (
            data(split={"by": "time", "column": "c", "eval_from": True}),
            "data.split.eval_from: expected a number or a time such as 2024-01-31T12:00:00Z, found True.",
        ),
        *(
            (
                data(split={"by": "time", "column": "c", "eval_from": number}),
                f"data.split.eval_from: expected a number or a time such as 2024-01-31T12:00:00Z, found {shown}.",
            )
            for number, shown in (
                (math.nan, "nan"),
                (-math.inf, "-inf"),
                ("nan", "'nan'"),
                ("1e999", "'1e999'"),
                ("1_0", "'1_0'"),
            )
        ),
        (
            {"data": {"kind": "bigquery", "query": "q", "split": {"by": "column", "column": "c", "train": [1], "eval": [2]}}},
            "data.split: BigQuery splits by weights only. Give both sides one, such as {train: 2, eval: 1}; to split by time "
            "or by column export the query to Parquet.",
        ),
    ],
)
def test_a_data_section_that_cannot_be_read_is_explained(load: Load, path: Path, sections: dict, message: str):
    assert error_of(load, **sections) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=timezone.utc)),
        ("2024-01-31T12:00:00Z", datetime(2024, 1, 31, 12, tzinfo=timezone.utc)),
        ("2024-01-31 12:00:00+02:00", datetime(2024, 1, 31, 10, tzinfo=timezone.utc)),
        ("2024-01-31T12:00:00.5+02:00", datetime(2024, 1, 31, 10, 0, 0, 500_000, tzinfo=timezone.utc)),
        ("2024-01-31 12:00", datetime(2024, 1, 31, 12, tzinfo=timezone.utc)),
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=timezone.utc)),
        (" 2024-01-31T12:00:00.123456789-0130", datetime(2024, 1, 31, 13, 30, 0, 123_456, tzinfo=timezone.utc)),
        (1_700_000_000, 1_700_000_000),
        ("1700000000", 1_700_000_000),
        ("9007199254740993", 9007199254740993),
        ("1e9", 1e9),
        (" -.5 ", -0.5),
        (0.5, 0.5),
    ],
)
def test_a_point_in_time_is_a_number_or_utc(load: Load, written: Any, expected: Any):
    split = load(**data(split={"by": "time", "column": "c", "eval_from": written})).data.split
    assert split.eval_from == expected
    assert type(split.eval_from) is type(expected)
    assert type(split).model_validate_json(split.model_dump_json()) == split  # as it goes to the worker
