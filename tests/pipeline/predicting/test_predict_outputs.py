"""What is written: text that readers read back, files that are whole or not there, rows that could not be scored."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf
from pyarrow import parquet

from pipeline.ingest.blocks import BadRow
from pipeline.predicting.files import whole_file
from pipeline.predicting.outputs import csv_header, csv_lines, json_lines, writer
from pipeline.predicting.tally import Quarantine, Tally, TooManyBadRowsError, listed, quarantine_path

COLUMNS = {
    'na"me': pa.array(['a,"b"\nc', None, "é"]),
    "whole": pa.array([2**60, None, 3]),
    "score": pa.array([0.1, None, 1e-7], pa.float32()),
    "flag": pa.array([True, None, False]),
    "time": pa.array([datetime(2024, 1, 31, 12), None, None]),
    "day": pa.array([date(2024, 1, 31), None, None]),
    "price": pa.array([Decimal("1.50"), None, None]),
    "bytes": pa.array([b"x", None, b"\xff"]),
    "nothing": pa.nulls(3),
}
BATCH = pa.RecordBatch.from_arrays(list(COLUMNS.values()), list(COLUMNS))


def write_and_raise(file, content: bytes | str, error: BaseException) -> None:
    file.write(content)
    raise error


def test_csv_is_read_back_as_it_was():
    text = (csv_header(BATCH.schema) + csv_lines(BATCH)).decode()
    names, *rows = csv.reader(io.StringIO(text, newline=""))
    assert names == list(COLUMNS)
    time, day = "2024-01-31 12:00:00.000000", "2024-01-31"
    assert rows[0] == ['a,"b"\nc', str(2**60), "0.1", "true", time, day, "1.50", "x", ""]
    assert rows[1] == [""] * 9
    assert rows[2] == ["é", "3", "1e-7", "false", "", "", "", "\ufffd", ""]


def test_json_lines_are_read_back_as_they_were():
    first, second, third = map(json.loads, json_lines(BATCH).decode().splitlines())
    time, day = "2024-01-31 12:00:00.000000", "2024-01-31"
    assert list(first.values()) == ['a,"b"\nc', 2**60, 0.1, True, time, day, "1.50", "x", None]
    assert second == dict.fromkeys(COLUMNS)
    assert list(third.values())[:4] == ["é", 3, 1e-7, False]
    assert json_lines(BATCH.slice(0, 0)) == b""


def test_json_has_no_nan():
    batch = pa.RecordBatch.from_arrays([pa.array([float("nan"), float("inf"), 1.0], pa.float32())], ["x"])
    assert json_lines(batch) == b'{"x": null}\n{"x": null}\n{"x": 1}\n'


def test_parquet_keeps_types_and_makes_few_groups(tmp_path: Path):
    path = str(tmp_path / "s.parquet")
    with whole_file(path) as sink:
        out = writer("parquet", sink, BATCH.schema)
        for _ in range(50):
            out.write(BATCH)
        out.close()
    table = parquet.read_table(path)
    assert table.schema.types == BATCH.schema.types
    assert table.slice(147).to_pydict() == BATCH.to_pydict()
    assert parquet.ParquetFile(path).num_row_groups == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_output_without_rows_can_be_read(tmp_path: Path, kind: str):
    path = tmp_path / f"s.{kind}"
    with whole_file(str(path)) as sink:
        writer(kind, sink, pa.schema([("a", pa.int64())])).close()
    if kind == "parquet":
        assert parquet.read_table(path).to_pydict() == {"a": []}
    else:
        assert path.read_text() == {"csv": '"a"\n', "jsonl": ""}[kind]


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "s.csv.gz"
    path.write_bytes(b"before")
    with whole_file(str(path)) as sink:
        sink.write(b"after")
        assert path.read_bytes() == b"before"
    assert gzip.decompress(path.read_bytes()) == b"after"
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), whole_file(str(path)) as sink:
            write_and_raise(sink, b"half", error())
    assert gzip.decompress(path.read_bytes()) == b"after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.csv.gz"]


def test_a_file_elsewhere_gets_its_name_when_it_is_whole_too():
    tf.io.gfile.makedirs("ram://outputs")
    with whole_file("ram://outputs/s.csv") as sink:
        sink.write(b"after")
        assert not tf.io.gfile.exists("ram://outputs/s.csv")
    with pytest.raises(ValueError), whole_file("ram://outputs/s.csv") as sink:
        write_and_raise(sink, b"half", ValueError())
    with tf.io.gfile.GFile("ram://outputs/s.csv", "rb") as file:
        assert file.read() == b"after"
    assert tf.io.gfile.listdir("ram://outputs") == ["s.csv"]
    tf.io.gfile.rmtree("ram://outputs")


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("a/s.csv", "a/s.quarantine.jsonl"),
        ("s.v2.csv.gz", "s.v2.quarantine.jsonl"),
        ("gs://b/s.parquet", "gs://b/s.quarantine.jsonl"),
    ],
)
def test_quarantine_is_beside_the_output(output: str, path: str):
    assert quarantine_path(output) == path


def test_quarantine_is_there_if_there_are_bad_rows_and_gone_once_there_are_none(tmp_path: Path):
    path = tmp_path / "s.quarantine.jsonl"
    bad = [BadRow("rows.csv", 7, "2 fields, expected 3", "1,2")]
    with Quarantine(str(path)) as quarantine:
        quarantine.write(listed([]))
        quarantine.write(listed(bad))
    text = '{"file": "rows.csv", "row": 7, "reason": "2 fields, expected 3", "text": "1,2"}\n'
    assert path.read_text() == text
    with pytest.raises(ValueError), Quarantine(str(path)) as quarantine:
        write_and_raise(quarantine, "half\n", ValueError())
    assert path.read_text() == text
    with pytest.raises(TooManyBadRowsError), Quarantine(str(path)) as quarantine:
        write_and_raise(quarantine, listed(bad) * 2, TooManyBadRowsError())
    assert path.read_text() == text * 2
    with Quarantine(str(path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_too_many_bad_rows_are_told_with_the_first_ones():
    tally = Tally()
    for block in range(3):
        tally.add(7, [BadRow("/data/rows.csv", 10 * block + i, "no") for i in range(3)])
    assert (tally.num_rows, tally.num_bad) == (30, 9)
    tally.check(0.3, "s.quarantine.jsonl")
    with pytest.raises(TooManyBadRowsError) as caught:
        tally.check(0.29, "s.quarantine.jsonl")
    assert str(caught.value) == (
        "9 of 30 rows cannot be scored (30.0%); --max-bad-rows allows 29.0%. rows.csv row 0: no; rows.csv row 1: no; "
        "rows.csv row 2: no; rows.csv row 10: no; rows.csv row 11: no and 4 more. All are in s.quarantine.jsonl. "
        "Mend them, or raise --max-bad-rows."
    )
    Tally().check(0, "nowhere")
