"""TFRecord files of tf.Example: features stay as they are, records are checked as rows of other formats are."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataError
from pipeline.ingest import tfrecord_blocks
from pipeline.ingest.blocks import Block, Rows
from pipeline.ingest.settings import IngestSettings
from pipeline.ingest.threads import in_order

NUM_LOOKED_AT = 1000
_KINDS = {pa.large_binary(): "text", pa.binary(): "text", pa.int64(): "integer", pa.float32(): "float", pa.null(): "empty"}


class TFRecordReader:
    """Reads records in two passes: one finds the features and their types, one checks."""

    @staticmethod
    def column_names(files: Sequence[str], wanted: Collection[str]) -> list[str]:
        """Return the features of the first records; of more, if need be of all, while one of those wanted is missing.

        Raises:
          DataError: a file that is looked at is no TFRecord file, or there is no record that is a tf.Example.
        """
        names: dict[str, None] = {}
        for path in files:
            for block in tfrecord_blocks.read_blocks(path, NUM_LOOKED_AT):
                names |= dict.fromkeys(_types(block))
                if names and set(wanted) <= set(names):
                    return list(names)
        if not names:
            raise DataError(f"{files[0]} holds no tf.Example with a feature.")
        return list(names)

    def __init__(self, files: Sequence[str], settings: IngestSettings):
        """Find the features.

        Raises:
          DataError: a file is no TFRecord file, there is no label, or what must hold numbers holds text.
        """
        self._files, self._label = files, settings.label.column
        self._types: dict[str, str] = {}
        for found in in_order(_types, self.blocks()):
            # What the first records say counts; those that say something else are set aside.
            self._types = _first_of(self._types, found)
        if self._label not in self._types:
            known = ", ".join(self._types) or "none"
            raise DataError(f"{files[0]} has no feature '{self._label}', the label. Its features: {known}.")
        for name, kind in settings.number_columns.items():
            if self._types.get(name) == "text":
                raise DataError(f"{files[0]}: feature '{name}' holds text, not numbers (it is used as {kind}).")

    @property
    def types(self) -> dict[str, str]:
        return self._types

    def blocks(self) -> Iterator[Block]:
        for path in self._files:
            yield from tfrecord_blocks.read_blocks(path)

    def rows(self, block: Block) -> Rows:
        records = _records(block)
        decoded, unusable = _decode(records, self._types)
        unusable |= self._of_another_type(decoded, unusable, records)
        if unusable:
            good = [b"" if i in unusable else record for i, record in enumerate(records)]
            decoded, _ = _decode(good)
        values = {name: _single(decoded, name) for name in self._types}
        if self._label in decoded.schema.names:
            counts = pc.list_value_length(decoded.column(decoded.schema.get_field_index(self._label))).fill_null(0)
            for i in np.flatnonzero(counts.to_numpy(zero_copy_only=False) > 1):
                unusable.setdefault(int(i), f"the label '{self._label}' has {counts[int(i)]} values, expected one")
        for name, column in zip(decoded.schema.names, decoded.columns, strict=True):
            unusable = dict.fromkeys(_infinite(column), f"feature '{name}' holds an infinite number") | unusable
        column = block.batch.column(0)
        return Rows(block, column, values, values, [column], unusable)

    def _of_another_type(self, decoded: pa.RecordBatch, unusable: Mapping[int, str], records: list[bytes]) -> dict[int, str]:
        if all(kind in ("empty", self._types[name]) for name, kind in _kinds(decoded).items()):
            return {}
        wrong = {}
        for i, record in enumerate(records):
            kinds = {} if i in unusable else _kinds(_decoder().DecodeBatch([record]))
            for name, kind in kinds.items():
                if kind not in ("empty", self._types[name]):
                    wrong[i] = f"feature '{name}' holds {kind}, in the first records {self._types[name]}"
        return wrong


def _decoder() -> Any:
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder  # imports TensorFlow

    return ExamplesToRecordBatchDecoder()


def _records(block: Block) -> list[bytes]:
    return block.batch.column(0).to_pylist()


def _types(block: Block) -> dict[str, str]:
    """Return what the first record with a value says of each feature, of records that will be set aside too."""
    decoder, records = _decoder(), _records(block)
    with contextlib.suppress(Exception):  # tfx_bsl's own type of error is in no module
        return _kinds(decoder.DecodeBatch(records))
    found: dict[str, str] = {}
    for record in records:
        with contextlib.suppress(Exception):
            found = _first_of(found, _kinds(decoder.DecodeBatch([record])))
    return found


def _first_of(known: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    return {**found, **{name: kind for name, kind in known.items() if kind != "empty" or name not in found}}


def _kinds(decoded: pa.RecordBatch) -> dict[str, str]:
    return {
        field.name: _KINDS[field.type if pa.types.is_null(field.type) else field.type.value_type] for field in decoded.schema
    }


def _decode(records: list[bytes], types: Mapping[str, str] = {}) -> tuple[pa.RecordBatch, dict[int, str]]:
    """Decode records, those that cannot be used as empty ones.

    Args:
      records: serialized.
      types: {feature: type}, as far as known; of others, the first record's type counts.

    Returns:
      The batch, and {position: why a record cannot be used}.
    """
    decoder = _decoder()
    bad: dict[int, str] = {}
    try:
        return decoder.DecodeBatch(records), bad
    except Exception:  # tfx_bsl's own type of error is in no module
        good = list(records)
    known = {name: kind for name, kind in types.items() if kind != "empty"}
    for i, record in enumerate(records):
        try:
            kinds = _kinds(decoder.DecodeBatch([record]))
        except Exception:
            bad[i], good[i] = "is no tf.Example", b""
            continue
        conflicts = [
            name for name, kind in kinds.items() if "empty" not in (kind, known.get(name, "empty")) and kind != known[name]
        ]
        if conflicts:
            bad[i], good[i] = (
                f"feature '{conflicts[0]}' holds {kinds[conflicts[0]]}, in the first records {known[conflicts[0]]}",
                b"",
            )
        else:
            known |= {name: kind for name, kind in kinds.items() if kind != "empty"}
    return decoder.DecodeBatch(good), bad


def _single(decoded: pa.RecordBatch, name: str) -> pa.Array:
    """Return the first value of each list, null where there is none, NaN being none; text as pa.binary()."""
    index = decoded.schema.get_field_index(name)
    if index < 0 or pa.types.is_null(decoded.schema.field(index).type):
        return pa.nulls(decoded.num_rows)
    lists = decoded.column(index)
    has_value = pc.fill_null(pc.greater(pc.list_value_length(lists), 0), False)
    starts = pa.array(np.asarray(lists.offsets)[:-1])
    values = lists.values.take(pc.if_else(has_value, starts, pa.scalar(None, starts.type)))
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return values.cast(pa.binary()) if pa.types.is_large_binary(values.type) else values


def _infinite(lists: pa.Array) -> list[int]:
    if pa.types.is_null(lists.type) or not pa.types.is_floating(lists.type.value_type):
        return []
    infinite = np.isinf(lists.values.to_numpy(zero_copy_only=False))
    if not infinite.any():
        return []
    return np.unique(np.searchsorted(np.asarray(lists.offsets), np.flatnonzero(infinite), side="right") - 1).tolist()
