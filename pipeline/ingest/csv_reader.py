"""CSV files as examples: every column an integer, a float or text, as TFX's CsvExampleGen infers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.errors import DataError
from pipeline.ingest import columns, csv_blocks
from pipeline.ingest.blocks import Block, Contract, Rows
from pipeline.ingest.columns import ColumnType
from pipeline.ingest.encoding import encode
from pipeline.ingest.threads import in_order


class CsvReader:
    """Reads files with the same header in two passes: one finds the columns' types, one converts."""

    def __init__(self, files: Sequence[str], contract: Contract):
        """Find the types.

        Raises:
          DataError: the files differ in their header, or it lacks the label.
        """
        self._files, self._number_columns = files, contract.number_columns
        self._header = _common_header(files)
        if contract.label.column not in self._header:
            known = ", ".join(self._header)
            raise DataError(f"{files[0]} has no column '{contract.label.column}', the label. Its columns: {known}.")
        self._types = dict.fromkeys(self._header, ColumnType.EMPTY)
        for found in in_order(self._infer, self.blocks()):
            self._types = {name: max(known, found[name]) for name, known in self._types.items()}

    @property
    def types(self) -> dict[str, str]:
        return {name: column_type.name.lower() for name, column_type in self._types.items()}

    def blocks(self) -> Iterator[Block]:
        for path in self._files:
            yield from csv_blocks.read_blocks(path)

    def rows(self, block: Block) -> Rows:
        values, unusable = {}, dict[int, str]()
        for name, cells in zip(self._header, block.batch.columns, strict=True):
            values[name], wrong = columns.to_values(cells, self._types[name])
            kind = self._number_columns.get(name)
            used = f" (it is used as {kind})" if kind else ""
            unusable = {i: f"column '{name}' {what}{used}" for i, what in wrong.items()} | unusable
        return Rows(block, encode(values), values, block.batch.columns, unusable)

    def _infer(self, block: Block) -> dict[str, ColumnType]:
        found = {}
        for name, cells in zip(self._header, block.batch.columns, strict=True):
            if self._types[name] is ColumnType.TEXT:
                found[name] = ColumnType.TEXT
            else:
                infer = columns.infer_number_type if name in self._number_columns else columns.infer_type
                found[name] = infer(cells)
        return found


def _common_header(files: Sequence[str]) -> list[str]:
    header = csv_blocks.read_header(files[0])
    for other in files[1:]:
        if csv_blocks.read_header(other) != header:
            raise DataError(f"{other} has other columns than {files[0]}: {csv_blocks.read_header(other)} instead of {header}.")
    return header
