"""TFRecord files, written a block at a time."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Level 1: examples are read a few times and thrown away with the run, so time counts more than bytes.
_COMPRESSION_LEVEL = 1
_WITH_GZIP_HEADER = 31
_MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h


class Writer(Protocol):
    """Takes the examples of one split."""

    def write(self, framed: pa.BinaryArray) -> None:
        """Append rows, each framed as in a TFRecord file."""


def frame(records: pa.BinaryArray) -> pa.BinaryArray:
    """Put around each record what a TFRecord file has: its length, the length's masked CRC-32C, the record, its masked CRC-32C.

    Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    """
    lengths = np.diff(_offsets(records)).astype("<u8")
    crc = google_crc32c.value
    of_records = [*map(crc, records.to_pylist())]
    of_lengths = {length: crc(length.tobytes()) for length in np.unique(lengths)}
    heads = np.empty(len(records), [("length", "<u8"), ("crc", "<u4")])
    heads["length"], heads["crc"] = lengths, _mask([of_lengths[length] for length in lengths])
    return pc.binary_join_element_wise(_fixed(heads), records, _fixed(_mask(of_records).astype("<u4")), b"")


def masked_crc(content: bytes) -> int:
    """Return the checksum of some bytes as TFRecord files have it."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


@contextlib.contextmanager
def sharded_writer(folder: str, create: Callable[[str], BinaryIO], rows_per_shard: int) -> Iterator[Writer]:
    """Write rows to numbered `.gz` files in a folder, a new one every rows_per_shard rows.

    Args:
      folder: local or remote; exists.
      create: opens a new file for writing bytes.
      rows_per_shard: a positive number.
    """
    with contextlib.ExitStack() as stack:
        yield _ShardedWriter(folder, create, rows_per_shard, stack)


class _ShardedWriter:
    def __init__(self, folder: str, create: Callable[[str], BinaryIO], rows_per_shard: int, stack: contextlib.ExitStack):
        self._folder, self._create, self._rows_per_shard, self._stack = folder, create, rows_per_shard, stack
        self._num_rows = 0
        self._shard: _GzipFile

    def write(self, framed: pa.BinaryArray) -> None:
        while len(framed):
            shard, row = divmod(self._num_rows, self._rows_per_shard)
            if row == 0:
                self._stack.close()  # of the full shard before, if any
                path = os.path.join(self._folder, f"examples-{shard:05d}.gz")
                self._shard = self._stack.enter_context(contextlib.closing(_GzipFile(self._create(path))))
            part = framed[: self._rows_per_shard - row]
            self._shard.write(_content(part))
            self._num_rows += len(part)
            framed = framed[len(part) :]


class _GzipFile:
    """What gzip.GzipFile does, without the time in its header: equal rows make equal files."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._compressor = zlib.compressobj(_COMPRESSION_LEVEL, wbits=_WITH_GZIP_HEADER)

    def write(self, content: memoryview) -> None:
        self._file.write(self._compressor.compress(content))

    def close(self) -> None:
        self._file.write(self._compressor.flush())
        self._file.close()


def _content(rows: pa.BinaryArray) -> memoryview:
    offsets = _offsets(rows)
    return memoryview(rows.buffers()[2])[offsets[0] : offsets[-1]]


def _offsets(rows: pa.BinaryArray) -> np.ndarray:
    """Return int32 (rows + 1,): where each row begins in the array's buffer, and where the last ends."""
    return np.frombuffer(rows.buffers()[1], np.int32)[rows.offset : rows.offset + len(rows) + 1]


def _fixed(values: np.ndarray) -> pa.BinaryArray:
    """Return each value's own bytes."""
    width = values.dtype.itemsize
    ends = np.arange(len(values) + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(values.tobytes())])


def _mask(checksums: list[int]) -> np.ndarray:
    """Rotate and add, as TensorFlow does, so that a checksum of data that holds checksums stays a good one."""
    crc = np.array(checksums, np.uint32)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
