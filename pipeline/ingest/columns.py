"""Cells as bytes to typed tf.Example columns: integers, floats or strings, missing where empty."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ColumnType(enum.IntEnum):
    """What a column holds, from narrow to wide: a column is as wide as its widest cell."""

    EMPTY = 0
    INTEGER = 1
    FLOAT = 2
    TEXT = 3


ARROW_TYPES = {
    ColumnType.EMPTY: pa.float32(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float32(),
    ColumnType.TEXT: pa.binary(),
}


def infer_type(cells: pa.Array) -> ColumnType:
    """Return the narrowest type that holds every non-empty cell; TEXT too for numbers beyond float32 and what is not UTF-8."""
    present = _present(cells)
    if not len(present):
        return ColumnType.EMPTY
    text = _as_text(present)
    if text is None:
        return ColumnType.TEXT
    if _try_cast(text, pa.int64()) is not None:
        return ColumnType.INTEGER
    numbers = _try_cast(text, pa.float64())
    if numbers is None or _too_large(numbers) or _merges_ids(numbers):
        return ColumnType.TEXT
    return ColumnType.FLOAT


def infer_number_type(cells: pa.Array) -> ColumnType:
    """Return INTEGER or FLOAT for a column that must hold numbers, whatever else is in it."""
    column_type = infer_type(cells)
    if column_type is not ColumnType.TEXT:
        return column_type
    values = [_number(cell) for cell in _present(cells).to_pylist()]
    return max((_type_of(value) for value in values), default=ColumnType.EMPTY)


def unusable_numbers(cells: pa.Array) -> dict[int, str]:
    """Return {position: what is wrong} for cells that are no finite float32 and not empty either; "nan" counts as missing."""
    text = _as_text(_present(cells))
    numbers = None if text is None else _try_cast(text, pa.float64())
    if numbers is not None and not pc.any(pc.is_inf(numbers.cast(pa.float32()))).as_py():
        return {}
    wrong = {}
    for position, cell in enumerate(cells.to_pylist()):
        value = _number(cell) if cell else 0
        if value is None:
            wrong[position] = f"holds '{_printable(cell)}', not a number"
        elif math.isinf(value):
            wrong[position] = f"holds '{_printable(cell)}': infinite"
        elif abs(value) > np.finfo(np.float32).max:
            wrong[position] = f"holds '{_printable(cell)}': beyond a 32-bit float"
    return wrong


def missing(cells: pa.Array, column_type: ColumnType) -> list[int]:
    """Return the positions of cells without a value: empty, or "nan" in a column of floats."""
    floats = column_type is ColumnType.FLOAT
    # What starts like this in a column of floats is NaN, or no number at all: "nan", "-NaN", "nan(1)".
    return [
        i for i, cell in enumerate(cells.to_pylist()) if not cell or (floats and cell.lower().lstrip(b"-").startswith(b"nan"))
    ]


def invalid_text(cells: pa.Array) -> dict[int, str]:
    """Return {position: what is wrong} for cells that are not UTF-8."""
    if _as_text(cells) is not None:
        return {}
    return {i: f"holds {cell[:20]!r}, not UTF-8" for i, cell in enumerate(cells.to_pylist()) if not _is_utf8(cell)}


def to_list_array(cells: pa.Array, column_type: ColumnType) -> pa.ListArray:
    """Return what tfx_bsl's example encoder takes: one list of one value per row, null where the cell is empty (or "nan").

    Args:
      cells: binary (rows,).
      column_type: as inferred over the whole column.
    """
    arrow_type = ARROW_TYPES[column_type]
    missing = pc.equal(pc.binary_length(cells), 0).to_numpy(zero_copy_only=False)
    if column_type is ColumnType.TEXT:
        values = cells.filter(pa.array(~missing))
    elif column_type is ColumnType.EMPTY:
        values = pa.array([], arrow_type)
    else:
        present = cells.filter(pa.array(~missing)).cast(pa.string())
        # Through float64: "12" and "1e3" are both fine in a column of floats.
        numbers = present.cast(pa.int64() if column_type is ColumnType.INTEGER else pa.float64())
        if column_type is ColumnType.FLOAT:
            nan = np.isnan(numbers.to_numpy(zero_copy_only=False))
            missing[np.flatnonzero(~missing)[nan]] = True
            numbers = numbers.filter(pa.array(~nan)).cast(pa.float32())
        values = numbers
    ends = np.cumsum(~missing, dtype=np.int32)
    starts_and_end = np.concatenate([[0], ends]).astype(np.int32)
    # A null offset marks a null list.
    offsets = pa.array(starts_and_end, mask=np.append(missing, False))
    return pa.ListArray.from_arrays(offsets, values)


def joined(columns: Iterable[pa.Array]) -> list[bytes]:
    """Return the content of each row as one byte string, for hashing."""
    return pc.binary_join_element_wise(*columns, b"\x1f").to_pylist()


def _present(cells: pa.Array) -> pa.Array:
    return cells.filter(pc.greater(pc.binary_length(cells), 0))


def _as_text(cells: pa.Array) -> pa.Array | None:
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:
        return None


def _try_cast(text: pa.Array, arrow_type: pa.DataType) -> pa.Array | None:
    try:
        return text.cast(arrow_type)
    except pa.ArrowInvalid:
        return None


def _number(cell: bytes) -> int | float | None:
    # Arrow's own casts decide what a number is: Python would also take "1_000" and "infinity".
    text = pa.array([cell], pa.binary())
    if (decoded := _as_text(text)) is None:
        return None
    for arrow_type in (pa.int64(), pa.float64()):
        if (value := _try_cast(decoded, arrow_type)) is not None:
            return value[0].as_py()
    return None


def _merges_ids(numbers: pa.Array) -> bool:
    """Tell whether whole numbers (17031320400.0, an id as pandas writes it) would become others as float32."""
    values = numbers.to_numpy(zero_copy_only=False)
    ids = values[(values == np.floor(values)) & (np.abs(values) < 2**53)]
    return bool(np.any(ids.astype(np.float32).astype(np.float64) != ids))


def _too_large(numbers: pa.Array) -> bool:
    """Tell whether a finite number becomes infinite as float32, which is what a tf.Example holds."""
    return pc.any(pc.and_(pc.is_inf(numbers.cast(pa.float32())), pc.is_finite(numbers))).as_py()


def _type_of(value: int | float | None) -> ColumnType:
    if value is None:
        return ColumnType.EMPTY
    return ColumnType.INTEGER if isinstance(value, int) else ColumnType.FLOAT


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _printable(cell: bytes) -> str:
    text = cell[:40].decode("utf-8", "backslashreplace")
    return text if len(cell) <= 40 else text + "..."
