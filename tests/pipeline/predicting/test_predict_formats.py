"""Rows of CSV, Parquet and JSON lines, and lines of the latter that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.predicting import json_rows, parquet_rows
from pipeline.predicting.formats import FORMATS


def read(kind: str, path: Path, column: str, wanted: str) -> dict[int, object]:
    """Return {row number: value} of all blocks."""
    found = {}
    for block in FORMATS[kind].blocks(str(path), [column]):
        rows = FORMATS[kind].rows(block)
        found |= dict(zip(rows.numbers.tolist(), rows.values(column, wanted)[0].to_pylist(), strict=True))
    return found


def bad(kind: str, path: Path) -> list[tuple[int, str, str]]:
    blocks = FORMATS[kind].blocks(str(path), [])
    return [(row.row, row.reason, row.text) for block in blocks for row in FORMATS[kind].rows(block).bad]


def test_rows_of_csv_are_numbered_as_a_spreadsheet_does_and_bad_ones_handed_out(tmp_path: Path):
    path = tmp_path / "rows.csv"
    path.write_text('\ufeffa,b\n1,"x\ny"\n2\n\n3,"say ""hi"""\n')
    assert read("csv", path, "a", "integer") == {2: 1, 4: 3}
    assert read("csv", path, "b", "text") == {2: b"x\ny", 4: b'say "hi"'}
    assert bad("csv", path) == [(3, "1 fields, expected 2", "2")]


def test_a_row_of_csv_that_swallowed_others_is_bad_also_when_it_is_not_in_the_first_block(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.csv_blocks.BLOCK_BYTES", 64)
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,x\n" * 40 + '2,"open\n3,y\n4,z"more\n5,w\n')
    assert list(read("csv", path, "a", "integer").items())[-2:] == [(41, 1), (43, 5)]
    ((number, reason, text),) = bad("csv", path)
    assert (number, text) == (42, '2,"open\n3,y\n4,z"more')
    assert reason.startswith("characters follow the closing quote of a value of 3 lines")


def test_lines_of_json_are_numbered_as_in_an_editor(tmp_path: Path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2, "b": "x"}\n{"b": null}'))
    assert read("jsonl", path, "a", "integer") == {1: 1, 4: 2, 5: None}
    assert read("jsonl", path, "b", "text") == {1: None, 4: b"x", 5: None}


def test_lines_that_are_no_json_object_are_handed_out(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n[1]\n"\xff"\n' + b"[" * 100_000 + b"\n")
    found = bad("jsonl", path)
    assert [number for number, _, _ in found] == [2, 3, 4, 5]
    assert found[0][1:] == ("no JSON: Expecting value: line 1 column 7 (char 6)", '{"a": ')
    assert found[1][1:] == ("holds list, expected a JSON object", "[1]")
    assert found[2][1].startswith("no JSON: 'utf-8' codec can't decode byte 0xff")
    assert found[3][1].startswith("no JSON: maximum recursion depth exceeded")


def test_lines_are_whole_however_the_file_is_cut_into_blocks(tmp_path: Path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"a": {i}}}\n' for i in range(1, 200)))
    for size in (1, 7, 10, 11, 1000):
        monkeypatch.setattr(json_rows, "BLOCK_BYTES", size)
        assert read("jsonl", path, "a", "integer") == {i: i for i in range(1, 200)}


def test_keys_are_looked_for_beyond_the_first_line_while_one_is_missing(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\nno\n{"b": 2}\n{"c": 3}\n')
    assert json_rows.columns(str(path), ["a"]) == ["a"]
    assert json_rows.columns(str(path), ["b"]) == ["a", "b"]
    assert json_rows.columns(str(path), ["d"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[\n{"a": 1}]', "{path} is one JSON array. Expected JSON lines: an object a line, without brackets or commas."),
        (b"\n\n", '{path} holds no JSON object. Expected one a line, such as {{"fare": 12.5}}.'),
        (b'{"a": "' + b"x" * 100, "{path} has a line of over 64 bytes. Expected JSON lines: an object a line."),
    ],
)
def test_what_is_no_file_of_json_lines_is_refused(tmp_path: Path, monkeypatch, content: bytes, message: str):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 16)
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 64)
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        json_rows.columns(str(path), ["a"])
    assert str(caught.value) == message.format(path=path)


def test_a_file_that_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_text('{"a": 1}\n')
    with pytest.raises(DataError) as caught:
        json_rows.columns(str(path), ["a"])
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert str(caught.value).endswith("Is it whole, and compressed as its name says?")


def test_only_needed_columns_of_parquet_are_read_and_others_may_hold_anything(tmp_path: Path):
    path = str(tmp_path / "rows.parquet")
    parquet.write_table(pa.table({"lists": [[1], [2]], "a": [1, None], "b": pa.array(["x", "y"]).dictionary_encode()}), path)
    assert parquet_rows.columns(path, ["a"]) == ["lists", "a", "b"]
    (block,) = FORMATS["parquet"].blocks(path, ["a", "b"])
    assert block.batch.schema.names == ["a", "b"]
    assert read("parquet", Path(path), "b", "text") == {1: b"x", 2: b"y"}
    with pytest.raises(DataError) as caught:
        parquet_rows.columns(path, ["lists"])
    assert str(caught.value) == (
        f"{path}: column 'lists' holds list<item: int64>, no single number or text. Write it as the model was trained on it."
    )


def test_columns_of_parquet_are_carried_as_stored_if_files_agree(tmp_path: Path):
    paths = [str(tmp_path / f"{i}.parquet") for i in range(3)]
    columns = (pa.nulls(1), pa.array([1], pa.int32()), pa.array(["x"]))
    for path, column in zip(paths, columns, strict=True):
        parquet.write_table(pa.table({"id": column}), path)
    assert parquet_rows.carried_types(paths[:2], ["id"]) == [pa.int32()]
    with pytest.raises(DataError) as caught:
        parquet_rows.carried_types(paths, ["id"])
    assert str(caught.value) == (
        f"{paths[2]}: column 'id' holds string, elsewhere int32. Carry columns that have one type in all files."
    )
