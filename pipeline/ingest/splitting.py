"""Which split a row goes to: one function per way of splitting, all of the same shape."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data_config import SIDES, ColumnSplit, Side, Split, TimeSplit
from pipeline.errors import DataError
from pipeline.ingest import columns, points_in_time
from pipeline.ingest.blocks import Rows
from pipeline.ingest.spelling import spell, spell_wanted


@dataclass(frozen=True)
class Sides:
    """Where rows go.

    Attributes:
      positions: int64 (rows,), each a position in SIDES; of no meaning where a row is unusable.
      unusable: {position of a row that belongs to no side: reason}.
    """

    positions: np.ndarray
    unusable: dict[int, str] = field(default_factory=dict)


Splitter: TypeAlias = Callable[[Rows, Any], Sides]


def split_rows(rows: Rows, split: Split) -> Sides:
    """Say for each row where it goes.

    Raises:
      DataError: the rows have no such column, or it holds what cannot be compared.
    """
    return SPLITTERS[type(split)](rows, split)


def by_hash(rows: Rows, weights: Mapping[Side, int]) -> Sides:
    """Choose by the hash of a row's content alone: it never changes side, wherever it stands and whatever is added."""
    hashed = hashlib.blake2b
    digests = b"".join([hashed(content, digest_size=8).digest() for content in columns.joined(rows.content)])
    buckets = np.frombuffer(digests, "<u8") % np.uint64(sum(weights.values()))
    ends = np.cumsum([weights[side] for side in SIDES]).astype(np.uint64)
    return Sides(np.searchsorted(ends, buckets, side="right"))


def by_column(rows: Rows, split: ColumnSplit) -> Sides:
    """Choose by the value of a column, spelled as a class of a label is: 1 and 1.0 are the same among numbers.

    Raises:
      DataError: a value is named that the column's 32-bit floats would take for another number.
    """
    values = _column(rows.values, split.column)
    is_single = False
    if pa.types.is_floating(values.type):
        stored = rows.stored[split.column]
        is_single = pa.types.is_float32(stored.type)
        values = points_in_time.numbers(stored)
    known = _wanted(split, is_single)
    indexed = values.dictionary_encode()
    spelled = [spell(value, is_single) for value in indexed.dictionary.to_pylist()]
    # -2: no value, -1: another value.
    found = np.array([*(known.get(text, -1) for text in spelled), -2])
    index = indexed.indices.fill_null(len(spelled)).to_numpy(zero_copy_only=False)
    positions = found[index]
    wanted = ", ".join(f"'{value}'" for value in known)
    reasons = {
        int(i): f"column '{split.column}' is empty, so the row belongs to no split"
        if positions[i] == -2
        else f"column '{split.column}' holds '{spelled[index[i]]}', of neither split (`data.split` names {wanted})"
        for i in np.flatnonzero(positions < 0)
    }
    return Sides(positions, reasons)


def by_time(rows: Rows, split: TimeSplit) -> Sides:
    """Choose eval for rows at or after a point in time."""
    stored = _column(rows.stored, split.column)
    compared, wrong = points_in_time.at_or_after(stored, split.eval_from)
    reasons = {i: f"column '{split.column}' {what}, so the row belongs to no split" for i, what in wrong.items()}
    return Sides(np.asarray(pc.fill_null(compared, False)).astype(np.int64), reasons)


SPLITTERS: Mapping[type, Splitter] = {dict: by_hash, ColumnSplit: by_column, TimeSplit: by_time}


def _column(known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise DataError(f"`data.split.column`: the data have no column '{name}'. Their columns: {', '.join(known)}.")
    return known[name]


def _wanted(split: ColumnSplit, is_single: bool) -> dict[str, int]:
    """Return {value as spelled: position of its side}."""
    known: dict[str, int] = {}
    for i, side in enumerate(SIDES):
        for value in getattr(split, side):
            spelled = spell_wanted(value, is_single)
            nearest = _in_single(spelled) if is_single else spelled
            if nearest != spelled or known.setdefault(spelled, i) != i:
                raise DataError(
                    f"`data.split` names {value}, which column '{split.column}' cannot hold exactly: its 32-bit floats have "
                    f"{nearest} there. Store the column as integers or text."
                )
    return known


def _in_single(spelled: str) -> str:
    """Return how a whole number is spelled once it is a 32-bit float; another value as it is."""
    return spell(float(np.float32(spelled))) if re.fullmatch(r"-?\d+", spelled) else spelled
