"""Values of a column compared with a point in time, at the precision they are stored with."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataError
from pipeline.ingest import columns

_UTC = pa.timestamp("us", "UTC")
_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
)
_WITH_ZONE = r"\d(Z|[+-]\d\d:?\d\d)$"


def at_or_after(stored: pa.Array, start: int | float | datetime) -> tuple[pa.Array, dict[int, str]]:
    """Compare.

    Args:
      stored: (rows,) numbers, times, dates, or text that spells them (a time without a zone is UTC).
      start: a number for a column of numbers, otherwise a time with a zone.

    Returns:
      bool (rows,), null where there is nothing to compare; and {position: why not}.

    Raises:
      DataError: the column is of another kind than `start`, or holds times of day or durations.
    """
    stored = _plain(stored)
    if pa.types.is_time(stored.type) or pa.types.is_duration(stored.type):
        raise DataError(
            f"The column that `data.split` names holds {stored.type}, which is no point in time. Name one of dates, "
            "timestamps, numbers or text."
        )
    is_temporal = pa.types.is_temporal(stored.type)
    is_time = isinstance(start, datetime)
    if is_temporal and not is_time:
        raise DataError(
            f"`data.split.eval_from` is {start}, but the column holds times. Write one, such as 2024-01-31T12:00:00Z."
        )
    if is_time and not (is_temporal or _is_text(stored.type) or pa.types.is_null(stored.type)):
        raise DataError(f"`data.split.eval_from` is a time, but the column holds numbers ({stored.type}). Write a number.")
    if isinstance(start, datetime):
        compared = pc.greater_equal(_times(stored), pa.scalar(start, _UTC))
    else:
        compared = _from(numbers(stored), start)
    wanted = "an ISO 8601 time" if is_time else "a number"
    empty = _empty(stored)
    wrong = {
        int(i): "is empty" if empty[i] else f"holds '{_shown(stored[i].as_py())}', not {wanted}"
        for i in np.flatnonzero(compared.is_null().to_numpy(zero_copy_only=False))
    }
    return compared, wrong


def _times(stored: pa.Array) -> pa.Array:
    """Return timestamps in microseconds of UTC, null for what is none."""
    if not _is_text(stored.type):
        if pa.types.is_timestamp(stored.type) and stored.type.tz:
            return stored.cast(_UTC, safe=False)
        return stored.cast(pa.timestamp("us"), safe=False).cast(_UTC)
    text = columns.castable(stored.cast(pa.binary()), pa.string())
    with_zone = pc.match_substring_regex(text, _WITH_ZONE)
    zoned = columns.castable(columns.where(pc.fill_null(with_zone, False), text), _UTC)
    plain = columns.castable(columns.where(pc.fill_null(pc.invert(with_zone), False), text), pa.timestamp("us"))
    return pc.coalesce(zoned, plain.cast(_UTC))


def _from(points: pa.Array, start: int | float) -> pa.Array:
    """Tell which points are at `start` or after it, in the type of the points: a float would merge large integers."""
    if pa.types.is_floating(points.type):
        nearest = float(start)
        return pc.greater_equal(points, nearest if nearest >= start else math.nextafter(nearest, math.inf))
    limits = np.iinfo(points.type.to_pandas_dtype())
    first = math.ceil(start)
    if first > limits.max:
        return pc.greater(points, pa.scalar(limits.max, points.type))  # none, and null where there is no point
    return pc.greater_equal(points, pa.scalar(max(first, limits.min), points.type))


def numbers(stored: pa.Array) -> pa.Array:
    """Return the numbers of a column of numbers, or of text that spells them.

    Args:
      stored: (rows,).

    Returns:
      int64 or uint64 (rows,) where all are whole, since float64 would merge large ones; otherwise float64. Null for NaN and for
      what is no number.
    """
    stored = _plain(stored)
    if not _is_text(stored.type):
        if pa.types.is_integer(stored.type):
            return stored if stored.type == pa.uint64() else stored.cast(pa.int64())
        found = stored.cast(pa.float64(), safe=False)
    else:
        text = columns.castable(columns.present_or_null(stored.cast(pa.binary())), pa.string())
        whole = columns.castable(text, pa.int64())
        found = whole if whole.null_count == text.null_count else columns.castable(text, pa.float64())
    if found.type == pa.float64():
        found = pc.if_else(pc.is_nan(found), pa.scalar(None, pa.float64()), found)
    return found


def _plain(stored: pa.Array) -> pa.Array:
    return stored.cast(stored.type.value_type) if pa.types.is_dictionary(stored.type) else stored


def _is_text(arrow_type: pa.DataType) -> bool:
    return any(check(arrow_type) for check in _TEXTS)


def _empty(stored: pa.Array) -> np.ndarray:
    missing = stored.is_null()
    if _is_text(stored.type):
        missing = pc.or_(missing, pc.equal(pc.binary_length(stored).fill_null(0), 0))
    return missing.to_numpy(zero_copy_only=False)


def _shown(value: Any) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text[:40] + ("..." if len(text) > 40 else "")
