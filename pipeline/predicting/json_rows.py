"""Rows of JSON lines: an object a line, a key a column; a key that is not there, or null, is a missing value."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.parquet_reader import Converted
from pipeline.ingest.source import is_compressed, open_stream
from pipeline.predicting.pushed import ColumnType
from pipeline.predicting.values import from_json, spelled_json

BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 16 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def columns(path: str, wanted: Collection[str]) -> list[str]:
    """Return the keys of the first lines; of more, if need be of all, while one of those wanted is missing.

    Raises:
      DataError: the file cannot be read, or has not one object.
    """
    names: dict[str, None] = {}
    for block in blocks(path, ()):
        for line in block.batch.column(0).to_pylist():
            row, _ = _parsed(line)
            names |= dict.fromkeys(row or ())
            if row and names.keys() >= set(wanted):
                return list(names)
    if not names:
        raise DataError(f'{path} holds no JSON object. Expected one a line, such as {{"fare": 12.5}}.')
    return list(names)


def blocks(path: str, needed: Sequence[str]) -> Iterator[Block]:
    """Stream the lines of a file that are not blank, numbered as in an editor; memory does not grow with its size.

    Raises:
      DataError: the file cannot be read, is one JSON array, or has a line that is too long.
    """
    first = 1
    for chunk in _chunks(path):
        lines = chunk.split(b"\n")
        numbered = [(number, line) for number, line in enumerate(lines, first) if line.strip()]
        first += len(lines)
        numbers, texts = ([x[i] for x in numbered] for i in range(2))
        yield Block(path, np.array(numbers, np.int64), pa.RecordBatch.from_arrays([pa.array(texts, pa.binary())], ["line"]))


def _chunks(path: str) -> Iterator[bytes]:
    """Yield whole lines, some at a time, without the end of the last one."""
    rest = b""
    try:
        with open_stream(path) as stream:
            for position in itertools.count():
                content = stream.read(BLOCK_BYTES)
                rest += content if position else content.removeprefix(_BYTE_ORDER_MARK)
                if position == 0 and rest.lstrip()[:1] == b"[":
                    raise DataError(
                        f"{path} is one JSON array. Expected JSON lines: an object a line, without brackets or commas."
                    )
                whole, end, after = rest.rpartition(b"\n")
                if end:
                    yield whole
                    rest = after
                if not content:
                    break
                if len(rest) > MAX_LINE_BYTES:
                    raise DataError(f"{path} has a line of over {MAX_LINE_BYTES} bytes. Expected JSON lines: an object a line.")
    except OSError as error:
        compressed = " Is it whole, and compressed as its name says?" if is_compressed(path) else ""
        raise DataError(f"{path} cannot be read: {str(error).rstrip('.')}.{compressed}") from error
    if rest:
        yield rest


class JsonRows:
    """The rows of a block of lines."""

    def __init__(self, block: Block):
        parsed = [_parsed(line) for line in block.batch.column(0).to_pylist()]
        good = [i for i, (row, _) in enumerate(parsed) if row is not None]
        self.numbers: np.ndarray = block.rows[good]
        self.bad = [
            BadRow(block.file, int(block.rows[i]), reason, block.batch.column(0)[i].as_py().decode("utf-8", "replace"))
            for i, (row, reason) in enumerate(parsed)
            if row is None
        ]
        self._rows = [row for row, _ in parsed if row is not None]

    def values(self, column: str, wanted: ColumnType) -> Converted:
        return from_json([row.get(column) for row in self._rows], wanted)

    def carried(self, column: str) -> Converted:
        """Return text as it is, other values as JSON spells them."""
        return spelled_json([row.get(column) for row in self._rows]), {}


def _parsed(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return the object of a line, or None and what is wrong."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, f"no JSON: {error}"
    return (row, "") if isinstance(row, dict) else (None, f"holds {type(row).__name__}, expected a JSON object")
