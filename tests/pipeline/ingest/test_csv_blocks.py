"""What a CSV file holds, row by row, and what is said of files that hold something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from csv_rows import bad_rows, rows_of

from pipeline.errors import DataError
from pipeline.ingest import csv_blocks
from pipeline.ingest.blocks import BadRow
from pipeline.ingest.csv_blocks import read_blocks, read_header


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'a,b\n1,"x,y"\n', {2: (b"1", b"x,y")}, id="quoted comma"),
        pytest.param(b'a,b\n1,"say ""hi"""\n', {2: (b"1", b'say "hi"')}, id="doubled quotes"),
        pytest.param(b'a,b\n1,"two\nlines"\n2,z\n', {2: (b"1", b"two\nlines"), 3: (b"2", b"z")}, id="embedded newline"),
        pytest.param(b'a,b\n1,"two\r\nlines"\n', {2: (b"1", b"two\r\nlines")}, id="embedded carriage return"),
        pytest.param(b'a,b\n1,5" pipe\n', {2: (b"1", b'5" pipe')}, id="quote inside an unquoted cell"),
        pytest.param(b"a,b\r\n1,2\r\n3,4\r\n", {2: (b"1", b"2"), 3: (b"3", b"4")}, id="carriage returns"),
        pytest.param(b"a,b\n1,2", {2: (b"1", b"2")}, id="no newline at the end"),
        pytest.param(b'a,b\n1,"x\ny"', {2: (b"1", b"x\ny")}, id="no newline after a closing quote"),
        pytest.param(b'a,b\n1,\n,""\n', {2: (b"1", b""), 3: (b"", b"")}, id="empty cells"),
        pytest.param(b"a,b\n1, 2 \n", {2: (b"1", b" 2 ")}, id="spaces belong to the cell"),
        pytest.param(b"a,b\nNULL,NA\n", {2: (b"NULL", b"NA")}, id="no word means null"),
        pytest.param(b"a,b\n007,1e3\n", {2: (b"007", b"1e3")}, id="numbers stay as written"),
        pytest.param(b"a,b\n\xff\xfe,x\n", {2: (b"\xff\xfe", b"x")}, id="bytes that are not UTF-8"),
        pytest.param("a,b\nZürich,東京\n".encode(), {2: ("Zürich".encode(), "東京".encode())}, id="UTF-8"),
        pytest.param(b"a,b\n1,2\n\n3,4\n\n", {2: (b"1", b"2"), 3: (b"3", b"4")}, id="blank lines are no rows"),
    ],
)
def test_cells_are_the_bytes_between_the_separators(csv_file, content: bytes, expected: dict[int, tuple[bytes, ...]]):
    path = csv_file(content)
    assert rows_of(path) == expected
    assert bad_rows(path) == []


@pytest.mark.parametrize("header", [b"\xef\xbb\xbfa,b", b'\xef\xbb\xbf"a",b'])
def test_byte_order_mark_is_no_part_of_the_first_name(csv_file, header: bytes):
    path = csv_file(header + b"\n1,2\n")
    assert read_header(path) == ["a", "b"]
    assert rows_of(path) == {2: (b"1", b"2")}


def test_quoted_names_may_hold_commas_and_newlines(csv_file):
    assert read_header(csv_file(b'"a,x","b\nc"\n1,2\n')) == ["a,x", "b\nc"]


@pytest.mark.parametrize("content", [b"a,b\n", b"a,b", b"\xef\xbb\xbfa,b\r\n\r\n", b'"a",b\r', b'a,"b"\n\n'])
def test_a_header_may_have_no_rows(csv_file, content: bytes):
    path = csv_file(content)
    assert read_header(path) == ["a", "b"]
    assert rows_of(path) == {}
    assert bad_rows(path) == []


def test_rows_of_another_width_are_handed_out_with_their_numbers_and_text(csv_file):
    path = csv_file(b"a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert rows_of(path) == {2: (b"1", b"2"), 5: (b"7", b"8")}
    assert bad_rows(path) == [
        BadRow(path, 3, "1 fields, expected 2", "3"),
        BadRow(path, 4, "3 fields, expected 2", "4,5,6"),
    ]
    assert str(bad_rows(path)[0]) == "data.csv row 3: 1 fields, expected 2"


def test_a_value_of_two_lines_is_one_row(csv_file):
    path = csv_file(b'a,b\n1,"x\ny"\n2\n3,4\n')
    assert list(rows_of(path)) == [2, 4]
    assert [bad.row for bad in bad_rows(path)] == [3]


def test_a_file_of_nothing_but_bad_rows_yields_all_of_them(csv_file):
    path = csv_file(b"a,b\n1\n2\n")
    assert rows_of(path) == {}
    assert [bad.row for bad in bad_rows(path)] == [2, 3]


@pytest.mark.parametrize("block_bytes", [16, 33, 64, 150, 1 << 20])
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param((), id="none"),
        pytest.param((2,), id="the first"),
        pytest.param((61,), id="the last"),
        pytest.param((2, 9, 10, 11, 12, 30, 47, 60, 61), id="neighbours and both ends"),
        pytest.param(tuple(range(20, 45)), id="whole blocks"),
    ],
)
def test_row_numbers_hold_across_blocks(csv_file, monkeypatch: pytest.MonkeyPatch, bad: tuple[int, ...], block_bytes: int):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", block_bytes)
    lines = [f"{row},x" if row not in bad else f"{row},x,y" if row % 2 else f"{row}" for row in range(2, 62)]
    path = csv_file("\n".join(["row,text", *lines, ""]).encode())
    assert {number: cells[0] for number, cells in rows_of(path).items()} == {
        row: str(row).encode() for row in range(2, 62) if row not in bad
    }
    assert [(found.row, found.text) for found in bad_rows(path)] == [(row, lines[row - 2]) for row in bad]


def test_a_small_block_makes_many_batches(csv_file, monkeypatch: pytest.MonkeyPatch):
    """The test above tests nothing unless files are really cut."""
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 64)
    assert len(list(read_blocks(csv_file(b"a,b\n" + b"1,2\n" * 64)))) >= 4


def test_newlines_in_quotes_do_not_end_a_block(csv_file, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 48)
    path = csv_file(b"a,b\n" + b"".join(b'%d,"x\ny\nz"\n' % row for row in range(2, 40)))
    assert rows_of(path) == {row: (b"%d" % row, b"x\ny\nz") for row in range(2, 40)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{path} is empty. Expected a header line and rows."),
        (b"\xef\xbb\xbf\r\n\n", "{path} is empty. Expected a header line and rows."),
        (b"a,,c\n1,2,3\n", "{path} has a column without a name (column 2 of 3). Name it in the header."),
        (b"a,b, \n1,2,3\n", "{path} has a column without a name (column 3 of 3). Name it in the header."),
        (b"a,b,a,a\n1,2,3,4\n", "{path} has 3 columns named 'a'. Rename or remove all but one."),
        (b"a,\xff\n1,2\n", "The header of {path} is not UTF-8. Save the file as UTF-8."),
        ("a,b\n1,2\n".encode("utf-16"), "The header of {path} is not UTF-8. Save the file as UTF-8."),
    ],
)
def test_an_unusable_header_is_refused(csv_file, content: bytes, message: str):
    path = csv_file(content)
    with pytest.raises(DataError) as caught:
        read_header(path)
    assert str(caught.value) == message.format(path=path)


@pytest.mark.parametrize(
    ("content", "row"),
    [
        pytest.param(b'a,b\n1,2\n3,"x\n4,5\n6,7\n', 3, id="in the last column"),
        pytest.param(b'a,b\n1,2\n"3,x\n4,5\n6,7\n', 3, id="in the first column"),
        pytest.param(b'a,b\n1\n2,"x\n4,5\n6,7', 3, id="after a bad row"),
        pytest.param(b'a,b\n1,2\n3,"x\n4,""5""\n', 3, id="before doubled quotes"),
        pytest.param(b'a,b\n1,2\n3,"x\n4,5\n\n\n', 3, id="before blank lines"),
        pytest.param(b'a,b\n1,2\n3,"x\r\n4,5\r\n', 3, id="with carriage returns"),
        pytest.param(b'a,b\n1,2\n5" pipe,7,"x\n4,5\n', 3, id="after a quote in a cell"),
    ],
)
def test_a_quote_that_swallows_the_rest_of_the_file_is_refused(csv_file, content: bytes, row: int):
    path = csv_file(content)
    with pytest.raises(DataError) as caught:
        list(read_blocks(path))
    assert str(caught.value) == (
        f"{path} row {row}: a quote is never closed, so the rest of the file is one value. Close or double it."
    )


def test_a_quote_that_the_next_one_closes_costs_the_rows_up_to_there(csv_file):
    path = csv_file(b'a,b\n1,2\n"3,x\n4,"5"\n6,7\n')
    assert rows_of(path) == {2: (b"1", b"2"), 4: (b"6", b"7")}
    assert bad_rows(path) == [BadRow(path, 3, "1 fields, expected 2", '"3,x\n4,"5"')]


@pytest.mark.parametrize("end", [b'9,"a\nb"c\n', b'9,"a\nb" \n', b'9,"\n"\n', b'9,"a\n""b"""\n', b'5" pipe,"x\ny",3\n'])
def test_a_quote_that_is_closed_is_not_taken_for_an_open_one(csv_file, end: bytes):
    path = csv_file(b"a,b\n1,2\n" + end)
    assert len(rows_of(path)) + len(bad_rows(path)) == 2


@pytest.mark.parametrize(
    "end", [b'"x\ny"\n', b'"x\ny"\n\n\n\n\n\n\n\n\n\n\n', b'"x\ny\n"\r\n', b'"x\ny"\n1\n', b'"x\ny"\n"1\n2"\n']
)
def test_a_file_may_end_in_a_value_of_many_lines(csv_file, end: bytes):
    assert rows_of(csv_file(b"a,b\n1," + end))[2][1].startswith(b"x\ny")


def test_a_row_longer_than_a_block_is_refused(csv_file, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    path = csv_file(b'a,b\n1,2\n3,"x\n' + b"4,5\n" * 40)
    with pytest.raises(DataError) as caught:
        list(read_blocks(path))
    assert str(caught.value).startswith(f"{path} cannot be read as CSV: straddling object straddles two block boundaries")
    assert str(caught.value).endswith("Is a quote never closed, or a row longer than 32 bytes?")


@pytest.mark.parametrize("num_rows_before", [0, 200])
def test_a_row_of_another_width_that_is_not_utf8_is_refused(csv_file, monkeypatch: pytest.MonkeyPatch, num_rows_before: int):
    """Pyarrow cannot hand it out: it stops."""
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 128)
    path = csv_file(b"a,b\n" + b"1,2\n" * num_rows_before + b"\xff\xfe\n3,4\n")
    with pytest.raises(DataError) as caught:
        list(read_blocks(path))
    assert (
        str(caught.value) == f"{path} row {num_rows_before + 2}: 1 fields, expected 2, and not UTF-8. Save the file as UTF-8."
    )


ABANDON = """
import sys
from pipeline.ingest import csv_blocks
csv_blocks.BLOCK_BYTES = 1000
for i in range(400):
    blocks = csv_blocks.read_blocks(sys.argv[1])
    next(blocks)
    del blocks
print("done")
"""


def test_a_reader_can_be_dropped_half_way(csv_file, repository: Path):
    """With a Python file underneath, pyarrow's reading thread and the one that drops the reader wait for each other."""
    path = csv_file(b"a,b\n" + b"1,2\n" * 100_000)
    done = subprocess.run(
        [sys.executable, "-c", ABANDON, path],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
