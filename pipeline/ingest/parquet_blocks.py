"""Parquet files in blocks of columns as they are stored, without dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.ingest.blocks import Block
from pipeline.ingest.source import open_random_access

BLOCK_BYTES = 16 << 20
MAX_BLOCK_ROWS = 65_536
MAX_READ_ROWS = 1024
BUFFERS_BYTES = 32 << 20  # of all columns together


def stored_schema(path: str) -> pa.Schema:
    """Return the columns of a Parquet file, of whatever type.

    Raises:
      DataError: it is none, or names a column twice.
    """
    try:
        with open_random_access(path) as stream:
            schema = parquet.read_schema(stream)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {str(error).rstrip('.')}.") from error
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise DataError(f"{path} has {schema.names.count(name)} columns named '{name}'. Rename or remove all but one.")
    return schema


def read_blocks(path: str, columns: Sequence[str]) -> Iterator[Block]:
    """Stream some columns of a file; memory does not grow with its size.

    Yields:
      Blocks whose columns stand in the order of the file.

    Raises:
      DataError: the file cannot be read to its end.
    """
    with open_random_access(path) as stream:
        # Without a buffer each column of a row group is read whole.
        buffer_bytes = min(max(BUFFERS_BYTES // max(len(columns), 1), 1 << 16), 1 << 20)
        file = parquet.ParquetFile(stream, buffer_size=buffer_bytes)
        first = itertools.count(1)
        for batch in _batches(file, columns, path):
            yield Block(path, np.fromiter(itertools.islice(first, batch.num_rows), np.int64), batch)


def plain_type(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, dictionary or not."""
    return arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type


def _batches(file: parquet.ParquetFile, columns: Sequence[str], path: str) -> Iterator[pa.RecordBatch]:
    """Yield batches of BLOCK_BYTES or little more in memory, without dictionaries.

    A file's metadata do not tell how large rows are: text that repeats is stored once. So rows are read a few at a time.
    """
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    row_bytes = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1)
    num_read = int(min(max(BLOCK_BYTES / max(row_bytes, 1), 1), MAX_READ_ROWS))
    waiting: list[pa.RecordBatch] = []
    num_rows = size_bytes = 0
    try:
        for read in file.iter_batches(num_read, columns=list(columns), use_threads=False):
            batch = _without_dictionaries(read)
            if num_rows + batch.num_rows > MAX_BLOCK_ROWS or size_bytes + batch.nbytes > BLOCK_BYTES:
                yield from _as_one(waiting)
                waiting, num_rows, size_bytes = [], 0, 0
            waiting.append(batch)
            num_rows, size_bytes = num_rows + batch.num_rows, size_bytes + batch.nbytes
        yield from _as_one(waiting)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {str(error).rstrip('.')}. Is it whole?") from error


def _as_one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return pa.Table.from_batches(batches).combine_chunks().to_batches() if batches else []


def _without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    if not any(map(pa.types.is_dictionary, batch.schema.types)):
        return batch
    columns = [column.cast(plain_type(column.type)) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)
