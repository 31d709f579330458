"""Parquet files as examples: what CSV would give for the same values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import pyarrow as pa
from pyarrow import parquet

from pipeline.errors import DataError
from pipeline.ingest.blocks import Block, Rows
from pipeline.ingest.columns import present_or_null, spelled, to_float32
from pipeline.ingest.encoding import encode
from pipeline.ingest.parquet_blocks import plain_type, read_blocks, stored_schema
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.source import open_random_access

Converted = tuple[pa.Array, dict[int, str]]


class ParquetReader:
    """Reads files with the same columns, a batch of rows at a time."""

    @staticmethod
    def column_names(files: Sequence[str], wanted: Collection[str]) -> list[str]:
        """Return the columns of files that have rows.

        Raises:
          DataError: the first file is no Parquet file or has a type that no tf.Example holds, or there are no rows.
        """
        names = read_schema(files[0]).names
        for path in files:
            with open_random_access(path) as stream:
                if parquet.read_metadata(stream).num_rows:
                    return names
        raise DataError(f"{files[0]} has columns but no rows.")

    def __init__(self, files: Sequence[str], settings: IngestSettings):
        """Look at the schemas.

        Raises:
          DataError: a file is no Parquet file, the files differ in their columns, one has a type that no tf.Example holds, a
            column that must hold numbers does not, or there is no label.
        """
        self._files, self._number_columns = files, settings.number_columns
        schemas = {path: read_schema(path) for path in files}
        self._schema = _common_schema(schemas)
        if settings.label.column not in self._schema.names:
            known = ", ".join(self._schema.names)
            raise DataError(f"{files[0]} has no column '{settings.label.column}', the label. Its columns: {known}.")
        for path, schema in schemas.items():
            for field in schema:
                kind = settings.number_columns.get(field.name)
                if kind and converter(plain_type(field.type)) in (_text, _time):
                    raise DataError(f"{path}: column '{field.name}' holds {field.type}, not numbers (it is used as {kind}).")

    @property
    def types(self) -> dict[str, str]:
        return {field.name: str(field.type) for field in self._schema}

    def blocks(self) -> Iterator[Block]:
        for path in self._files:
            yield from read_blocks(path, self._schema.names)

    def rows(self, block: Block) -> Rows:
        values, unusable = {}, dict[int, str]()
        for name, stored in zip(self._schema.names, block.batch.columns, strict=True):
            values[name], wrong = converter(stored.type)(stored)
            kind = self._number_columns.get(name)
            used = f" (it is used as {kind})" if kind else ""
            unusable = {i: f"column '{name}' {what}{used}" for i, what in wrong.items()} | unusable
        records = encode(values)
        return Rows(block, records, values, dict(zip(values, block.batch.columns, strict=True)), [records], unusable)


def read_schema(path: str) -> pa.Schema:
    """Return the columns of a Parquet file.

    Raises:
      DataError: it is none, names a column twice, or has a column that no tf.Example holds.
    """
    schema = stored_schema(path)
    for field in schema:
        try:
            converter(plain_type(field.type))
        except KeyError:
            raise DataError(
                f"{path}: column '{field.name}' holds {spelled(field.type)}, no single number or text. Leave it out, or write "
                "it as columns of numbers, booleans, text, bytes, dates or times."
            ) from None
    return schema


def _common_schema(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """Return the columns of all files; a column that is null in one of them has the type of the others.

    Raises:
      DataError: the files differ in their columns.
    """
    first, *others = schemas
    common = schemas[first]
    for path in others:
        found = schemas[path]
        if found.names != common.names or not all(map(_fits, found.types, common.types)):
            raise DataError(f"{path} has other columns than {first}: {_listed(found)} instead of {_listed(common)}.")
        types = [new if pa.types.is_null(known) else known for known, new in zip(common.types, found.types, strict=True)]
        common = pa.schema(zip(common.names, types, strict=True))
    return common


def _fits(one: pa.DataType, other: pa.DataType) -> bool:
    return pa.types.is_null(one) or pa.types.is_null(other) or plain_type(one) == plain_type(other)


def _whole(stored: pa.Array) -> Converted:
    return stored.cast(pa.int64()), {}


def _unsigned(stored: pa.Array) -> Converted:
    # As CSV has it: what int64 cannot hold is a float.
    return to_float32(stored.cast(pa.float64(), safe=False))


def _fractional(stored: pa.Array) -> Converted:
    numbers = stored.cast(pa.float64())
    values, wrong = to_float32(numbers)
    return values, {i: f"holds '{numbers[i].as_py()}': {what}" for i, what in wrong.items()}


def _text(stored: pa.Array) -> Converted:
    return _empty_is_missing(stored.cast(pa.binary())), {}


def _time(stored: pa.Array) -> Converted:
    """Spell times as ISO 8601, such as 2024-01-31 12:00:00.000000; in UTC and with a Z if they have a zone."""
    if pa.types.is_timestamp(stored.type) and stored.type.tz:
        stored = stored.cast(pa.timestamp(stored.type.unit, "UTC"))
    return stored.cast(pa.string()).cast(pa.binary()), {}


def _nothing(stored: pa.Array) -> Converted:
    return stored, {}


def _empty_is_missing(values: pa.Array) -> pa.Array:
    return present_or_null(values)


_is_text = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
)
# The first check that holds decides.
_CONVERTERS: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], Converted]]] = (
    (lambda arrow_type: arrow_type == pa.uint64(), _unsigned),
    (pa.types.is_integer, _whole),
    (pa.types.is_boolean, _whole),
    (pa.types.is_float32, _fractional),
    (pa.types.is_float64, _fractional),
    (pa.types.is_decimal, _fractional),
    (lambda arrow_type: any(check(arrow_type) for check in _is_text), _text),
    (pa.types.is_timestamp, _time),
    (pa.types.is_date, _time),
    (pa.types.is_time, _time),
    (pa.types.is_null, _nothing),
)


def converter(arrow_type: pa.DataType) -> Callable[[pa.Array], Converted]:
    """Return what turns columns of a type into those of a tf.Example.

    Raises:
      KeyError: no tf.Example holds its values.
    """
    for is_of, convert in _CONVERTERS:
        if is_of(arrow_type):
            return convert
    raise KeyError(arrow_type)


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
