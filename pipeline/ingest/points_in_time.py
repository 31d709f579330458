"""Values of a column compared with a point in time, at the precision they are stored with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataError
from pipeline.ingest import columns

_UTC = pa.timestamp("us", "UTC")
_WITH_ZONE = r"\d(Z|[+-]\d\d:?\d\d)$"


def at_or_after(stored: pa.Array, start: int | float | datetime) -> tuple[pa.Array, dict[int, str]]:
    """Compare.

    Args:
      stored: (rows,) numbers, times, dates, or text that spells them (a time without a zone is UTC).
      start: a number for a column of numbers, otherwise a time with a zone.

    Returns:
      bool (rows,), null where there is nothing to compare; and {position: why not}.

    Raises:
      DataError: the column is of another kind than `start`.
    """
    stored = stored.cast(stored.type.value_type) if pa.types.is_dictionary(stored.type) else stored
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
        numbers = _numbers(stored)
        compared = pc.greater_equal(numbers, _in_type_of(numbers, start))
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
    nothing = pa.scalar(None, pa.string())
    zoned = columns.castable(pc.if_else(with_zone, text, nothing), _UTC)
    plain = columns.castable(pc.if_else(with_zone, nothing, text), pa.timestamp("us"))
    return pc.coalesce(zoned, plain.cast(_UTC))


def _numbers(stored: pa.Array) -> pa.Array:
    """Return int64 where all are whole, since float64 would merge large ones; otherwise float64, null for what is no number."""
    if not _is_text(stored.type):
        is_whole = pa.types.is_integer(stored.type) and stored.type != pa.uint64()
        numbers = stored.cast(pa.int64() if is_whole else pa.float64(), safe=False)
    else:
        text = columns.castable(columns.present_or_null(stored.cast(pa.binary())), pa.string())
        whole = columns.castable(text, pa.int64())
        numbers = whole if whole.null_count == text.null_count else columns.castable(text, pa.float64())
    if numbers.type == pa.float64():
        numbers = pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)
    return numbers


def _in_type_of(points: pa.Array, start: int | float) -> pa.Scalar:
    """Return `start` so that int64 is compared with int64 if that changes nothing."""
    is_exact = points.type == pa.int64() and isinstance(start, int) and abs(start) < 2**63
    return pa.scalar(start, pa.int64()) if is_exact else pa.scalar(float(start))


def _is_text(arrow_type: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(check(arrow_type) for check in checks)


def _empty(stored: pa.Array) -> np.ndarray:
    missing = stored.is_null()
    if _is_text(stored.type):
        missing = pc.or_(missing, pc.equal(pc.binary_length(stored).fill_null(0), 0))
    return missing.to_numpy(zero_copy_only=False)


def _shown(value: Any) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text[:40] + ("..." if len(text) > 40 else "")
