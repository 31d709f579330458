"""Rows of CSV files, read as ExampleGen reads them, in one pass: the types are the model's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipeline.ingest import csv_blocks, csv_quotes
from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.parquet_reader import Converted
from pipeline.predicting.pushed import ColumnType
from pipeline.predicting.values import from_stored


def columns(path: str, wanted: Collection[str]) -> list[str]:
    """Return the names in the header line."""
    return csv_blocks.read_header(path)


def blocks(path: str, needed: Sequence[str]) -> Iterator[Block]:
    """Stream a file, without rows that took others with them into a value of several lines.

    The file is searched for such rows when the first value of several lines comes: before it there can be none.

    Raises:
      DataError: the file cannot be read to its end, or a quote is never closed.
    """
    swallowing: Mapping[int, BadRow] | None = None
    for block in csv_blocks.read_blocks(path):
        if swallowing is None and any(map(csv_quotes.has_line_end, block.batch.columns)):
            swallowing = _swallowing(path)
        yield csv_blocks.without_swallowing(block, swallowing) if swallowing else block


def _swallowing(path: str) -> dict[int, BadRow]:
    try:
        return {bad.row: bad for bad in csv_quotes.swallowing_rows(path)}
    except OSError as error:
        raise csv_blocks.unreadable(path, error) from error


class CsvRows:
    """The rows of a block."""

    def __init__(self, block: Block):
        self.numbers: np.ndarray = block.rows
        self.bad = block.bad
        self._columns = dict(zip(block.batch.schema.names, block.batch.columns, strict=True))

    def values(self, column: str, wanted: ColumnType) -> Converted:
        return from_stored(self._columns[column], wanted)

    def carried(self, column: str) -> Converted:
        """Return a column's cells as text, null where they are empty."""
        text, wrong = from_stored(self._columns[column], "text")
        return text.cast(pa.string()), wrong
