"""CSV files as examples: every column an integer, a float or text, as TFX's CsvExampleGen infers it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pipeline.errors import DataError
from pipeline.ingest import columns, csv_blocks, csv_quotes
from pipeline.ingest.blocks import BadRow, Block, Rows
from pipeline.ingest.columns import ColumnType
from pipeline.ingest.encoding import encode
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.threads import in_order

_SHOWN = {ColumnType.LONG: "integer"}


class CsvReader:
    """Reads files with the same header in two passes: one finds the columns' types, one converts."""

    @staticmethod
    def column_names(files: Sequence[str], wanted: Collection[str]) -> list[str]:
        """Return the columns of files that have rows.

        Raises:
          DataError: the first file's header cannot be used, or there are no rows.
        """
        header = csv_blocks.read_header(files[0])
        if not any(len(block.rows) or block.bad for path in files for block in csv_blocks.read_blocks(path)):
            raise DataError(f"{files[0]} has a header line but no rows.")
        return header

    def __init__(self, files: Sequence[str], settings: IngestSettings):
        """Find the types.

        Raises:
          DataError: the files differ in their header, or it lacks the label.
        """
        self._files, self._number_columns = files, settings.number_columns
        self._header = _common_header(files)
        if settings.label.column not in self._header:
            known = ", ".join(self._header)
            raise DataError(f"{files[0]} has no column '{settings.label.column}', the label. Its columns: {known}.")
        self._types = dict.fromkeys(self._header, ColumnType.EMPTY)
        self._swallowing: dict[str, dict[int, BadRow]] = {}
        with_lines = set[str]()
        for path, found, has_lines in in_order(self._infer, self.blocks()):
            with_lines |= {path} if has_lines else set()
            self._types = {name: known.widened(found[name]) for name, known in self._types.items()}
        self._swallowing = {path: {bad.row: bad for bad in csv_quotes.swallowing_rows(path)} for path in with_lines}

    @property
    def types(self) -> dict[str, str]:
        return {name: _SHOWN.get(column_type, column_type.name.lower()) for name, column_type in self._types.items()}

    def blocks(self) -> Iterator[Block]:
        for path in self._files:
            yield from csv_blocks.read_blocks(path, self._swallowing.get(path, {}))

    def rows(self, block: Block) -> Rows:
        values, unusable = {}, dict[int, str]()
        for name, cells in zip(self._header, block.batch.columns, strict=True):
            values[name], wrong = columns.to_values(cells, self._types[name])
            kind = self._number_columns.get(name)
            used = f" (it is used as {kind})" if kind else ""
            unusable = {i: f"column '{name}' {what}{used}" for i, what in wrong.items()} | unusable
        stored = dict(zip(self._header, block.batch.columns, strict=True))
        return Rows(block, encode(values), values, stored, block.batch.columns, unusable)

    def _infer(self, block: Block) -> tuple[str, dict[str, ColumnType], bool]:
        """Return the file, the type of each column in a block, and whether a value has several lines."""
        found = {}
        for name, cells in zip(self._header, block.batch.columns, strict=True):
            if self._types[name] is ColumnType.TEXT:
                found[name] = ColumnType.TEXT
            else:
                infer = columns.infer_number_type if name in self._number_columns else columns.infer_type
                found[name] = infer(cells)
        return block.file, found, any(map(csv_quotes.has_line_end, block.batch.columns))


def _common_header(files: Sequence[str]) -> list[str]:
    header = csv_blocks.read_header(files[0])
    for other in files[1:]:
        if csv_blocks.read_header(other) != header:
            raise DataError(f"{other} has other columns than {files[0]}: {csv_blocks.read_header(other)} instead of {header}.")
    return header
