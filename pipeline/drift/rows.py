"""New rows, counted block by block, read as `predict` reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.drift.measuring import Counted, Known
from pipeline.errors import DataError
from pipeline.ingest.threads import in_order
from pipeline.predicting.formats import FORMATS

if TYPE_CHECKING:
    from pipeline.ingest.blocks import Block
    from pipeline.predicting.rows import Plan


def count(plan: Plan, known: Mapping[str, Known], progress: Callable[[int], None]) -> tuple[int, Mapping[str, Counted]]:
    """Count the columns that a model reads at what is known of a reference, in memory that does not grow with the rows.

    A value that cannot be what the model reads counts as missing.

    Args:
      plan: of the files.
      known: {column: of the reference}, all that the model reads.
      progress: is told of the rows so far.

    Returns:
      The number of rows, and {column: what was counted}.

    Raises:
      DataError: there are no rows, or a file cannot be read to its end.
    """
    counting = {name: _Counting(known[name]) for name in plan.model.columns}
    num_rows = 0
    blocks = (block for file in plan.files for block in plan.blocks(file))
    for columns in in_order(lambda block: _typed(plan, block), blocks):
        for name, values in columns.items():
            counting[name].add(values)
        num_rows += len(next(iter(columns.values())))
        progress(num_rows)
    if not num_rows:
        raise DataError("There are no rows to compare.")
    return num_rows, {name: each.counted for name, each in counting.items()}


def _typed(plan: Plan, block: Block) -> dict[str, pa.Array]:
    rows = FORMATS[plan.format].rows(block)
    return {name: rows.values(name, column.type)[0] for name, column in plan.model.columns.items()}


@dataclass
class _Counting:
    """Counts one column."""

    known: Known
    present: int = 0
    missing: int = 0
    below: np.ndarray | int = 0
    at_most: np.ndarray | int = 0
    texts: Counter[str] = field(default_factory=Counter)

    def add(self, values: pa.Array) -> None:
        """Count the values of a block."""
        self.missing += values.null_count
        values = values.drop_null()
        if self.known.quantiles is not None:
            values = pc.cast(values, pa.float64())
            values = values.filter(pc.invert(pc.is_nan(values)))
            ordered = np.sort(values.to_numpy())
            self.below += np.searchsorted(ordered, self.known.quantiles.edges, "left")
            self.at_most += np.searchsorted(ordered, self.known.quantiles.edges, "right")
        elif self.known.texts is not None:
            for pair in pc.value_counts(pc.cast(values, pa.binary())).to_pylist():
                if (text := pair["values"].decode("utf-8", "replace")) in self.known.texts:
                    self.texts[text] += pair["counts"]
        self.present += len(values)

    @property
    def counted(self) -> Counted:
        """What was counted so far."""
        if self.known.quantiles is not None:
            return Counted(self.present, self.missing, np.asarray(self.below), np.asarray(self.at_most))
        return Counted(self.present, self.missing, texts=dict(self.texts) if self.known.texts is not None else None)
