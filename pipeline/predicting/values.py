"""Values as a file has them to those a model was trained on: text, integers, numbers; null where one is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.columns import ColumnType as CellType
from pipeline.ingest.columns import to_float32, to_values
from pipeline.ingest.parquet_reader import Converted, converter
from pipeline.predicting.pushed import ColumnType

# Whole numbers of more than this a float64 may have changed already.
_MAX_EXACT = float(2**53)
# Python's json gives these; what is none of them is a list or an object.
_JSON_TYPES: Mapping[type, pa.DataType] = {str: pa.binary(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def can_convert(arrow_type: pa.DataType) -> bool:
    """Tell whether values of a type can become what a model reads: lists, structs and maps cannot."""
    try:
        converter(arrow_type)
    except KeyError:
        return False
    return True


def from_stored(stored: pa.Array, wanted: ColumnType) -> Converted:
    """Convert a column of a CSV file, as bytes, or of a Parquet file.

    Args:
      stored: (rows,) of a type that `can_convert` knows.
      wanted: what the model reads.

    Returns:
      Binary, int64 or float32 (rows,), or of null type, null where a value is missing or cannot be used; and {position: what is
      wrong} for the latter.
    """
    plain = _plain(stored)
    return _CONVERSIONS[plain.type, wanted](plain)


def from_json(values: Sequence[Any], wanted: ColumnType) -> Converted:
    """Convert values of one key as Python's json gives them; see `from_stored`. They may be of several types."""
    kept: pa.Array | None = None
    unusable: dict[int, str] = {}
    for kind in dict.fromkeys(map(type, values)):
        if kind not in _JSON_TYPES:
            if kind is not type(None):
                unusable |= {i: f"holds {_short(value)}" for i, value in enumerate(values) if type(value) is kind}
            continue
        converted, wrong = _CONVERSIONS[_JSON_TYPES[kind], wanted](_of_kind(values, kind))
        unusable |= wrong | (_too_long(values) if kind is int else {})
        kept = converted if kept is None else pc.coalesce(kept, converted)
    return (pa.nulls(len(values)) if kept is None else kept), unusable


def spelled_json(values: Sequence[Any]) -> pa.Array:
    """Return string (rows,): text as it is, anything else as JSON spells it."""
    texts = [value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return pa.array([text if text is None else text.encode("utf-8", "replace").decode() for text in texts], pa.string())


def _too_long(values: Sequence[Any]) -> dict[int, str]:
    return {i: f"holds {v}: beyond 64 bits" for i, v in enumerate(values) if type(v) is int and not _fits(v)}


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _of_kind(values: Sequence[Any], kind: type) -> pa.Array:
    """Return the values of a Python type, null in place of others."""
    if kind is str:
        # A lone half of a pair, which JSON may spell, is no UTF-8: the check of text says so.
        return pa.array([v.encode("utf-8", "surrogatepass") if type(v) is str else None for v in values], pa.binary())
    if kind is int:
        return pa.array([v if type(v) is int and _fits(v) else None for v in values], pa.int64())
    return pa.array([v if type(v) is kind else None for v in values], _JSON_TYPES[kind])


def _plain(stored: pa.Array) -> pa.Array:
    """Return binary, bool, int64, float64 or null (rows,)."""
    arrow_type = stored.type
    if pa.types.is_boolean(arrow_type):
        return stored
    if pa.types.is_floating(arrow_type) or pa.types.is_decimal(arrow_type) or arrow_type == pa.uint64():
        return stored.cast(pa.float64(), safe=False)
    return converter(arrow_type)(stored)[0]


def _cells_to_text(cells: pa.Array) -> Converted:
    return to_values(cells, CellType.TEXT)


def _cells_to_integers(cells: pa.Array) -> Converted:
    """Read 3.0 as 3 and nan as missing: what pandas writes once a column of integers has a missing value."""
    if pc.any(pc.match_substring_regex(cells, r"\.|[nN]")).as_py():
        text = pc.replace_substring_regex(cells, r"^(-?\d+)\.0*$", r"\1")
        cells = pc.replace_substring_regex(text, r"^[nN][aA][nN]$", "")
    return to_values(cells, CellType.INTEGER)


def _cells_to_numbers(cells: pa.Array) -> Converted:
    return to_values(cells, CellType.FLOAT)


def _no_text(booleans: pa.Array) -> Converted:
    """Refuse: true, True, t, yes or 1 may be what the model was trained on."""
    return pa.nulls(len(booleans), pa.binary()), dict.fromkeys(np.flatnonzero(booleans.is_valid()).tolist(), "holds a boolean")


def _booleans_to_integers(booleans: pa.Array) -> Converted:
    return booleans.cast(pa.int64()), {}


def _booleans_to_numbers(booleans: pa.Array) -> Converted:
    return booleans.cast(pa.float32()), {}


def _integers_to_text(integers: pa.Array) -> Converted:
    return integers.cast(pa.string()).cast(pa.binary()), {}


def _integers_to_numbers(integers: pa.Array) -> Converted:
    return integers.cast(pa.float64(), safe=False).cast(pa.float32()), {}


def _numbers_to_text(numbers: pa.Array) -> Converted:
    """Spell 3.0 as 3, as the edge packages do."""
    numbers = _nan_is_missing(numbers)
    spelled = [
        None if x is None else (str(int(x)) if x.is_integer() and abs(x) < _MAX_EXACT else repr(x)) for x in numbers.to_pylist()
    ]
    return pa.array(spelled, pa.string()).cast(pa.binary()), {}


def _numbers_to_integers(numbers: pa.Array) -> Converted:
    numbers = _nan_is_missing(numbers)
    plain = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    whole = (np.floor(plain) == plain) & (np.abs(plain) < _MAX_EXACT)
    exact = pa.array(np.where(whole, plain, 0).astype(np.int64), mask=~whole | numbers.is_null().to_numpy(zero_copy_only=False))
    return exact, {i: f"holds '{numbers[i].as_py()}', no whole number" for i in np.flatnonzero(~whole).tolist()}


def _numbers_to_numbers(numbers: pa.Array) -> Converted:
    values, wrong = to_float32(numbers)
    return values, {i: f"holds '{numbers[i].as_py()}': {what}" for i, what in wrong.items()}


def _as_it_is(values: pa.Array) -> Converted:
    return values, {}


def _nan_is_missing(numbers: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def _short(value: object) -> str:
    """Return a list or an object as JSON, not all of it if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."


_CONVERSIONS: Mapping[tuple[pa.DataType, str], Callable[[pa.Array], Converted]] = {
    (pa.binary(), "text"): _cells_to_text,
    (pa.binary(), "integer"): _cells_to_integers,
    (pa.binary(), "number"): _cells_to_numbers,
    (pa.bool_(), "text"): _no_text,
    (pa.bool_(), "integer"): _booleans_to_integers,
    (pa.bool_(), "number"): _booleans_to_numbers,
    (pa.int64(), "text"): _integers_to_text,
    (pa.int64(), "integer"): _as_it_is,
    (pa.int64(), "number"): _integers_to_numbers,
    (pa.float64(), "text"): _numbers_to_text,
    (pa.float64(), "integer"): _numbers_to_integers,
    (pa.float64(), "number"): _numbers_to_numbers,
    (pa.null(), "text"): _as_it_is,
    (pa.null(), "integer"): _as_it_is,
    (pa.null(), "number"): _as_it_is,
}
