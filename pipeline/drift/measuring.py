"""How far new rows are from those of a reference, column by column, and how far chance alone puts samples of the same rows.

All measures lie between 0 (the same) and 1. Of the reference its statistics by TensorFlow Data Validation are known: quantiles
of numbers, the most frequent texts. New rows are counted at just those quantiles and texts, so that nothing is interpolated:
two samples of the same rows differ by chance only, however unevenly their values lie between two quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Measure: TypeAlias = Literal["kolmogorov_smirnov", "l_infinity", "missing", "unseen"]
# One column in a thousand that has not changed goes over the floor of a measure.
_FALSE_ALARMS = 0.001


@dataclass(frozen=True)
class Quantiles:
    """Where the quantiles of a column lie.

    Attributes:
      edges: (n,) float64, rising; one that comes again is a value of many rows.
      levels: (n,), from 0 to 1: the share of rows below an edge is at most that, the share at or below it at least.
    """

    edges: np.ndarray
    levels: np.ndarray


@dataclass(frozen=True)
class Known:
    """What is known of a column of the reference.

    Attributes:
      present: number of rows with a value.
      missing: number of rows without.
      quantiles: of a column of numbers, else None.
      texts: {text: number of rows} of a column of texts, the most frequent ones, else None.
    """

    present: int
    missing: int
    quantiles: Quantiles | None = None
    texts: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Counted:
    """What was counted of a column of new rows.

    Attributes:
      present: number of rows with a value.
      missing: number of rows without.
      below: (n,) number of rows below each edge of the reference; None of texts.
      at_most: (n,) the same with rows at it.
      texts: {text of the reference: number of rows}; None of numbers.
    """

    present: int
    missing: int
    below: np.ndarray | None = None
    at_most: np.ndarray | None = None
    texts: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Distance:
    """How far a column is from what it was.

    Attributes:
      measure: of what.
      value: in [0, 1].
      floor: so far apart are, by chance, all but one in a thousand pairs of samples of this size from the same rows.
    """

    measure: Measure
    value: float
    floor: float

    def is_over(self, bound: float) -> bool:
        """Tell whether it is more than a bound, and more than chance."""
        return self.value > max(bound, self.floor)


def distances(known: Known, new: Counted) -> list[Distance]:
    """Return how far new rows are from those of the reference, by each measure that applies."""
    found = [_missing(known, new)]
    if known.present and new.present:
        if known.quantiles and new.below is not None and new.at_most is not None:
            found.append(_of_numbers(known.quantiles, known.present, new.below, new.at_most, new.present))
        if known.texts and new.texts is not None:
            found += _of_texts(known.texts, known.present, new.texts, new.present)
    return found


def _of_numbers(quantiles: Quantiles, before: int, below: np.ndarray, at_most: np.ndarray, now: int) -> Distance:
    """Return the largest difference of the cumulative distributions (Kolmogorov 1933, Smirnov 1948) at the quantiles.

    It is no larger than that over all values, for which the floor is the critical value of the two-sample test of large
    samples, sqrt(-ln(a/2)/2 * (1/n + 1/m)).
    """
    over = below / now - quantiles.levels  # more rows below an edge than its level allows
    under = quantiles.levels - at_most / now
    floor = math.sqrt(-math.log(_FALSE_ALARMS / 2) / 2 * (1 / before + 1 / now))
    return Distance("kolmogorov_smirnov", max(0.0, float(over.max()), float(under.max())), floor)


def _of_texts(known: Mapping[str, float], before: int, found: Mapping[str, int], now: int) -> list[Distance]:
    """Return the largest difference of a text's share (TFDV's L-infinity norm), and how much the share of others has grown."""
    shares = [(count / before, found.get(text, 0) / now) for text, count in known.items()]
    others = max(0.0, 1 - sum(known.values()) / before), max(0.0, 1 - sum(found.values()) / now)
    value = max(abs(first - second) for first, second in shares)
    z = _deviations(_FALSE_ALARMS / len(shares))  # each of the texts could go over by chance
    floor = max(z * _deviation(first, second, before, now) for first, second in shares)
    unseen = Distance("unseen", max(0.0, others[1] - others[0]), _deviations(_FALSE_ALARMS) * _deviation(*others, before, now))
    return [Distance("l_infinity", value, floor), unseen]


def _missing(known: Known, new: Counted) -> Distance:
    sizes = max(1, known.present + known.missing), max(1, new.present + new.missing)
    shares = known.missing / sizes[0], new.missing / sizes[1]
    return Distance("missing", abs(shares[0] - shares[1]), _deviations(_FALSE_ALARMS) * _deviation(*shares, *sizes))


def _deviation(first: float, second: float, n: int, m: int) -> float:
    """Return the standard deviation of the difference of two shares, taken as of one pool; never that of nothing at all."""
    pooled = (first * n + second * m) / (n + m)
    least = min(0.5, 4 / (n + m))
    pooled = min(max(pooled, least), 1 - least)
    return math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def _deviations(chance: float) -> float:
    """Return how many deviations a normal number is away from its mean, on either side, with a chance."""
    from scipy.special import ndtri

    return float(-ndtri(chance / 2))
