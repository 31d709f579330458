"""Quotes in CSV files that do not stand where RFC 4180 has them: what follows an unclosed one is taken for one value.

pyarrow reads such a value up to the next quote, whatever it is, and what comes after that as the rest of the value: the rows in
between are gone without a word. Its result does not show it, so the file itself is looked at, where a value has several lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.ingest.blocks import BadRow
from pipeline.ingest.source import open_stream

_QUOTED = r'"([^"]*(?:""[^"]*)*)"(?!")([^,\r\n]*)'
_CELL = rf'(?:{_QUOTED}|[^",\r\n][^,\r\n]*|)'
_CELL_OF_ROW = re.compile(rf"(?:\A|,){_CELL}".encode())
_CELLS = _CELL.replace("([", "(?:[")  # without groups
_ROW = re.compile(rf"{_CELLS}(?:,{_CELLS})*(?:\r\n|\n|\r)".encode())
_WHOLE_ROW = re.compile(rf"{_CELLS}(?:,{_CELLS})*")
_CHUNK_BYTES = 4 << 20
_MAX_ROW_BYTES = 16 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTE, _COMMA, _NEWLINE, _RETURN = b'",\n\r'


def is_open(row: str) -> bool:
    """Tell whether a row, as it stands in a file, ends inside quotes."""
    return _WHOLE_ROW.fullmatch(row) is None


def has_line_end(cells: pa.BinaryArray) -> bool:
    """Tell whether a value may have several lines; there may be more in the array's buffer than in the array."""
    _, offsets, content = cells.buffers()
    if content is None:
        return False
    ends = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    text = content[int(ends[0]) : int(ends[-1])].to_pybytes()
    return b"\n" in text or b"\r" in text


def swallowing_rows(path: str) -> list[BadRow]:
    """Return the rows with a value of several lines whose closing quote is followed by more characters.

    Args:
      path: a CSV file, local or remote, perhaps compressed. It is read once if its quotes are where they should be, which is
        seen fast, otherwise twice.

    Raises:
      OSError: it cannot be read.
    """
    if _is_regular(path):
        return []
    found = []
    for number, row in enumerate(_rows(path), 1):
        if b"\n" in row or b"\r" in row:
            for value, rest in (match.groups() for match in _CELL_OF_ROW.finditer(row)):
                if value and rest.strip() and (num_lines := len(value.splitlines())) > 1:
                    reason = (
                        f"characters follow the closing quote of a value of {num_lines} lines: "
                        "is a quote in it not closed, or not doubled?"
                    )
                    found.append(BadRow(path, number, reason, row.decode("utf-8", "replace")))
                    break
    return found


def _is_regular(path: str) -> bool:
    """Tell whether quotes are doubled or next to a separator: then every second one closes, and nothing follows it."""
    is_inside, before = False, np.array([_NEWLINE], np.uint8)
    with open_stream(path) as stream:
        content = _first(stream)
        while content:
            # A byte more on both sides: what stands next to a quote.
            following = stream.read(_CHUNK_BYTES)
            text = np.frombuffer(bytes(before) + content + (following[:1] or b"\n"), np.uint8)
            quotes = np.flatnonzero(text[1:-1] == _QUOTE) + 1
            opening, closing = (quotes[1:], quotes) if is_inside else (quotes, quotes[1:])
            opening, closing = opening[::2], closing[::2]
            if not (_is_separator(text[opening - 1]).all() and _is_separator(text[closing + 1]).all()):
                return False
            is_inside ^= len(quotes) % 2 == 1
            before, content = text[-2:-1], following
    return True


def _first(stream: pa.NativeFile) -> bytes:
    return stream.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK) + stream.read(_CHUNK_BYTES)


def _is_separator(content: np.ndarray) -> np.ndarray:
    return (content == _COMMA) | (content == _NEWLINE) | (content == _RETURN) | (content == _QUOTE)


def _rows(path: str) -> Iterator[bytes]:
    """Yield each row as it stands in the file, without blank lines, up to a quote that is never closed."""
    with open_stream(path) as stream:
        rest = _first(stream)
        while rest:
            end = 0
            while match := _ROW.match(rest, end):
                end = match.end()
                if row := match[0].rstrip(b"\r\n"):
                    yield row
            following = stream.read(_CHUNK_BYTES)
            rest = rest[end:] + following
            if not following:
                if rest and _ROW.match(rest + b"\n"):
                    yield rest
                return
            if len(rest) > _MAX_ROW_BYTES:
                return
