"""Scored rows as CSV, JSON lines or Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

_ROWS_PER_GROUP = 131_072


class Writer(Protocol):
    """Takes scored rows and writes them to a file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""

    def close(self) -> None:
        """Write what is left; the file stays open."""


@dataclass(frozen=True)
class Text:
    """A format of lines: what stands before the first row, and the rows."""

    header: Callable[[pa.Schema], bytes]
    lines: Callable[[pa.RecordBatch], bytes]


def csv_header(schema: pa.Schema) -> bytes:
    """Return a line with the names of the columns."""
    names = pa.RecordBatch.from_arrays([pa.array([name]) for name in schema.names], schema.names)
    return csv_lines(names)


def csv_lines(batch: pa.RecordBatch) -> bytes:
    """Return the rows as CSV, text in quotes, a missing value as nothing."""
    sink = io.BytesIO()
    plain = pa.RecordBatch.from_arrays([_printable(column) for column in batch.columns], batch.schema.names)
    csv.write_csv(plain, sink, csv.WriteOptions(include_header=False))
    return sink.getvalue()


def json_lines(batch: pa.RecordBatch) -> bytes:
    """Return the rows as JSON lines, a missing value as null."""
    if not batch.num_rows:
        return b""
    parts: list[pa.Array | str] = []
    for position, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        parts += [f"{', ' if position else '{'}{json.dumps(name, ensure_ascii=False)}: ", _json_values(column)]
    lines = pc.binary_join_element_wise(*parts, "}", "")
    return "".join(f"{line}\n" for line in lines.to_pylist()).encode()


def _printable(column: pa.Array) -> pa.Array:
    """Return numbers, booleans and text as they are, anything else as text."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return column
    if (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_decimal(kind)
    ):
        texts = [
            x if x is None else x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in column.to_pylist()
        ]
        return pa.array(texts, pa.string())
    return column.cast(pa.string())


def _json_values(column: pa.Array) -> pa.Array:
    plain = _printable(column)
    if pa.types.is_string(plain.type):
        distinct = plain.dictionary_encode()
        spelled = pa.array([json.dumps(text, ensure_ascii=False) for text in distinct.dictionary.to_pylist()], pa.string())
        return spelled.take(distinct.indices).fill_null("null")
    if pa.types.is_floating(plain.type):  # JSON has no NaN
        plain = pc.if_else(pc.is_finite(plain), plain, pa.scalar(None, plain.type))
    return plain.cast(pa.string()).fill_null("null")


class _TextWriter:
    def __init__(self, text: Text, sink: pa.NativeFile, schema: pa.Schema):
        self._text, self._sink = text, sink
        sink.write(text.header(schema))

    def write(self, batch: pa.RecordBatch) -> None:
        self._sink.write(self._text.lines(batch))

    def close(self) -> None:
        pass


class _ParquetWriter:
    def __init__(self, sink: pa.NativeFile, schema: pa.Schema):
        self._schema, self._writer = schema, parquet.ParquetWriter(sink, schema)
        self._waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        if sum(waiting.num_rows for waiting in self._waiting) >= _ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), _ROWS_PER_GROUP)
        self._waiting = []


TEXTS: Mapping[str, Text] = {"csv": Text(csv_header, csv_lines), "jsonl": Text(lambda schema: b"", json_lines)}


def writer(kind: str, sink: pa.NativeFile, schema: pa.Schema) -> Writer:
    """Begin to write rows of a schema as "csv", "jsonl" or "parquet"."""
    return _ParquetWriter(sink, schema) if kind == "parquet" else _TextWriter(TEXTS[kind], sink, schema)
