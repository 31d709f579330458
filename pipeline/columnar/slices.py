"""Which slice each row is in, spelled as TFMA spells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SliceKey: TypeAlias = tuple[tuple[str, Any], ...]


def slices_of_rows(block: pa.RecordBatch, columns: Sequence[str]) -> tuple[list[SliceKey], np.ndarray]:
    """Return the slices that some rows fall into, and each row's position among them.

    Args:
      block: rows of tf.Examples, a list of values per cell.
      columns: whose values make a slice.

    Returns:
      ((column, value), ...) in the order of the columns' names, value being int, float or str; and int32 (rows,), -1 for a row
      that lacks a value of one of the columns, or has several.
    """
    names = sorted(columns)
    parts = [_codes(block, name) for name in names]
    present = np.logical_and.reduce([codes >= 0 for _, codes in parts])
    combined, codes = np.unique(np.stack([codes for _, codes in parts])[:, present], axis=1, return_inverse=True)
    values = [found for found, _ in parts]
    keys = [tuple((name, x[i]) for name, x, i in zip(names, values, column, strict=True)) for column in combined.T]
    positions = np.full(block.num_rows, -1, np.int32)
    positions[present] = codes.reshape(-1)
    return keys, positions


def slice_name(key: SliceKey) -> str:
    """Return "hour:17,payment:Cash"."""
    return ",".join(f"{column}:{value}" for column, value in key)


class Slicing:
    """The slices by some columns, over blocks of rows."""

    def __init__(self, columns: Sequence[str]):
        self._columns = columns
        self._positions: dict[SliceKey, int] = {}
        self._rows: list[np.ndarray] = []

    def add(self, block: pa.RecordBatch) -> None:
        """Look at some more rows."""
        keys, rows = slices_of_rows(block, self._columns)
        known = [self._positions.setdefault(key, len(self._positions)) for key in keys]
        self._rows.append(np.array([*known, -1], np.int32)[rows])  # -1 takes the last one, which is -1

    def items(self) -> list[tuple[SliceKey, np.ndarray]]:
        """Return every slice with the positions of its rows, (n,)."""
        rows = np.concatenate(self._rows)
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(len(self._positions) + 1))
        return [(key, order[starts[i] : starts[i + 1]]) for key, i in self._positions.items()]


def _codes(block: pa.RecordBatch, name: str) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values of a column, and the position (rows,) of each row's among them; -1 for none or several."""
    positions = np.full(block.num_rows, -1, np.int64)
    index = block.schema.get_field_index(name)
    if index < 0 or pa.types.is_null(block.schema.field(index).type):
        return [], positions
    cells = block.column(index)
    single = pc.fill_null(pc.equal(pc.list_value_length(cells), 1), False).to_numpy(zero_copy_only=False)
    encoded = cells.filter(pa.array(single)).flatten().dictionary_encode()
    positions[single] = encoded.indices.to_numpy(zero_copy_only=False)
    return [_value(value) for value in encoded.dictionary.to_pylist()], positions


def _value(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
