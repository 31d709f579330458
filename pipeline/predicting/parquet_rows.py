"""Rows of Parquet files, of which only the columns that are needed are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.ingest import parquet_blocks
from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.columns import spelled
from pipeline.ingest.parquet_blocks import plain_type, stored_schema
from pipeline.ingest.parquet_reader import Converted
from pipeline.predicting.pushed import ColumnType
from pipeline.predicting.values import can_convert, from_stored


def columns(path: str, wanted: Collection[str]) -> list[str]:
    """Return the columns of a file.

    Raises:
      DataError: it is no Parquet file, or a column that is wanted holds lists or the like.
    """
    schema = stored_schema(path)
    for field in schema:
        if field.name in wanted and not can_convert(plain_type(field.type)):
            raise DataError(
                f"{path}: column '{field.name}' holds {spelled(field.type)}, no single number or text. Write it as the model "
                "was trained on it."
            )
    return schema.names


def carried_types(files: Sequence[str], carried: Sequence[str]) -> list[pa.DataType]:
    """Return the types of columns; one that is null in a file has the type of the others.

    Raises:
      DataError: a column has different types in different files.
    """
    types: dict[str, pa.DataType] = dict.fromkeys(carried, pa.null())
    for path in files:
        schema = stored_schema(path)
        for name, known in types.items():
            found = plain_type(schema.field(name).type)
            if not pa.types.is_null(known) and found not in (known, pa.null()):
                raise DataError(
                    f"{path}: column '{name}' holds {found}, elsewhere {known}. Carry columns that have one type in all files."
                )
            types[name] = found if pa.types.is_null(known) else known
    return list(types.values())


def blocks(path: str, needed: Sequence[str]) -> Iterator[Block]:
    """Stream some columns of a file."""
    return parquet_blocks.read_blocks(path, needed)


class ParquetRows:
    """The rows of a block."""

    def __init__(self, block: Block):
        self.numbers: np.ndarray = block.rows
        self.bad: list[BadRow] = []
        self._columns = dict(zip(block.batch.schema.names, block.batch.columns, strict=True))

    def values(self, column: str, wanted: ColumnType) -> Converted:
        return from_stored(self._columns[column], wanted)

    def carried(self, column: str) -> Converted:
        """Return a column as it is stored."""
        return self._columns[column], {}
