"""What flows through ingest: blocks of rows as a format stores them, rows as examples, and rows that cannot be used."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Rows of CSV are counted as a spreadsheet does: the header is row 1, blank lines are no rows. Rows of Parquet files and
    records of TFRecord files are counted from 1. `text` is the row as it stands in the file, where that is known.
    """

    file: str
    row: int
    reason: str
    text: str = ""

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)} row {self.row}: {self.reason}"

    def to_json(self) -> str:
        """Return one line of JSON, without `text` where that is not known."""
        return json.dumps({key: value for key, value in asdict(self).items() if key != "text" or value})


@dataclass(frozen=True)
class Block:
    """Some rows of a file as its format stores them: their numbers, their columns, and rows in between that are unreadable."""

    file: str
    rows: np.ndarray  # int64 (rows,)
    batch: pa.RecordBatch
    bad: list[BadRow] = field(default_factory=list)

    def parts(self, num_rows: int) -> Iterator[Block]:
        """Cut into blocks of at most so many rows, to share them among threads."""
        bad = self.bad
        for start in range(0, max(len(self.rows), 1), num_rows):
            rows = self.rows[start : start + num_rows]
            is_last = start + num_rows >= len(self.rows)
            here = [row for row in bad if is_last or row.row < rows[-1]]
            bad = bad[len(here) :]
            yield Block(self.file, rows, self.batch.slice(start, num_rows), here)


@dataclass(frozen=True)
class Rows:
    """A block as examples.

    Attributes:
      block: where they come from.
      records: serialized tf.Examples, binary (rows,); of no meaning where a row is unusable.
      values: {column: int64, float32 or binary (rows,)}, null where a value is missing.
      stored: {column: (rows,)} at the precision the file has.
      content: columns whose bytes say which side of a hash split a row is on.
      unusable: {position: reason}.
    """

    block: Block
    records: pa.BinaryArray
    values: Mapping[str, pa.Array]
    stored: Mapping[str, pa.Array]
    content: Sequence[pa.Array]
    unusable: dict[int, str]


class Reader(Protocol):
    """A format: streams files in blocks of bounded size, and makes examples of a block."""

    def __init__(self, files: Sequence[str], settings: Any):
        """Find out what the columns are."""

    @staticmethod
    def column_names(files: Sequence[str], wanted: Collection[str]) -> list[str]:
        """Return the columns of files that have rows, without reading more than it takes to see those wanted."""

    @property
    def types(self) -> dict[str, str]:
        """{column: what it holds}, for the report; empty where only the rows tell."""

    def blocks(self) -> Iterator[Block]:
        """Stream all files, in order."""

    def rows(self, block: Block) -> Rows:
        """Convert and check; may be called from several threads at once."""
