"""Rows that an unclosed quote swallows: found in the file, because what pyarrow makes of them does not show it."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import csv_quotes
from pipeline.ingest.csv_quotes import is_open, swallowing_rows

REASON = "characters follow the closing quote of a value of {} lines: is a quote in it not closed, or not doubled?"


@pytest.fixture
def found(tmp_path: Path) -> Callable[[bytes], list[tuple[int, str]]]:
    """Write a file and return (number, text) of its swallowing rows."""

    def run(content: bytes) -> list[tuple[int, str]]:
        path = tmp_path / "data.csv"
        path.write_bytes(content)
        return [(row.row, row.text) for row in swallowing_rows(str(path))]

    return run


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'a,b\n1,"x\n2,y\n3,d"ef\n4,z\n', [(2, '1,"x\n2,y\n3,d"ef')], id="up to a quote in a cell"),
        pytest.param(b'a,b\n1,"x\n2,"y"\n3,z\n', [(2, '1,"x\n2,"y"')], id="up to a quoted cell"),
        pytest.param(b'a,b\r\n1,"x\r\n2,"y"', [(2, '1,"x\r\n2,"y"')], id="at the end of the file"),
        pytest.param(b'\xef\xbb\xbf"a",b\n\n5" pipe,y\n1,"x\n2,"y"\n', [(3, '1,"x\n2,"y"')], id="after others"),
        pytest.param(b'a,b\n1,"x\n2,"y"\n3,4\n5,"p\nq"r\n', [(2, '1,"x\n2,"y"'), (4, '5,"p\nq"r')], id="twice"),
        pytest.param(b'a,b\n"x\n1,y\n2,d"ef,"\n"\n', [(2, '"x\n1,y\n2,d"ef,"\n"')], id="in the first cell"),
        pytest.param(b'a,b\n1,"x"y\n2,"p" \n3,"p\nq" \n', [], id="nothing is swallowed on one line or before spaces"),
        pytest.param(b'a,b\n1,5" pipe\n"7"" pipe","x\ny"\n', [], id="quotes in cells"),
        pytest.param(b'a,b\n"""x\n""",""\n,"""\n"\n', [], id="doubled quotes"),
        pytest.param(b'a,b\n1,"x\n2,3\n', [], id="never closed"),
        pytest.param(b"", [], id="nothing"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 1 << 20])
def test_characters_after_a_closing_quote_are_found_where_a_value_has_several_lines(
    found, monkeypatch: pytest.MonkeyPatch, content: bytes, expected: list[tuple[int, str]], chunk_bytes: int
):
    monkeypatch.setattr(csv_quotes, "_CHUNK_BYTES", chunk_bytes)
    assert found(content) == expected


@pytest.mark.parametrize("seed", range(3))
def test_what_pythons_csv_module_writes_is_in_order(found, monkeypatch: pytest.MonkeyPatch, seed: int):
    monkeypatch.setattr(csv_quotes, "_CHUNK_BYTES", 61)
    random_cell = random.Random(seed)
    file = io.StringIO(newline="")
    rows = [["".join(random_cell.choices('",\r\na ', k=random_cell.randrange(6))) for _ in "abc"] for _ in range(300)]
    csv.writer(file).writerows(rows)
    assert found(file.getvalue().encode()) == []


def test_rows_that_swallow_are_in_quarantine_with_what_they_swallow(tmp_path: Path, ingest_files: Callable[..., Any]):
    good = "".join(f"{i},t{i},{i % 2}\n" for i in range(20))
    lost = "".join(f"{i},t{i},{i % 2}\n" for i in range(21, 30))
    content = f'i,t,y\n{good}20,"abc\n{lost}30,d"ef,1\n31,x,0\n1,2\n'
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(content.encode()))
    done = ingest_files("csv", path, max_bad_rows=0.5)
    assert done.reasons == {22: REASON.format(11), 24: "2 fields, expected 3"}
    assert done.quarantine[0]["text"] == f'20,"abc\n{lost}30,d"ef,1'
    assert sorted(row["i"] for row in done.all_rows) == [*range(20), 31]


@pytest.mark.parametrize(
    ("row", "expected"),
    [('1,"x\ny', True), ('1,"x""', True), ('"x","y', True), ("", False), ('1,"x"', False), ('5" a,"x\ny",3', False)],
)
def test_a_row_is_open_if_its_last_quote_is(row: str, expected: bool):
    assert is_open(row) is expected
