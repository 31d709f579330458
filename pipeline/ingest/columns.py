"""Cells as bytes to typed columns: integers, floats or text, null where a value is missing."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ColumnType(enum.IntEnum):
    """What a column holds: the narrowest type that holds all its cells. Each bit is a type that is held.

    LONG is integers that a float would merge, ids perhaps: beside a float the column is text.
    """

    EMPTY = 0b000
    INTEGER = 0b001
    LONG = 0b011
    FLOAT = 0b101
    TEXT = 0b111

    def widened(self, other: ColumnType) -> ColumnType:
        """Return the narrowest type that holds what both hold."""
        return ColumnType(self | other)


ARROW_TYPES = {
    ColumnType.EMPTY: pa.null(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.LONG: pa.int64(),
    ColumnType.FLOAT: pa.float32(),
    ColumnType.TEXT: pa.binary(),
}
_NUM_TRIED = 64
# Through float64: "12" and "1e3" are both fine in a column of floats.
_READ_AS = {ColumnType.INTEGER: pa.int64(), ColumnType.LONG: pa.int64(), ColumnType.FLOAT: pa.float64()}


def infer_type(cells: pa.Array) -> ColumnType:
    """Return the narrowest type that holds every non-empty cell.

    TEXT too for what is not UTF-8, numbers beyond float32, and whole numbers that int64 or float32 would merge.
    """
    present = present_or_null(cells)
    if present.null_count == len(present):
        return ColumnType.EMPTY
    text = _try_cast(present, pa.string())
    if text is None:
        return ColumnType.TEXT
    integers = _try_cast(text, pa.int64())
    if integers is not None:
        return ColumnType.LONG if _merges_integers(integers) else ColumnType.INTEGER
    numbers = _try_cast(text, pa.float64())
    if numbers is None or _too_large(numbers) or _merges_ids(numbers) or _has_long_integers(text, numbers):
        return ColumnType.TEXT
    return ColumnType.FLOAT


def infer_number_type(cells: pa.Array) -> ColumnType:
    """Return INTEGER or FLOAT for a column that must hold numbers, whatever else is in it; EMPTY if it holds none."""
    present = present_or_null(cells)
    text = castable(present, pa.string())
    if text.null_count == len(text):
        return ColumnType.EMPTY
    if _try_cast(text, pa.int64()) is not None:
        return ColumnType.INTEGER
    numbers = castable(text, pa.float64())
    if numbers.null_count == len(numbers):
        return ColumnType.EMPTY
    numbers_as_text = where(numbers.is_valid(), text)
    return ColumnType.INTEGER if _try_cast(numbers_as_text, pa.int64()) is not None else ColumnType.FLOAT


def to_values(cells: pa.Array, column_type: ColumnType) -> tuple[pa.Array, dict[int, str]]:
    """Convert a column.

    Args:
      cells: binary (rows,).
      column_type: as inferred over the whole column.

    Returns:
      The values, of the column type's Arrow type, null where the cell is empty (or "nan" among floats) or cannot be used; and
      {position: what is wrong} for cells that cannot: no number or an infinite one among numbers, not UTF-8 in text.
    """
    present = present_or_null(cells)
    if column_type is ColumnType.EMPTY:
        nothing = pa.nulls(len(cells))
        return nothing, {i: f"holds '{_printable(cells[i].as_py())}', not a number" for i in _lost(present, nothing)}
    if column_type is ColumnType.TEXT:
        text = castable(present, pa.string())
        return text.cast(pa.binary()), {i: f"holds {cells[i].as_py()[:20]!r}, not UTF-8" for i in _lost(present, text)}
    numbers = castable(castable(present, pa.string()), _READ_AS[column_type])
    wrong = {i: f"holds '{_printable(cells[i].as_py())}', not a number" for i in _lost(present, numbers)}
    if column_type is not ColumnType.FLOAT:
        return numbers, wrong
    values, infinite = to_float32(numbers)
    return values, wrong | {i: f"holds '{_printable(cells[i].as_py())}': {what}" for i, what in infinite.items()}


def to_float32(numbers: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Convert float64 or float32 (rows,) to what a tf.Example holds.

    Returns:
      float32 (rows,), null for NaN and for what is not finite; and {position: what is wrong} for the latter.
    """
    single = numbers.cast(pa.float32())
    plain = single.fill_null(0).to_numpy(zero_copy_only=False)
    if np.isfinite(plain).all():
        return single, {}
    sources = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    wrong = {int(i): "infinite" if np.isinf(sources[i]) else "beyond a 32-bit float" for i in np.flatnonzero(np.isinf(plain))}
    return pc.if_else(pa.array(np.isfinite(plain)), single, pa.scalar(None, pa.float32())), wrong


def present_or_null(cells: pa.Array) -> pa.Array:
    """Return binary (rows,) with null for empty cells."""
    return where(pc.fill_null(pc.greater(pc.binary_length(cells), 0), False), cells)


def castable(values: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """Cast, with null for what Arrow cannot cast."""
    whole = _try_cast(values, arrow_type)
    return whole if whole is not None else _without(values, _uncastable(values, arrow_type)).cast(arrow_type)


def joined(columns: Iterable[pa.Array]) -> list[bytes]:
    """Return the content of each row as one byte string, for hashing."""
    return pc.binary_join_element_wise(*columns, b"\x1f").to_pylist()


def _try_cast(values: pa.Array, arrow_type: pa.DataType) -> pa.Array | None:
    if arrow_type == pa.int64() and _has_hexadecimal(values):
        return None
    try:
        # Arrow spells an error for every value that fails, slowly: see first whether it is all of them.
        values[:_NUM_TRIED].cast(arrow_type)
        return values.cast(arrow_type)
    except pa.ArrowInvalid:
        return None


def _has_hexadecimal(text: pa.Array) -> bool:
    """Tell whether there may be a 0x10, which is an integer to Arrow but to no other reader of CSV."""
    _, offsets, content = text.buffers()
    if content is None or not pa.types.is_string(text.type):
        return False
    ends = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
    cells = content[int(ends[0]) : int(ends[-1])].to_pybytes()
    if b"x" not in cells and b"X" not in cells:
        return False
    # Of a text that is there, and not of what is left of a null.
    return pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py() is True


def _uncastable(values: pa.Array, arrow_type: pa.DataType, start: int = 0) -> list[int]:
    """Return the positions that Arrow cannot cast, by halving: fast where they are few."""
    if _try_cast(values, arrow_type) is not None:
        return []
    if len(values) == 1:
        return [start]
    middle = len(values) // 2
    left = _uncastable(values[:middle], arrow_type, start)
    return left + _uncastable(values[middle:], arrow_type, start + middle)


def _without(values: pa.Array, positions: list[int]) -> pa.Array:
    """Return the values with null at some positions."""
    if not positions:
        return values
    keep = np.ones(len(values), bool)
    keep[positions] = False
    return where(pa.array(keep), values)


def where(keep: pa.Array, values: pa.Array) -> pa.Array:
    """Return the texts that are kept, null for others; their bytes stay where they are.

    What `pc.if_else` gives for a slice of texts and a null is broken in Arrow 18: its first offset is that of the slice.
    """
    valid = pc.and_(keep, values.is_valid())
    _, offsets, content = values.buffers()
    at = values.offset * np.dtype(np.int32).itemsize
    return pa.Array.from_buffers(values.type, len(values), [valid.buffers()[1], offsets.slice(at), content])


def _lost(before: pa.Array, after: pa.Array) -> list[int]:
    """Return the positions that became null."""
    if before.null_count == after.null_count:
        return []
    return np.flatnonzero(pc.and_(before.is_valid(), after.is_null()).to_numpy(zero_copy_only=False)).tolist()


def _merges_ids(numbers: pa.Array) -> bool:
    """Tell whether whole numbers (17031320400.0, an id as pandas writes it) would become others as float32."""
    values = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    ids = values[(values == np.floor(values)) & (np.abs(values) < 2**53)]
    return bool(np.any(ids.astype(np.float32).astype(np.float64) != ids))


def _merges_integers(integers: pa.Array) -> bool:
    """Tell whether integers would become others as float32, as all beyond 2**53 do but a few."""
    limits = pc.min_max(integers).as_py()
    if limits["min"] >= -(2**24) and limits["max"] <= 2**24:
        return False
    return limits["min"] <= -(2**53) or limits["max"] >= 2**53 or _merges_ids(integers.cast(pa.float64()))


def _has_long_integers(text: pa.Array, numbers: pa.Array) -> bool:
    """Tell whether a whole number without point or exponent is beyond 2**53: an id that float64 may have changed already."""
    is_long = pc.greater_equal(pc.abs(numbers), float(2**53))
    return pc.any(is_long).as_py() is True and pc.any(pc.match_substring_regex(text.filter(is_long), r"^-?\d+$")).as_py()


def _too_large(numbers: pa.Array) -> bool:
    """Tell whether a finite number becomes infinite as float32, which is what a tf.Example holds."""
    values = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        return bool(np.any(np.isinf(values.astype(np.float32)) & np.isfinite(values)))


def spelled(arrow_type: pa.DataType) -> str:
    """Return a type as a message has it; the items of a list have another name in files of Arrow 18 than before."""
    return str(arrow_type).replace("<element: ", "<item: ")


def _printable(cell: bytes) -> str:
    text = cell[:40].decode("utf-8", "backslashreplace")
    return text if len(cell) <= 40 else text + "..."
