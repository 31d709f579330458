"""Where the values of a parameter lie between its ends: for drawing them and for learning from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.tuning.space import Choice, Parameter, label


@dataclass(frozen=True)
class Axis:
    """The values of a parameter, from 0 to 1.

    Attributes:
      low: at 0, for a number.
      high: at 1, for a number.
      log: each order of magnitude takes the same room.
      labels: of a choice, as JSON, evenly spaced.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    labels: tuple[str, ...] = ()

    def at(self, value: Any) -> float | None:
        """Return where a value lies: a number beyond the ends below 0 or above 1, None for what has no place here."""
        if self.labels:
            text = label(value)
            return self.labels.index(text) / max(len(self.labels) - 1, 1) if text in self.labels else None
        if not is_number(value) or (self.log and value <= 0):
            return None
        low, high, x = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (x - low) / (high - low)


def axis_of(parameter: Parameter, seen: Iterable[Any] = ()) -> Axis:
    """Return the axis of a parameter, extended to what was seen outside of it, such as the config's own value.

    Choices of numbers stand in their order, others in that of the config.
    """
    if isinstance(parameter, Choice):
        known = {label(value): value for value in (*parameter.values, *seen)}
        return Axis(labels=tuple(sorted(known, key=known.__getitem__) if all(map(is_number, known.values())) else known))
    log = parameter.scale == "log"
    numbers = [parameter.min, parameter.max, *(x for x in seen if is_number(x) and (x > 0 or not log))]
    return Axis(min(numbers), max(numbers), log)


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number: a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def floor(scores: Sequence[float]) -> float:
    """Return below which score all are alike bad: how far a trial has diverged would hide what tells the others apart.

    It is the outer fence of Tukey 1977: three interquartile ranges below the first quartile, or the lowest score if higher.
    """
    first, third = np.quantile(scores, [0.25, 0.75])
    return max(min(scores), float(first - 3 * (third - first))) if third > first else min(scores)
