"""TFRecord files in blocks of records."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.source import is_compressed, open_stream
from pipeline.ingest.tfrecords import masked_crc

BLOCK_BYTES = 8 << 20
MAX_BLOCK_RECORDS = 65_536
MAX_RECORD_BYTES = 1 << 30
_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")


def read_blocks(path: str, num_records: int = MAX_BLOCK_RECORDS) -> Iterator[Block]:
    """Stream a file; memory does not grow with its size.

    Args:
      path: a TFRecord file, compressed if its name says so.
      num_records: in a block, at most.

    Yields:
      Blocks with one binary column, the records, numbered from 1; records with a wrong checksum are handed out as bad.

    Raises:
      DataError: it is no TFRecord file, is cut off, or cannot be read.
    """
    records: list[bytes] = []
    rows: list[int] = []
    bad: list[BadRow] = []
    size_bytes = 0
    for row, (record, is_whole) in enumerate(_records(path), 1):
        if is_whole:
            records.append(record)
            rows.append(row)
            size_bytes += len(record)
        else:
            bad.append(BadRow(path, row, "the checksum does not fit"))
        if len(records) + len(bad) == num_records or size_bytes > BLOCK_BYTES:
            yield _block(path, rows, records, bad)
            records, rows, bad, size_bytes = [], [], [], 0
    if records or bad:
        yield _block(path, rows, records, bad)


def read_records(path: str) -> Iterator[bytes]:
    """Stream the records of a file that must be whole.

    Raises:
      DataError: it is no TFRecord file, is damaged or cut off, or cannot be read.
    """
    for row, (record, is_whole) in enumerate(_records(path), 1):
        if not is_whole:
            raise DataError(f"{path} is damaged: the checksum of record {row} does not fit.")
        yield record


def _block(path: str, rows: list[int], records: list[bytes], bad: list[BadRow]) -> Block:
    batch = pa.RecordBatch.from_arrays([pa.array(records, pa.binary())], ["record"])
    return Block(path, np.array(rows, np.int64), batch, bad)


def _records(path: str) -> Iterator[tuple[bytes, bool]]:
    """Yield (record, whether its checksum fits)."""
    try:
        with open_stream(path) as file:
            stream = pa.BufferedInputStream(file, 1 << 20)
            row = 0
            while head := stream.read(_HEAD.size):
                row += 1
                length, crc = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, -1)
                if crc != masked_crc(head[:8]) or length > MAX_RECORD_BYTES:
                    raise DataError(f"{path} is no TFRecord file, or is damaged, at record {row}.{_hint(path)}")
                body = stream.read(length + _FOOT.size)
                if len(body) < length + _FOOT.size:
                    raise DataError(f"{path} is cut off in record {row}.")
                yield body[:length], _FOOT.unpack(body[length:])[0] == masked_crc(body[:length])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {str(error).rstrip('.')}.{_hint(path)}") from error


def _hint(path: str) -> str:
    return " Is it compressed, as its name says?" if is_compressed(path) else " If it is compressed its name must end in .gz."
