"""Compressed CSV files: they hold what they were made of, or it is said why they cannot be read."""

from __future__ import annotations

import bz2
import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest
from csv_rows import rows_of

from pipeline.errors import DataError
from pipeline.ingest.csv_blocks import read_header
from pipeline.ingest.source import base_and_pattern

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_file_holds_what_it_was_made_of(csv_file, tmp_path: Path, suffix: str):
    content = b"a,b\n" + b"".join(b'%d,"x, %d\n"\n' % (i, i) for i in range(5000))
    path = tmp_path / f"data.csv{suffix}"
    path.write_bytes(COMPRESS[suffix](content))
    assert read_header(str(path)) == ["a", "b"]
    assert rows_of(str(path)) == rows_of(csv_file(content))
    assert len(rows_of(str(path))) == 5000


def test_quote_that_is_never_closed_is_noticed_in_a_compressed_file(tmp_path: Path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(b'a,b\n1,2\n3,"4\n5,6\n'))
    with pytest.raises(DataError, match="row 3: a quote is never closed"):
        rows_of(str(path))


def test_file_that_is_not_compressed_as_its_name_says_is_an_error(tmp_path: Path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"data\.csv\.gz cannot be read: .* Is it whole, and compressed as its name says\?$"):
        read_header(str(path))


def test_compressed_file_that_is_cut_off_is_an_error(tmp_path: Path):
    random = os.urandom(3 << 20).hex().encode()
    lines = b"\n".join(random[i : i + 50] + b",1" for i in range(0, len(random), 50))
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + lines)[: 2 << 20])
    assert read_header(str(path)) == ["a", "b"]
    with pytest.raises(DataError, match=r"data\.csv\.gz cannot be read"):
        rows_of(str(path))


@pytest.mark.parametrize(("names", "pattern"), [(["a.csv", "b.csv.gz"], "*.csv"), (["b.csv.gz"], "*.csv.gz"), ([], "*.csv")])
def test_folder_of_compressed_files_is_read_as_such(tmp_path: Path, names: list[str], pattern: str):
    for name in names:
        (tmp_path / name).touch()
    assert base_and_pattern(str(tmp_path)) == (str(tmp_path), pattern)
