"""TFRecord files as TensorFlow reads them."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest
import tensorflow as tf

from pipeline.ingest.tfrecords import frame, sharded_writer

RECORDS = [b"", b"a", b"\0" * 40, os.urandom(3000), b"a", bytes(range(256))]


def create(path: str) -> BinaryIO:
    return Path(path).open("wb")


def read(path: Path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(path), compression_type="GZIP").as_numpy_iterator())


def written(folder: Path) -> list[list[bytes]]:
    return [read(folder / f"examples-{i:05d}.gz") for i in range(len(list(folder.iterdir())))]


def test_framed_records_are_what_tensorflow_writes(tmp_path: Path):
    path = str(tmp_path / "tf")
    with tf.io.TFRecordWriter(path) as writer:
        for record in RECORDS:
            writer.write(record)
    assert b"".join(frame(pa.array(RECORDS, pa.binary())).to_pylist()) == Path(path).read_bytes()
    assert frame(pa.array(RECORDS, pa.binary())[2:4]).to_pylist() == frame(pa.array(RECORDS[2:4], pa.binary())).to_pylist()
    assert frame(pa.array([], pa.binary())).to_pylist() == []


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_shards_hold_so_many_rows_however_they_come(tmp_path: Path, block: int):
    framed = frame(pa.array([b"%d" % i for i in range(7)], pa.binary()))
    with sharded_writer(str(tmp_path), create, rows_per_shard=3) as writer:
        for start in range(0, 7, block):
            writer.write(framed[start : start + block])
    assert written(tmp_path) == [[b"0", b"1", b"2"], [b"3", b"4", b"5"], [b"6"]]


def test_filtered_rows_are_written_as_they_are(tmp_path: Path):
    framed = frame(pa.array(RECORDS, pa.binary()))
    with sharded_writer(str(tmp_path), create, rows_per_shard=100) as writer:
        writer.write(framed.filter(pa.array([False, True, False, True, True, False])))
    assert written(tmp_path) == [[RECORDS[1], RECORDS[3], RECORDS[4]]]


def test_a_shard_is_closed_before_the_next_opens(tmp_path: Path):
    def create_alone(path: str) -> BinaryIO:
        for other in tmp_path.iterdir():
            gzip.decompress(other.read_bytes())  # raises for a file without its end
        return create(path)

    with sharded_writer(str(tmp_path), create_alone, rows_per_shard=2) as writer:
        writer.write(frame(pa.array(RECORDS, pa.binary())))
    assert len(list(tmp_path.iterdir())) == 3


def test_equal_rows_make_equal_files(tmp_path: Path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with sharded_writer(str(tmp_path / name), create, rows_per_shard=100) as writer:
            writer.write(frame(pa.array(RECORDS, pa.binary())))
        contents.append((tmp_path / name / "examples-00000.gz").read_bytes())
    assert contents[0] == contents[1]


def test_nothing_written_leaves_no_shard(tmp_path: Path):
    with sharded_writer(str(tmp_path), create, rows_per_shard=3) as writer:
        writer.write(pa.array([], pa.binary()))
    assert list(tmp_path.iterdir()) == []
