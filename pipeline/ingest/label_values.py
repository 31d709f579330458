"""Whether a label can be learned from the values it has."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.ingest.spelling import spell
from preprocessing.features import BinaryLabel, Label, RegressionLabel

NUM_SHOWN = 5
MAX_CLASSES = 1000


class LabelValues:
    """The different values of a label, as far as they matter."""

    def __init__(self) -> None:
        self._found: set[str] = set()

    def add(self, values: Iterable[str]) -> None:
        """Take note of values; of no more than it takes to know that there are too many classes."""
        if len(self._found) <= MAX_CLASSES:
            self._found.update(values)

    def check(self, label: Label) -> None:
        """Compare with what the config says.

        Raises:
          DataError: fewer than two values, more classes than the label may have, or a declared class that never occurs.
        """
        found = sorted(self._found)
        shown = ", ".join(f"'{value}'" for value in found[:NUM_SHOWN]) + (", ..." if len(found) > NUM_SHOWN else "")
        if len(found) < 2:
            raise DataError(f"The label '{label.column}' has only one value: {shown}. There is nothing to learn.")
        if isinstance(label, RegressionLabel):
            return
        if len(found) > MAX_CLASSES:
            raise DataError(
                f"The label '{label.column}' has over {MAX_CLASSES} classes. Is it a number? Then set `label.kind: regression`."
            )
        if not isinstance(label, BinaryLabel):
            return
        if len(found) > 2:
            raise DataError(
                f"The label '{label.column}' is binary but has {len(found)} values: {shown}. Set `label.kind: multiclass`."
            )
        for key, declared in (("positive", label.positive), ("negative", label.negative)):
            if declared is not None and str(declared) not in found:
                raise DataError(
                    f"The label '{label.column}' is never '{declared}' but {shown}. Set `label.{key}` to one of them."
                )


def spelled(values: pa.Array) -> list[str]:
    """Return the different values of a column, spelled."""
    return [spell(value) for value in values.unique().drop_null().to_pylist()]
