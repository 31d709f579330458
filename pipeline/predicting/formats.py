"""The formats that rows to be scored come in: one record each, all of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.parquet_reader import Converted
from pipeline.predicting import csv_rows, json_rows, parquet_rows
from pipeline.predicting.pushed import ColumnType


class Rows(Protocol):
    """The rows of a block that could be split into columns."""

    @property
    def numbers(self) -> np.ndarray:
        """Where each row stands in its file, int64 (rows,)."""

    @property
    def bad(self) -> list[BadRow]:
        """Rows in between that could not."""

    def values(self, column: str, wanted: ColumnType) -> Converted:
        """Return a column as a model reads it, null where a value is missing, and {position: what is wrong}."""

    def carried(self, column: str) -> Converted:
        """Return a column as it goes into the output, and {position: what is wrong}."""


@dataclass(frozen=True)
class RowFormat:
    """How a format is read.

    Attributes:
      columns: from a file, and columns that are wanted, to the columns it has; raises DataError where it cannot be read.
      carried_types: from files and columns to the types that these have in the output.
      blocks: from a file and the columns to read to blocks; raises DataError where it cannot be read.
      rows: from a block to its rows; may be called from several threads at once.
    """

    columns: Callable[[str, Collection[str]], list[str]]
    carried_types: Callable[[Sequence[str], Sequence[str]], list[pa.DataType]]
    blocks: Callable[[str, Sequence[str]], Iterator[Block]]
    rows: Callable[[Block], Rows]


def _text(files: Sequence[str], columns: Sequence[str]) -> list[pa.DataType]:
    return [pa.string()] * len(columns)


FORMATS: Mapping[str, RowFormat] = {
    "csv": RowFormat(csv_rows.columns, _text, csv_rows.blocks, csv_rows.CsvRows),
    "parquet": RowFormat(parquet_rows.columns, parquet_rows.carried_types, parquet_rows.blocks, parquet_rows.ParquetRows),
    "jsonl": RowFormat(json_rows.columns, _text, json_rows.blocks, json_rows.JsonRows),
}
EXTENSIONS: Mapping[str, str] = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
