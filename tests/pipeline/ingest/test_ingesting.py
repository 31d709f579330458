"""From CSV files to tf.Examples: what is written, which rows are set aside, who goes where."""

from __future__ import annotations

import collections
import csv
import io
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from pipeline.config import load_config
from pipeline.errors import DataError
from pipeline.ingest import csv_blocks, ingesting
from pipeline.ingest.ingesting import IngestReport, ingest
from pipeline.ingest.label_values import MAX_CLASSES
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import resolve_package
from preprocessing.features import BinaryLabel, Label, MulticlassLabel, RegressionLabel

BINARY = BinaryLabel(kind="binary", column="y")
REGRESSION = RegressionLabel(kind="regression", column="y")
TAXI = "package://tfx/examples/chicago_taxi_pipeline/data/big_tipper_label/data.csv"
GOOD = "".join(f"{i},{i % 2}\n" for i in range(12))  # of columns x and y


class Records(list):
    """A writer that keeps the records."""

    def write(self, framed: pa.BinaryArray) -> None:
        self.extend(frame[12:-4] for frame in framed.to_pylist())


Row = Mapping[str, Any]


def run(
    *contents: str | bytes,
    folder: Path,
    label: Label = BINARY,
    numbers: Mapping[str, str] = {},
    max_bad_rows: float = 0.0,
    split: Mapping[str, int] = {"train": 2, "eval": 1},
) -> tuple[IngestReport, dict[str, list[Row]]]:
    """Ingest files and return the report and {split: decoded rows}."""
    files = []
    for i, content in enumerate(contents):
        path = folder / f"data-{i}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        files.append(str(path))
    writers = {"train": Records(), "eval": Records()}
    settings = IngestSettings(
        kind="csv", label=label, number_columns=dict(numbers), split=split, max_bad_rows=max_bad_rows, rows_per_shard=100
    )
    with (folder / "quarantine.jsonl").open("w") as quarantine:
        report = ingest(files, settings, writers, quarantine)
    return report, {name: [decoded(record) for record in records] for name, records in writers.items()}


def error_of(*contents: str | bytes, folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        run(*contents, folder=folder, **options)
    return str(caught.value)


def decoded(record: bytes) -> Row:
    """Return {column: value}, without the columns that have none."""
    row = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is not None and (values := list(getattr(feature, kind).value)):
            (row[name],) = values
    return row


def both(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    return [row for part in rows.values() for row in part]


def test_examples_hold_integers_floats_and_bytes(tmp_path: Path):
    content = "i,f,t,e,y\n" + "".join(f"{i},{i}.5,t{i},,{i % 2}\n" for i in range(12))
    report, rows = run(content, folder=tmp_path)
    assert sorted(both(rows), key=lambda row: row["i"]) == [
        {"i": i, "f": i + 0.5, "t": f"t{i}".encode(), "y": i % 2} for i in range(12)
    ]
    assert report.types == {"i": "integer", "f": "float", "t": "text", "e": "empty", "y": "integer"}
    assert report.examples == {name: len(part) for name, part in rows.items()}
    assert json.loads(report.to_json()) == {
        "examples": report.examples,
        "quarantined": [],
        "num_quarantined": 0,
        "types": report.types,
    }


def test_empty_cells_and_nan_are_missing_values(tmp_path: Path):
    more = "".join(f"{i},c,{i % 2}\n" for i in range(12))
    _, rows = run(f'x,t,y\nnan,a,1\n,"",0\n2,nan,1\n{more}', folder=tmp_path)
    found = both(rows)
    assert {"t": b"a", "y": 1} in found
    assert {"y": 0} in found
    assert {"x": 2.0, "t": b"nan", "y": 1} in found


def test_quoted_text_arrives_unquoted(tmp_path: Path):
    _, rows = run('t,y\n"a, ""b""\nc",1\n' + "".join(f"t{i},{i % 2}\n" for i in range(12)), folder=tmp_path)
    assert {"t": b'a, "b"\nc', "y": 1} in both(rows)


def test_integers_beyond_int64_are_text_unless_a_number_is_wanted(tmp_path: Path):
    content = f"x,y\n99999999999999999999,1\n{GOOD}"
    report, rows = run(content, folder=tmp_path)
    assert report.types["x"] == "text"
    assert {"x": b"99999999999999999999", "y": 1} in both(rows)
    report, rows = run(content, folder=tmp_path, numbers={"x": "numeric"})
    assert report.types["x"] == "float"
    assert {"x": float(np.float32(1e20)), "y": 1} in both(rows)


def test_a_type_is_inferred_over_all_files_and_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 24)
    report, rows = run(f"x,y\n{GOOD}", f"x,y\n{GOOD}0.5,1\n", folder=tmp_path)
    assert report.types == {"x": "float", "y": "integer"}
    assert collections.Counter(row["x"] for row in both(rows)) == {**{float(i): 2 for i in range(12)}, 0.5: 1}
    assert {type(row["x"]) for row in both(rows)} == {float}


def test_text_in_a_column_of_numbers_is_set_aside(tmp_path: Path):
    report, rows = run(f"x,y\n{GOOD}abc,1\n", folder=tmp_path, numbers={"x": "numeric"}, max_bad_rows=0.1)
    assert report.num_quarantined == 1
    assert [str(bad) for bad in report.quarantined] == [
        "data-0.csv row 14: column 'x' holds 'abc', not a number (it is used as numeric)"
    ]
    assert report.types["x"] == "integer"
    assert sorted(row["x"] for row in both(rows)) == list(range(12))


def test_text_in_a_column_that_no_feature_reads_as_a_number_makes_it_text(tmp_path: Path):
    report, rows = run(f"x,y\n{GOOD}abc,1\n", folder=tmp_path)
    assert report.types["x"] == "text"
    assert {"x": b"abc", "y": 1} in both(rows)
    assert {"x": b"0", "y": 0} in both(rows)


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


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        ("x,y\n1,1\n2,1\n3,1\n", BINARY, "The label 'y' has only one value: '1'. There is nothing to learn."),
        ("x,y\n1,5\n2,5\n", REGRESSION, "The label 'y' has only one value: '5'. There is nothing to learn."),
        (
            f"x,y\n{GOOD}1,2\n",
            BINARY,
            "The label 'y' is binary but has 3 values: '0', '1', '2'. Set `label.kind: multiclass`.",
        ),
        (
            "x,y\n" + "".join(f"{i},c{i}\n" for i in range(8)),
            BINARY,
            "The label 'y' is binary but has 8 values: 'c0', 'c1', 'c2', 'c3', 'c4', .... Set `label.kind: multiclass`.",
        ),
        (
            f"x,y\n{GOOD}",
            BinaryLabel(kind="binary", column="y", positive="yes"),
            "The label 'y' is never 'yes' but '0', '1'. Set `label.positive` to one of them.",
        ),
        (
            "x,y\n" + "".join(f"{i},c{i}\n" for i in range(MAX_CLASSES + 1)),
            MulticlassLabel(kind="multiclass", column="y"),
            "The label 'y' has over 1000 classes. Is it a number? Then set `label.kind: regression`.",
        ),
        (f"x,z\n{GOOD}", BINARY, "{file} has no column 'y', the label. Its columns: x, z."),
    ],
)
def test_a_label_that_cannot_be_learned_is_refused(tmp_path: Path, content: str, label: Label, message: str):
    assert error_of(content, folder=tmp_path, label=label) == message.format(file=tmp_path / "data-0.csv")


def test_as_many_classes_as_allowed_can_be_learned(tmp_path: Path):
    content = "x,y\n" + "".join(f"{i},c{i}\n" for i in range(MAX_CLASSES))
    report, _ = run(content, folder=tmp_path, label=MulticlassLabel(kind="multiclass", column="y"))
    assert sum(report.examples.values()) == MAX_CLASSES


@pytest.mark.parametrize(("positive", "found"), [(1, ("0.0", "1.0")), ("yes", ("no", "yes")), ("1", ("0", "1"))])
def test_a_positive_value_may_be_written_in_several_ways(tmp_path: Path, positive: int | str, found: tuple[str, str]):
    label = BinaryLabel(kind="binary", column="y", positive=positive)
    report, _ = run("x,y\n" + "".join(f"{i},{found[i % 2]}\n" for i in range(12)), folder=tmp_path, label=label)
    assert sum(report.examples.values()) == 12


def test_an_empty_split_is_refused(tmp_path: Path):
    assert error_of("x,y\n1,1\n1,0\n", folder=tmp_path, split={"train": 100_000, "eval": 1}) == (
        "Split 'eval' got none of the 2 rows. Bring more rows, or change `data.split`."
    )


def test_files_with_other_columns_are_refused(tmp_path: Path):
    assert error_of("x,y\n1,0\n2,1\n", "y,x\n1,0\n2,1\n", folder=tmp_path) == (
        f"{tmp_path / 'data-1.csv'} has other columns than {tmp_path / 'data-0.csv'}: ['y', 'x'] instead of ['x', 'y']."
    )


def test_a_file_without_rows_is_fine_beside_others(tmp_path: Path):
    for contents in (["x,y\n", f"x,y\n{GOOD}"], [f"x,y\n{GOOD}", "x,y"]):
        assert len(both(run(*contents, folder=tmp_path)[1])) == 12
    assert error_of("x,y\n", "x,y", folder=tmp_path) == (
        f"There is not a single row in {tmp_path / 'data-0.csv'} and 1 more. Bring rows, or check `data.path`."
    )


def test_a_bad_row_names_the_file_it_is_in(tmp_path: Path):
    report, _ = run(f"x,y\n{GOOD}", f"x,y\n{GOOD}1\n", folder=tmp_path, max_bad_rows=0.1)
    assert [str(bad) for bad in report.quarantined] == ["data-1.csv row 14: 1 fields, expected 2"]


def side_of_each(rows: Mapping[str, Sequence[Row]]) -> dict[int, str]:
    return {row["x"]: name for name, part in rows.items() for row in part}


def test_a_row_keeps_its_side_whatever_the_order_the_files_and_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [f"{i},{i % 2}\n" for i in range(300)]
    first = side_of_each(run("x,y\n" + "".join(lines), folder=tmp_path)[1])
    random.Random(3).shuffle(lines)
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 64)
    again = side_of_each(run("x,y\n" + "".join(lines[:100]), "x,y\n" + "".join(lines[100:]), folder=tmp_path)[1])
    assert len(first) == 300
    assert again == first


def test_a_row_keeps_its_side_when_rows_are_added(tmp_path: Path):
    first = side_of_each(run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(100)), folder=tmp_path)[1])
    grown = side_of_each(run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in reversed(range(200))), folder=tmp_path)[1])
    assert {x: side for x, side in grown.items() if x < 100} == first


def test_equal_rows_never_stand_on_both_sides(tmp_path: Path):
    _, rows = run("x,y\n" + GOOD * 5, folder=tmp_path)
    train, evaluation = ({row["x"] for row in part} for part in rows.values())
    assert train & evaluation == set()
    assert train | evaluation == set(range(12))


@pytest.mark.parametrize(
    ("weights", "shares"), [({"train": 2, "eval": 1}, (2 / 3, 1 / 3)), ({"train": 9, "eval": 1}, (0.9, 0.1))]
)
def test_splits_get_about_their_share(tmp_path: Path, weights: Mapping[str, int], shares: Sequence[float]):
    num_rows = 20_000
    report, _ = run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(num_rows)), folder=tmp_path, split=weights)
    assert sum(report.examples.values()) == num_rows
    for count, share in zip(report.examples.values(), shares, strict=True):
        # Four standard deviations of a binomial: one chance in 16,000, and the hash is fixed.
        assert abs(count / num_rows - share) < 4 * math.sqrt(share * (1 - share) / num_rows)


def test_taxi_rows_equal_those_of_pythons_csv_module(repository: Path):
    config = load_config(repository / "configs" / "taxi.yaml")
    path = resolve_package(TAXI)
    writers = {"train": Records(), "eval": Records()}
    settings = IngestSettings(
        kind="csv",
        label=config.label,
        number_columns=config.number_columns,
        split=config.data.split,
        max_bad_rows=0.0,
        rows_per_shard=100,
    )
    report = ingest([path], settings, writers, io.StringIO())
    found = {name: collections.Counter(as_key(decoded(r)) for r in records) for name, records in writers.items()}

    with Path(path).open(newline="", encoding="utf-8") as file:
        raw = list(csv.DictReader(file))
    assert len(raw) == 15_002
    expected = collections.Counter(as_key(parsed(row, report.types)) for row in raw)
    assert found["train"] + found["eval"] == expected
    num_missing = sum(value == "" for row in raw for value in row.values())
    assert num_missing > 1000
    assert num_missing == sum(len(raw[0]) - len(key) for key in expected.elements())
    assert report.num_quarantined == 0


def test_examples_keep_the_order_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 640)
    monkeypatch.setattr(ingesting, "ROWS_PER_PART", 3)
    _, rows = run("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(100)), folder=tmp_path)
    for part in rows.values():
        assert [row["x"] for row in part] == sorted(row["x"] for row in part)


def parsed(row: Mapping[str, str], types: Mapping[str, str]) -> Row:
    """Return what a row of text should become."""
    convert = {"integer": int, "float": lambda text: float(np.float32(text)), "text": str.encode}
    return {name: convert[types[name]](text) for name, text in row.items() if text}


def as_key(row: Row) -> tuple:
    return tuple(sorted(row.items()))


def test_ids_that_float32_would_merge_stay_text(tmp_path: Path):
    report, rows = run("x,y\n17031320400.0,1\n17031320401.0,0\n" + GOOD, folder=tmp_path)
    assert report.types["x"] == "text"
    assert {b"17031320400.0", b"17031320401.0"} <= {row["x"] for row in both(rows)}


IDS = "".join(f"{17031320400 + i},{i % 2}\n" for i in range(4))


@pytest.mark.parametrize("contents", [[IDS + GOOD + "1.5,1\n"], [IDS + GOOD, GOOD + "1.5,1\n"], ["1.5,1\n" + GOOD, IDS]])
def test_ids_stay_text_whichever_block_or_file_has_the_floats(
    tmp_path: Path, contents: Sequence[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    report, rows = run(*(f"x,y\n{content}" for content in contents), folder=tmp_path)
    assert report.types["x"] == "text"
    assert {b"%d" % (17031320400 + i) for i in range(4)} | {b"1.5"} <= {row["x"] for row in both(rows)}


def test_ids_alone_are_integers_and_numbers_if_a_feature_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    report, rows = run(f"x,y\n{IDS}{GOOD}", folder=tmp_path)
    assert report.types["x"] == "integer"
    assert {17031320400 + i for i in range(4)} <= {row["x"] for row in both(rows)}
    report, rows = run(f"x,y\n{IDS}{GOOD}1.5,1\n", folder=tmp_path, numbers={"x": "numeric"})
    assert report.types["x"] == "float"


def test_negative_value_that_never_occurs_is_an_error(tmp_path: Path):
    label = BinaryLabel(kind="binary", column="y", positive="yes", negative="nope")
    text = error_of("x,y\n" + "".join(f"{i},{'yes' if i % 2 else 'no'}\n" for i in range(12)), folder=tmp_path, label=label)
    assert text == "The label 'y' is never 'nope' but 'no', 'yes'. Set `label.negative` to one of them."
