"""Which split a row goes to: one function per way of splitting, all of the same shape."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow.compute as pc

from pipeline.data_config import SIDES, ColumnSplit, Side, Split, TimeSplit
from pipeline.errors import DataError
from pipeline.ingest import columns, points_in_time
from pipeline.ingest.blocks import Rows
from pipeline.ingest.label_values import spell


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
    """Choose by the value of a column, spelled as a class of a label is: 1 and 1.0 are the same among numbers."""
    values = _column(rows.values, split.column)
    known = {_spell_wanted(value): i for i, side in enumerate(SIDES) for value in getattr(split, side)}
    indexed = values.dictionary_encode()
    # -2: no value, -1: another value.
    found = [known.get(spell(value), -1) for value in indexed.dictionary.to_pylist()]
    index = indexed.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    positions = np.array([*found, -2])[index]
    wanted = ", ".join(f"'{value}'" for value in known)
    reasons = {
        int(i): f"column '{split.column}' is empty, so the row belongs to no split"
        if positions[i] == -2
        else f"column '{split.column}' holds '{spell(values[i].as_py())}', of neither split (`data.split` names {wanted})"
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


def _spell_wanted(value: int | float | str) -> str:
    return spell(value.encode() if isinstance(value, str) else value)
