"""The rows of a CSV file, good and bad, by their numbers."""

from __future__ import annotations

from pipeline.ingest.blocks import BadRow
from pipeline.ingest.csv_blocks import read_blocks


def rows_of(path: str) -> dict[int, tuple[bytes, ...]]:
    """Return {row number: cells}."""
    return {
        int(number): cells
        for block in read_blocks(path)
        for number, cells in zip(
            block.rows, zip(*(column.to_pylist() for column in block.batch.columns), strict=True), strict=True
        )
    }


def bad_rows(path: str) -> list[BadRow]:
    return [bad for block in read_blocks(path) for bad in block.bad]
