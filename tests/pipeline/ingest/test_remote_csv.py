"""CSV files that are read through TensorFlow's file systems, and readers of them that are dropped half way."""

from __future__ import annotations

import gzip
import os

import pytest
import tensorflow as tf
from csv_rows import bad_rows, rows_of

from pipeline.ingest import csv_blocks
from pipeline.ingest.csv_blocks import read_blocks, read_header


@pytest.fixture
def remote_file():
    """A file on TensorFlow's in-memory file system: read as gs:// is."""
    path = "ram://ingest-test/data.csv"
    tf.io.gfile.makedirs("ram://ingest-test")
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(b'a,b\n1,"x\ny"\n2\n' + b"3,z\n" * 50)
    yield path
    tf.io.gfile.rmtree("ram://ingest-test")


def test_remote_files_are_read_like_local_ones(remote_file: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    assert read_header(remote_file) == ["a", "b"]
    assert rows_of(remote_file) == {2: (b"1", b"x\ny"), **dict.fromkeys(range(4, 54), (b"3", b"z"))}
    assert [(bad.row, bad.text) for bad in bad_rows(remote_file)] == [(3, "2")]


def test_a_remote_reader_can_be_dropped_half_way(remote_file: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    for _ in range(20):
        blocks = read_blocks(remote_file)
        assert next(blocks).rows[0] == 2
        blocks.close()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_remote_reader_that_is_dropped_does_not_read_to_the_end(
    remote_file: str, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    """It has to wait for pyarrow, which would go on for as long as the file does."""
    lines = b"".join(b"%s,1\n" % os.urandom(30).hex().encode() for _ in range(400_000))
    path = f"{remote_file}{suffix}"
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(gzip.compress(b"a,b\n" + lines, 1) if suffix else b"a,b\n" + lines)
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 1 << 16)
    num_read = []
    read = tf.io.gfile.GFile.read

    def counted(self: tf.io.gfile.GFile, size_bytes: int) -> bytes:
        content = read(self, size_bytes)
        num_read.append(len(content))
        return content

    monkeypatch.setattr(tf.io.gfile.GFile, "read", counted)
    blocks = read_blocks(path)
    next(blocks)
    blocks.close()
    assert 0 < sum(num_read) < tf.io.gfile.stat(path).length / 2
