"""CSV (RFC 4180) in blocks of columns, every cell as the bytes it is; rows that do not fit are handed out, not dropped."""

from __future__ import annotations

import collections
import contextlib
import re
import threading
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from pyarrow import csv

from pipeline.errors import DataError
from pipeline.ingest import csv_quotes
from pipeline.ingest.blocks import BadRow, Block
from pipeline.ingest.source import is_compressed, open_stream
from pipeline.remote import is_remote

# Also the longest row. pyarrow reads up to 32 blocks ahead (arrow::MakeBackgroundGenerator), and that is most of the memory.
BLOCK_BYTES = 4 << 20
_LINE_END = re.compile(rb"[\r\n]")


def read_header(path: str) -> list[str]:
    """Return the column names; there need not be rows.

    Raises:
      DataError: the file is empty, is not text, or names a column twice or not at all.
    """
    first = _first_bytes(path)
    if not first.strip(b"\xef\xbb\xbf\r\n\t "):
        raise DataError(f"{path} is empty. Expected a header line and rows.")
    try:
        names = _names(first + b"\n", _Rejects(path))
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path} cannot be read as CSV: {error}. Expected comma-separated UTF-8 text with a header line."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"The header of {path} is not UTF-8. Save the file as UTF-8.") from error
    for name in names:
        if not name.strip():
            raise DataError(
                f"{path} has a column without a name (column {names.index(name) + 1} of {len(names)}). Name it in the header."
            )
        if names.count(name) > 1:
            raise DataError(f"{path} has {names.count(name)} columns named '{name}'. Rename or remove all but one.")
    return names


def read_blocks(path: str, swallowing: Mapping[int, BadRow] = {}) -> Iterator[Block]:
    """Stream a file; memory does not grow with its size.

    Args:
      path: the file.
      swallowing: {number: row} of rows that are to be handed out as bad, see csv_quotes.

    Yields:
      Blocks of rows, every column as pa.binary(); quoting, embedded newlines and a byte-order mark are taken care of.

    Raises:
      DataError: a quote is never closed, so that the rest of the file is one value; or the file cannot be read.
    """
    rejects = _Rejects(path)
    first = _first_bytes(path)
    if not _LINE_END.search(first.strip()):
        return  # pyarrow wants an end of the header line
    abandoned = threading.Event()
    try:
        reader = _open(path, first, rejects, abandoned)
    except pa.ArrowInvalid as error:
        raise _unparsable(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error
    next_row = 2
    waiting: list[BadRow] = []  # the reader works ahead: a reject may belong to a later block
    last_value = b""
    for batch in _batches(reader, path, abandoned):
        waiting += rejects.take()
        rows = _numbers(next_row, batch.num_rows, {bad.row for bad in waiting})
        if len(rows):
            next_row = int(rows[-1]) + 1
            last_value = batch.columns[-1][-1].as_py()
        bad = [bad for bad in waiting if bad.row < next_row]
        yield without_swallowing(Block(path, rows, batch, bad), swallowing)
        waiting = [bad for bad in waiting if bad.row >= next_row]
    if last := waiting + rejects.take():
        yield Block(path, np.array([], np.int64), _no_rows(reader.schema), last)
    _check_closed(path, next_row - 1, last_value, rejects.last)


def without_swallowing(block: Block, swallowing: Mapping[int, BadRow]) -> Block:
    """Hand rows {number: row} out as bad, see csv_quotes."""
    bad = [swallowing[row] for row in block.rows.tolist() if row in swallowing] if swallowing else []
    if not bad:
        return block
    keep = ~np.isin(block.rows, [row.row for row in bad])
    return Block(
        block.file,
        block.rows[keep],
        block.batch.filter(pa.array(keep)),
        sorted([*block.bad, *bad], key=lambda row: row.row),
    )


def _numbers(first: int, num_rows: int, skipped: set[int]) -> np.ndarray:
    """Number rows from `first` on, without those skipped."""
    candidates = np.arange(first, first + num_rows + len(skipped), dtype=np.int64)
    return candidates[~np.isin(candidates, list(skipped))][:num_rows] if skipped else candidates


class _Rejects:
    """Collects the rows that pyarrow could not split into the right number of fields."""

    def __init__(self, path: str):
        self._path = path
        self._rows: collections.deque[BadRow] = collections.deque()  # pyarrow's thread appends while ours takes
        self.last: BadRow | None = None

    def __call__(self, row: csv.InvalidRow) -> str:
        reason = f"{row.actual_columns} fields, expected {row.expected_columns}"
        self.last = BadRow(self._path, row.number, reason, row.text)
        self._rows.append(self.last)
        return "skip"

    def take(self) -> list[BadRow]:
        return [self._rows.popleft() for _ in range(len(self._rows))]


def _open(path: str, first: bytes, rejects: _Rejects, abandoned: threading.Event) -> csv.CSVStreamingReader:
    as_bytes = dict.fromkeys(_names(first, rejects), pa.binary())
    rejects.take()
    return csv.open_csv(
        open_stream(path, abandoned),
        # One thread: only then does pyarrow know the number of a rejected row.
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=rejects),
        convert_options=csv.ConvertOptions(column_types=as_bytes, strings_can_be_null=False),
    )


def _names(first: bytes, rejects: _Rejects) -> list[str]:
    options = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=rejects)
    # In this thread: a reader that is dropped may call for rejects while the interpreter ends, and that aborts the process.
    return csv.read_csv(pa.BufferReader(first), csv.ReadOptions(use_threads=False), options).schema.names


def _first_bytes(path: str) -> bytes:
    """Return enough of a file to hold its header.

    Raises:
      DataError: the file cannot be read, or is not compressed as its name says.
    """
    try:
        with open_stream(path) as stream:
            return stream.read(1 << 20)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: OSError) -> DataError:
    """Say that a file cannot be read, and what may be wrong with it."""
    compressed = " Is it whole, and compressed as its name says?" if is_compressed(path) else ""
    return DataError(f"{path} cannot be read: {str(error).rstrip('.')}.{compressed}")


def _unparsable(path: str, error: pa.ArrowInvalid) -> DataError:
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(error)):
        row, expected, actual = found.groups()
        # pyarrow hands such a row out as text, and gives up where it is none.
        return DataError(f"{path} row {row}: {actual} fields, expected {expected}, and not UTF-8. Save the file as UTF-8.")
    return DataError(
        f"{path} cannot be read as CSV: {error}. Is a quote never closed, or a row longer than {BLOCK_BYTES} bytes?"
    )


def _batches(reader: csv.CSVStreamingReader, path: str, abandoned: threading.Event) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except pa.ArrowInvalid as error:
        raise _unparsable(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        if is_remote(path):
            # Dropping a reader waits for its thread, which waits for the interpreter's lock to read from a Python file.
            abandoned.set()
            with contextlib.suppress(pa.ArrowInvalid, OSError):
                collections.deque(reader, maxlen=0)


def _check_closed(path: str, row: int, value: bytes, reject: BadRow | None) -> None:
    """Raise if the file ends inside quotes: pyarrow takes all that follows the opening quote for one value.

    Args:
      path: the file.
      row: number of the last row with the right number of fields.
      value: its last value.
      reject: the last row with another number of fields.
    """
    if reject and reject.row > row:
        row, is_open = reject.row, "\n" in reject.text and csv_quotes.is_open(reject.text)
    else:
        is_open = b"\n" in value.strip() and _ends_in(path, b'"' + value.replace(b'"', b'""'))
    if is_open:
        raise DataError(f"{path} row {row}: a quote is never closed, so the rest of the file is one value. Close or double it.")


def _ends_in(path: str, content: bytes, size_bytes: int = 4096) -> bool:
    """Look at the end of a file; read through, because a compressed stream has no other way there. Seldom needed."""
    tail = b""
    with open_stream(path) as stream:
        while chunk := stream.read(1 << 24):
            tail = (tail + chunk)[-size_bytes:]
    return tail.endswith(content[-size_bytes:])


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
