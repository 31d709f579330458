"""Which rows are set aside, what the quarantine says of them, and when they are too many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from ingested_csv import BINARY, GOOD, REGRESSION, both, error_of, run

from pipeline.ingest import csv_blocks, ingesting
from preprocessing.features import Label


def test_text_in_a_column_of_numbers_is_set_aside(tmp_path: Path):
    report, rows = run(f"x,y\n{GOOD}abc,1\n", folder=tmp_path, numbers={"x": "numeric"}, max_bad_rows=0.1)
    assert report.num_quarantined == 1
    assert [str(bad) for bad in report.quarantined] == [
        "data-0.csv row 14: column 'x' holds 'abc', not a number (it is used as numeric)"
    ]
    assert report.types["x"] == "integer"
    assert sorted(row["x"] for row in both(rows)) == list(range(12))


def test_a_column_that_changes_type_half_way_names_the_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 24)
    content = "x,y\n" + GOOD + "".join(f"n{i},{i % 2}\n" for i in range(12))
    reasons = "; ".join(
        f"data-0.csv row {14 + i}: column 'x' holds 'n{i}', not a number (it is used as bucketized)" for i in range(5)
    )
    assert error_of(content, folder=tmp_path, numbers={"x": "bucketized"}) == (
        "12 of 24 rows cannot be used (50.0%); `data.max_bad_rows` allows 0.0%. "
        f"{reasons} and 7 more. Mend them, or raise `data.max_bad_rows` to set them aside "
        "and have them all in quarantine.jsonl beside the examples."
    )


@pytest.mark.parametrize(
    ("row", "numbers", "reason"),
    [
        ("inf,1", {}, "column 'x' holds 'inf': infinite"),
        ("-inf,1", {"x": "numeric"}, "column 'x' holds '-inf': infinite (it is used as numeric)"),
        ("1e39,1", {"x": "numeric"}, "column 'x' holds '1e39': beyond a 32-bit float (it is used as numeric)"),
        (b"\xff,1", {}, r"column 'x' holds b'\xff', not UTF-8"),
        (b"\xff,1", {"x": "numeric"}, r"column 'x' holds '\xff', not a number (it is used as numeric)"),
        ("1,", {}, "the label 'y' is empty"),
        ("1,nan", {}, "the label 'y' is empty"),
        ("1", {}, "1 fields, expected 2"),
        ("1,0,3", {}, "3 fields, expected 2"),
    ],
)
def test_one_bad_row_too_many_stops_with_its_number_and_reason(
    tmp_path: Path, row: str | bytes, numbers: Mapping[str, str], reason: str
):
    row = row.encode() if isinstance(row, str) else row
    content = b"x,y\n" + GOOD.encode() + row + b"\n"
    assert error_of(content, folder=tmp_path, numbers=numbers) == (
        "1 of 13 rows cannot be used (7.7%); `data.max_bad_rows` allows 0.0%. "
        f"data-0.csv row 14: {reason}. Mend them, or raise `data.max_bad_rows` to set them aside "
        "and have them all in quarantine.jsonl beside the examples."
    )
    report, rows = run(content, folder=tmp_path, numbers=numbers, max_bad_rows=0.1)
    assert [(bad.row, bad.reason) for bad in report.quarantined] == [(14, reason)]
    assert len(both(rows)) == 12


@pytest.mark.parametrize("label", [BINARY, REGRESSION])
def test_no_example_without_a_label(tmp_path: Path, label: Label):
    content = f"x,y\n{GOOD}1,nan\n2,\n"
    numbers = {"y": "regression label"} if label is REGRESSION else {}
    report, rows = run(content, folder=tmp_path, label=label, numbers=numbers, max_bad_rows=0.2)
    assert [(bad.row, bad.reason) for bad in report.quarantined] == [
        (14, "the label 'y' is empty"),
        (15, "the label 'y' is empty"),
    ]
    assert [row for row in both(rows) if "y" not in row] == []


def test_the_share_of_bad_rows_may_be_reached_but_not_passed(tmp_path: Path):
    rows = "".join(f"{i},{i % 2}\n" for i in range(18))
    report, _ = run(f"x,y\n{rows}1\n2\n", folder=tmp_path, max_bad_rows=0.1)
    assert report.num_quarantined == 2
    assert error_of(f"x,y\n{rows}1\n2\n3\n", folder=tmp_path, max_bad_rows=0.1).startswith(
        "3 of 21 rows cannot be used (14.3%); `data.max_bad_rows` allows 10.0%. data-0.csv row 20: 1 fields, expected 2; "
    )


def test_bad_rows_of_all_kinds_are_listed_in_the_order_of_the_file(tmp_path: Path):
    report, _ = run(f"x,y\n1\nabc,1\n{GOOD}2,\n", folder=tmp_path, numbers={"x": "numeric"}, max_bad_rows=0.5)
    assert [(bad.row, bad.reason) for bad in report.quarantined] == [
        (2, "1 fields, expected 2"),
        (3, "column 'x' holds 'abc', not a number (it is used as numeric)"),
        (16, "the label 'y' is empty"),
    ]


def test_no_more_than_a_thousand_bad_rows_are_listed_but_all_are_counted(tmp_path: Path):
    report, _ = run("x,y\n" + "1\n" * 1200 + GOOD, folder=tmp_path, max_bad_rows=0.999)
    assert report.num_quarantined == 1200
    assert [bad.row for bad in report.quarantined] == list(range(2, 1002))
    quarantine = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    file = str(tmp_path / "data-0.csv")
    assert quarantine == [{"file": file, "row": i, "reason": "1 fields, expected 2", "text": "1"} for i in range(2, 1202)]


def test_the_quarantine_names_every_row_in_the_order_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 256)
    monkeypatch.setattr(ingesting, "ROWS_PER_PART", 7)
    contents = ["x,y\n" + "".join("x,1\n" if i % 5 == n else "1\n" if i % 7 == n else f"{i},{i % 2}\n" for i in range(300))
                for n in (0, 3)]  # fmt: skip
    report, _ = run(*contents, folder=tmp_path, numbers={"x": "numeric"}, max_bad_rows=0.5)
    quarantine = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert [(Path(row["file"]).name, row["row"]) for row in quarantine] == [
        (f"data-{k}.csv", i + 2) for k, n in enumerate((0, 3)) for i in range(300) if i % 5 == n or i % 7 == n
    ]
    assert len(quarantine) == report.num_quarantined
    assert quarantine[0] == {
        "file": str(tmp_path / "data-0.csv"),
        "row": 2,
        "reason": "column 'x' holds 'x', not a number (it is used as numeric)",
    }


def test_no_bad_rows_leave_an_empty_quarantine(tmp_path: Path):
    run(f"x,y\n{GOOD}", folder=tmp_path)
    assert (tmp_path / "quarantine.jsonl").read_text() == ""


def test_a_bad_row_names_the_file_it_is_in(tmp_path: Path):
    report, _ = run(f"x,y\n{GOOD}", f"x,y\n{GOOD}1\n", folder=tmp_path, max_bad_rows=0.1)
    assert [str(bad) for bad in report.quarantined] == ["data-1.csv row 14: 1 fields, expected 2"]
